"""One scan of everything, by the command as a user has it."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from tests.live.certificates import Certificates
from tests.live.fleet import LISTENERS, SERVERS
from tests.live.servers import DidNotStart, Fleet

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


@pytest.fixture(scope="session")
def scan() -> Iterator[Scan]:
    """Start every server, scan them all with one command, and stop them before the first record is looked at."""
    if os.geteuid() != 0:
        pytest.exit("the live tests need root: mail and web servers have ports below 1024", returncode=2)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a cancelled CI job stops the servers as Ctrl-C does
    with TemporaryDirectory(prefix="tlsweep-live-") as name:
        directory = Path(name)
        directory.chmod(0o755)  # Postfix and Dovecot read in it without their privileges
        try:
            with Fleet(SERVERS, directory) as fleet:
                yield scan_of(fleet)
        except DidNotStart as error:
            pytest.exit(f"{error}\n(tests/live/install installs the servers)", returncode=2)


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
