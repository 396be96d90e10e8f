"""One scan of everything, by the command as a user has it."""

import csv
import json
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.live.certificates import Certificates
from tests.live.fleet import LISTENERS
from tests.live.servers import Fleet

TLSWEEP = Path(sys.executable).with_name("tlsweep")
SCAN_WITHIN_S = 90
OPTIONS = (
    *("--allow", "127.0.0.0/8", "--allow", "::1/128"),
    *("--rate", "0", "--per-address", "0", "--per-address-rate", "0", "--no-progress"),
)


@dataclass(frozen=True, slots=True)
class Scan:
    """What came out, and what the servers wrote meanwhile."""

    records: list[dict[str, Any]]
    certificates: Certificates
    exit_status: int
    errors: str
    duration_s: float
    logs: dict[str, str]  # by the server's name


def scan_of(fleet: Fleet) -> Scan:
    """Run the command once for the whole lot."""
    targets, output = fleet.directory / "targets.csv", fleet.directory / "out.jsonl"
    with targets.open("w", newline="") as file:
        lines = csv.writer(file)
        lines.writerow(["host", "address", "port", "service", "number"])
        for number, listener in enumerate(LISTENERS):
            lines.writerow([listener.host or "", listener.address, listener.port, listener.service, number])
    started = time.monotonic()
    done = subprocess.run(
        [TLSWEEP, "scan", "--input", targets, "--output", output, *OPTIONS],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=SCAN_WITHIN_S,
    )
    duration_s = time.monotonic() - started
    records = [json.loads(line) for line in output.read_text().splitlines()] if output.exists() else []
    logs = {running.server.name: running.log() for running in fleet.running}
    return Scan(records, fleet.certificates, done.returncode, done.stderr, duration_s, logs)
