"""Timings in the records are the server's, also where the scan has no time to look: 2,000 in flight on one core.

The server tells how long each step truly took by its own clock. Both ends learn from the kernel when bytes came, by
a clock of 4 ms: where that tells of one tick or less, nothing is taken off, and beyond it, one tick may be too many.
So a moment is right to two ticks, 8 ms, and a turn, which has one at each end, to 16; the upgrade has two turns. One in
a hundred may be worse: a machine that others use interrupts either end between a look at the clock and what it was for.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from benchmarks.client import Work

PORT = 47_311
IN_FLIGHT = 2_000
GREETING_MS, REPLY_MS, TLS_MS = 300, 100, 250
TURN_MS = 16  # two moments
TURNS = {"greeting": 1, "upgrade": 2, "tls": 1}


@contextmanager
def server(*options: str) -> Iterator[subprocess.Popen[bytes]]:
    """On the last core; the client has the first."""
    command = [sys.executable, "-m", "tests.peers.delays", *map(str, (PORT, GREETING_MS, REPLY_MS, TLS_MS)), *options]
    core = {max(os.sched_getaffinity(0))}
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[2],
    ) as process:
        os.sched_setaffinity(process.pid, core)
        assert process.stdout
        assert process.stdout.readline() == b"ready\n"
        yield process


def scanned(tmp_path: Path, networks: str, *, shakes: bool) -> tuple[list[dict[str, Any]], dict[str, dict[str, float]]]:
    """The records of a scan, and what the server says of each address."""
    output = tmp_path / "out.jsonl"
    versions = None if shakes else "tls1.3"
    work = Work(networks, PORT, str(output), versions, shakes, IN_FLIGHT, IN_FLIGHT, service="smtp")
    with server(*(["--handshake"] if shakes else [])) as process:
        client = [sys.executable, "-m", "benchmarks.client", json.dumps(asdict(work))]
        subprocess.run(client, check=True, stdout=subprocess.DEVNULL, cwd=Path(__file__).parents[2])
        truth = json.loads(process.communicate()[0])
    records = map(json.loads, output.read_bytes().splitlines())
    return [record for record in records if record["type"] == "endpoint"], truth


@pytest.mark.parametrize(
    ("networks", "shakes", "endpoints"), [("127.61.0.0/19", False, 8_192), ("127.62.0.0/20", True, 4_096)]
)
def test_right_under_load(tmp_path: Path, networks: str, shakes: bool, endpoints: int) -> None:
    """What a record says of each step is what the server took, though the scan looked at it much later."""
    records, truth = scanned(tmp_path, networks, shakes=shakes)
    assert (len(records), len(truth)) == (endpoints, endpoints)
    steps = {"greeting": "greeting", "upgrade": "upgrade", "handshake" if shakes else "hello": "tls"}
    for step, taken in steps.items():
        errors = [abs(each["timings_ms"][step] - truth[each["address"]][taken]) for each in records]
        assert share(errors, TURN_MS * TURNS[taken]) >= 0.99, (step, sorted(errors)[-100::10])
    assert share([each["timings_ms"]["connect"] for each in records], 4) >= 0.99  # the kernel answers at once
    ours = [each["duration_ms"] - sum(each["timings_ms"].values()) for each in records]
    assert share(ours, TURN_MS) < 0.5  # else nobody was late, and nothing was tried here


def share(values: list[float], most: float) -> float:
    """How much of them is no more than that."""
    return sum(value <= most for value in values) / len(values)
