"""The cases: what a raw version, a handshake and a whole endpoint cost, and what waiting endpoints hold."""

import json
import os
import re
import resource
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.client import Work
from benchmarks.figure import Figure
from benchmarks.fleet import SHARED, Fleet

ROOT = Path(__file__).parents[1]
MICRO = 1_000_000
# What the SMTP server of the fleet speaks.
VERSIONS = {"SSLv2": "no", "SSLv3": "no", "TLSv1.0": "no", "TLSv1.1": "no", "TLSv1.2": "yes", "TLSv1.3": "yes"}
SHARING = "127.52.0.0/20 127.52.16.0/23 127.52.18.0/24 127.52.19.0/25 127.52.19.128/29"
SHARING_ENDPOINTS = 5_000
PEAKS = 3  # how often the growth of memory is measured: the allocator adds some per cent of chance

Record = dict[str, Any]


def run_client(work: Work) -> dict[str, Any]:
    """Run one scan in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.client", json.dumps(asdict(work))]
    done = subprocess.run(command, check=True, capture_output=True, cwd=ROOT)
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def yardstick(fleet: Fleet, seconds: int) -> float:
    """CPU µs of one full handshake of `openssl s_time -new`: TLS 1.3, ECDSA P-256, X25519, over loopback."""
    command = ["openssl", "s_time", "-new", "-connect", f"127.0.0.1:{fleet.tls}", "-time", str(seconds), "-tls1_3"]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    pin = {min(os.sched_getaffinity(0))}
    done = subprocess.run(command, check=True, capture_output=True, preexec_fn=lambda: os.sched_setaffinity(0, pin))
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    counted = re.search(rb"(\d+) connections in", done.stdout)
    if counted is None:
        raise RuntimeError(f"openssl s_time did not say how many connections it made: {done.stderr.decode()}")
    return cpu / int(counted[1]) * MICRO


class Costs:
    """CPU of scans of the TLS server, repeated; the yardstick is taken anew in each repetition."""

    def __init__(self, fleet: Fleet, directory: Path, repetitions: int, seconds: int) -> None:
        self.fleet = fleet
        self.output = str(directory / "records.jsonl")
        self.repetitions = repetitions
        self.seconds = seconds

    def measure(self) -> list[Figure]:
        """The five costs in µs, and the four ratios with their aims."""
        cases: dict[str, tuple[Work, int, Callable[[Record], bool]]] = {
            "raw version": (self._work("127.16.0.0/18", "tls1.3"), 2**14, _speaks("TLSv1.3")),
            "full handshake": (self._work("127.17.0.0/20", None), 2**12, _completed),
            "endpoint": (self._work("127.18.0.0/21", "all"), 2**11, _whole),
            "STARTTLS endpoint": (self._starttls("127.19.0.0/21"), 2**11, _upgraded),
        }
        values: dict[str, list[float]] = {"openssl s_time": [], **{name: [] for name in cases}}
        failures = dict.fromkeys(values, 0)
        for _ in range(self.repetitions):
            values["openssl s_time"].append(yardstick(self.fleet, self.seconds))
            for name, (work, samples, is_good) in cases.items():
                cost = run_client(work)
                values[name].append((cost["user_s"] + cost["system_s"]) / samples * MICRO)
                failures[name] += samples - sum(map(is_good, self._endpoints()))
        samples_of = {name: case[1] * self.repetitions for name, case in cases.items()}
        costs = {
            name: Figure(name, "µs CPU", tuple(each), failures=failures[name], samples=samples_of.get(name, 0))
            for name, each in values.items()
        }
        measure = costs["openssl s_time"]
        return [
            *costs.values(),
            costs["raw version"].over(measure, "raw version / s_time", 0.25),
            costs["full handshake"].over(measure, "full handshake / s_time", 1.3),
            costs["endpoint"].over(measure, "endpoint / s_time", 2.8),
            costs["STARTTLS endpoint"].over(costs["endpoint"], "STARTTLS endpoint / endpoint", 1.8),
        ]

    def _work(self, network: str, versions: str | None) -> Work:
        return Work(network, self.fleet.tls, self.output, versions, handshake=versions in (None, "all"))

    def _starttls(self, network: str) -> Work:
        return Work(network, self.fleet.smtp, self.output, "all", handshake=True, service="smtp")

    def _endpoints(self) -> list[Record]:
        with Path(self.output).open("rb") as lines:
            return [record for record in map(json.loads, lines) if record["type"] == "endpoint"]


def memory(fleet: Fleet, directory: Path) -> list[Figure]:
    """Bytes for each endpoint that waits or is asked, and the peak with twenty times as many targets."""
    output = str(directory / "records.jsonl")

    def held(work: dict[str, Any], few: tuple[str, int], many: tuple[str, int]) -> float:
        peaks = []
        for network, endpoints in (few, many):
            own = {**work, "networks": network, "endpoints": endpoints, "output": output}
            peaks.append(run_client(Work(**own))["peak_bytes"])
        return float(peaks[1] - peaks[0]) / (many[1] - few[1]) / 1000

    raw = {"port": fleet.silent, "versions": "tls1.3", "stop_after_s": 6}
    shake = {"port": fleet.stalled, "versions": None, "handshake": True, "stop_after_s": 6}
    waiting = held({**raw, "connections": 1}, ("127.32.0.0/24", 256), ("127.33.0.0/18", 16_384))
    probed = held({**raw, "connections": 0}, ("127.32.0.0/24", 256), ("127.33.0.0/20", 4_096))
    shaken = held({**shake, "connections": 0}, ("127.32.0.0/25", 128), ("127.33.0.0/22", 1_024))
    return [
        Figure("endpoint that waits", "KB", (waiting,), 25),
        Figure("endpoint in a raw probe", "KB", (probed,), 25),
        Figure("endpoint in a handshake", "KB", (shaken,), 90),
        _growth(fleet, output),
    ]


def certificates(fleet: Fleet, directory: Path) -> list[Figure]:
    """How often certificates are parsed, and chains verified, for 5,000 endpoints that share 20; and are written."""
    output, stored = directory / "records.jsonl", directory / "certificates.jsonl"
    work = Work(SHARING, fleet.shared, str(output), None, handshake=True, service="smtp", certificates=str(stored))
    result = run_client(work)
    with output.open("rb") as lines:
        good = sum(map(_shares, map(json.loads, lines)))
    counts = {"parsed": result["parsed"], "verified": result["verified"], "written": _lines_of(stored)}
    name = f"certificates, {SHARED} on {SHARING_ENDPOINTS:,} endpoints, "
    failures = SHARING_ENDPOINTS - good
    return [
        Figure(name + what, "times", (float(count),), SHARED, failures, SHARING_ENDPOINTS)
        for what, count in counts.items()
    ]


def _lines_of(path: Path) -> int:
    with path.open("rb") as lines:
        return sum(1 for _ in lines)


def _shares(record: Record) -> bool:
    return record["type"] == "endpoint" and bool(record["certificate"]) and record["certificate"]["parse_error"] is None


def _growth(fleet: Fleet, output: str) -> Figure:
    """The peak at 204,800 targets over that at 10,240; each with 5,000 in flight, so that only the number differs."""
    few, many = "127.40.0.0/19 127.41.0.0/21", "127.48.0.0/15 127.50.0.0/16 127.51.0.0/19"

    def peak(networks: str) -> float:
        return float(run_client(Work(networks, fleet.tls, output, "tls1.3", endpoints=5_000))["peak_bytes"])

    peaks = [(peak(few), peak(many)) for _ in range(PEAKS)]
    return Figure(
        "peak at 204,800 targets over 10,240", "ratio", tuple(large / small - 1 for small, large in peaks), 0.05
    )


def _speaks(version: str) -> Callable[[Record], bool]:
    return lambda record: bool(record["versions"]) and record["versions"][version]["evidence"] == "server_hello"


def _completed(record: Record) -> bool:
    return bool(record["tls"]) and record["tls"]["error"] is None and len(record["tls"]["chain"]) == 2


def _whole(record: Record) -> bool:
    return _completed(record) and all(_speaks(version)(record) for version in ("TLSv1.2", "TLSv1.3"))


def _upgraded(record: Record) -> bool:
    """Seven dialogues up to TLS, and the one inside it."""
    if not _whole(record) or record["status"] != "tls" or record["starttls"]["verdict"] != "ok":
        return False
    inside = record["starttls"]["inside"]
    spoken = {version: entry["verdict"] for version, entry in record["versions"].items()}
    return bool(inside) and inside["auth"] == ["PLAIN", "LOGIN"] and spoken == VERSIONS and record["connections"] == 7
