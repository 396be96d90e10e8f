"""One scan of everything, by the command as a user has it."""

import csv
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.live.certificates import Certificates
from tests.live.servers import Fleet, Listener

TLSWEEP = Path(sys.executable).with_name("tlsweep")
SCAN_WITHIN_S = 90
OPTIONS = (
    *("--allow", "127.0.0.0/8", "--allow", "::1/128"),
    *("--rate", "0", "--per-address", "0", "--per-address-rate", "0", "--per-network-rate", "0"),
    *("--network-prefixes", "32,128", "--retries", "0", "--no-progress"),
)


@dataclass(frozen=True, slots=True)
class Scan:
    """Who was asked, what came out, and what the servers wrote meanwhile."""

    listeners: Sequence[Listener]
    records: list[dict[str, Any]]
    certificates: Certificates
    exit_status: int
    errors: str
    duration_s: float
    logs: dict[str, str]  # by the server's name


def scan_of(fleet: Fleet, listeners: Sequence[Listener], *options: str) -> Scan:
    """Run the command once for all of these. `options` have the last word."""
    targets, output = fleet.directory / "targets.csv", fleet.directory / "out.jsonl"
    with targets.open("w", newline="") as file:
        lines = csv.writer(file)
        lines.writerow(["host", "address", "port", "service", "number"])
        for number, listener in enumerate(listeners):
            lines.writerow([listener.host or "", listener.address, listener.port, listener.service, number])
    started = time.monotonic()
    done = subprocess.run(
        [
            TLSWEEP,
            "scan",
            "--input",
            targets,
            "--output",
            output,
            "--trust",
            fleet.certificates.root,
            *OPTIONS,
            *options,
        ],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=SCAN_WITHIN_S,
    )
    duration_s = time.monotonic() - started
    records = [json.loads(line) for line in output.read_text().splitlines()] if output.exists() else []
    logs = {running.server.name: running.log() for running in fleet.running}
    return Scan(listeners, records, fleet.certificates, done.returncode, done.stderr, duration_s, logs)
