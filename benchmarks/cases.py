"""The cases: what a raw version, a handshake and a whole endpoint cost, and what waiting endpoints hold."""

import json
import os
import re
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any

from benchmarks.client import Work
from benchmarks.cost import Cost, Yardsticks, cost_of
from benchmarks.figure import KILOBYTES, SHARE, TIMES, Figure
from benchmarks.fleet import SHARED, Fleet
from benchmarks.floor import Floor

ROOT = Path(__file__).parents[1]
# What the SMTP server of the fleet speaks.
VERSIONS = {"SSLv2": "no", "SSLv3": "no", "TLSv1.0": "no", "TLSv1.1": "no", "TLSv1.2": "yes", "TLSv1.3": "yes"}
SHARING = "127.52.0.0/20 127.52.16.0/23 127.52.18.0/24 127.52.19.0/25 127.52.19.128/29"
SHARING_ENDPOINTS = 5_000
FLOOR_CONNECTIONS = 2**14
IN_FLIGHT_AT_MOST, CONNECTIONS = 20_000, 1_000  # of a scan, where nothing is said
IN_FLIGHT = 500  # of the floor: as many as of a scan (`Work.connections`)

Record = dict[str, Any]


def run_client(work: Work) -> dict[str, Any]:
    """Run one scan in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.client", json.dumps(asdict(work))]
    done = subprocess.run(command, check=True, capture_output=True, cwd=ROOT)
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def records_of(output: str) -> list[Record]:
    """The endpoints that a scan wrote."""
    with Path(output).open("rb") as lines:
        return [record for record in map(json.loads, lines) if record["type"] == "endpoint"]


def s_time(fleet: Fleet, seconds: int) -> dict[str, float]:
    """One full handshake of `openssl s_time -new`: TLS 1.3, ECDSA P-256, X25519, over loopback, one after the other."""
    command = ["openssl", "s_time", "-new", "-connect", f"127.0.0.1:{fleet.tls}", "-time", str(seconds), "-tls1_3"]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    pin = {min(os.sched_getaffinity(0))}
    begun = time.monotonic()
    done = subprocess.run(command, check=True, capture_output=True, preexec_fn=lambda: os.sched_setaffinity(0, pin))
    wall_s = time.monotonic() - begun
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    counted = re.search(rb"(\d+) connections in", done.stdout)
    if counted is None:
        raise RuntimeError(f"openssl s_time did not say how many connections it made: {done.stderr.decode()}")
    made = int(counted[1])
    user_s, system_s = after.ru_utime - before.ru_utime, after.ru_stime - before.ru_stime
    return {"user_s": user_s / made, "system_s": system_s / made, "wall_s": wall_s / made}


@dataclass(frozen=True, slots=True)
class Case:
    """A scan whose CPU is measured, and what a record of it must tell."""

    name: str
    work: Work
    samples: int
    is_good: Callable[[Record], bool]
    aim: float | None = None  # in handshakes of s_time


class Costs:
    """CPU of scans of the servers, repeated; the yardsticks are taken anew in each repetition."""

    def __init__(self, fleet: Fleet, directory: Path, repetitions: int, seconds: int) -> None:
        self.fleet = fleet
        self.output = str(directory / "records.jsonl")
        self.repetitions = repetitions
        self.seconds = seconds
        self.floor = Floor(directory)

    def cases(self) -> list[Case]:
        """What is measured."""
        return [
            Case("raw version", self._work("127.16.0.0/18", "tls1.3"), 2**14, speaks("TLSv1.3"), 0.25),
            Case("full handshake", self._work("127.17.0.0/20", None), 2**12, _completed, 1.3),
            Case("endpoint", self._work("127.18.0.0/21", "all"), 2**11, _whole, 2.8),
            Case("STARTTLS endpoint", self._starttls("127.19.0.0/21"), 2**11, _upgraded),
        ]

    def measure(self, cases: Sequence[Case]) -> tuple[Yardsticks, list[Figure]]:
        """The yardsticks, and the figures of each of these cases beside them."""
        handshakes, floors = [], []
        spent: dict[str, list[dict[str, Any]]] = {case.name: [] for case in cases}
        failures = dict.fromkeys(spent, 0)
        for _ in range(self.repetitions):
            handshakes.append(s_time(self.fleet, self.seconds))
            floors.append(self.floor.run("127.20.0.0", FLOOR_CONNECTIONS, self.fleet.tls, IN_FLIGHT))
            for case in cases:
                spent[case.name].append(run_client(case.work))
                failures[case.name] += case.samples - sum(map(case.is_good, records_of(self.output)))
        failed = sum(each.failed for each in floors)
        yardsticks = Yardsticks(
            replace(cost_of("openssl s_time", handshakes, 1), samples=0),
            cost_of(self.floor.name, map(asdict, floors), FLOOR_CONNECTIONS, failures=failed),
        )
        costs = {
            case.name: cost_of(case.name, spent[case.name], case.samples, failures=failures[case.name])
            for case in cases
        }
        return yardsticks, [
            *yardsticks.own_figures(),
            *chain.from_iterable(yardsticks.figures(costs[case.name], case.aim) for case in cases),
            *_starttls_over_implicit(costs),
        ]

    def _work(self, network: str, versions: str | None) -> Work:
        return Work(network, self.fleet.tls, self.output, versions, handshake=versions in (None, "all"))

    def _starttls(self, network: str) -> Work:
        return Work(network, self.fleet.smtp, self.output, "all", handshake=True, service="smtp")


def _starttls_over_implicit(costs: Mapping[str, Cost]) -> list[Figure]:
    if "endpoint" not in costs:
        return []
    return [costs["STARTTLS endpoint"].cpu.over(costs["endpoint"].cpu, "STARTTLS endpoint / endpoint", 1.8)]


def memory(fleet: Fleet, directory: Path, repetitions: int) -> list[Figure]:
    """Kilobytes for each endpoint that waits or is asked: alone in its state, and among 20,000 in flight."""
    held = Held(str(directory / "records.jsonl"), repetitions)
    raw = {"port": fleet.silent, "versions": "tls1.3", "connections": 0, "stop_after_s": 6}
    shake = {"port": fleet.stalled, "versions": None, "handshake": True, "connections": 0, "stop_after_s": 6}
    waiting, probed = ("127.32.0.0/24", 256), ("127.33.0.0/20", 4_096)
    shaken, in_flight = ("127.32.0.0/25", 128), ("127.33.0.0/18 127.34.0.0/20", IN_FLIGHT_AT_MOST)
    crowd, some = replace(held, repetitions=1), {"connections": CONNECTIONS, "stop_after_s": 12}
    mixed = (25 * (IN_FLIGHT_AT_MOST - CONNECTIONS) + 90 * CONNECTIONS) / IN_FLIGHT_AT_MOST
    of_all = f"one of {IN_FLIGHT_AT_MOST:,} endpoints"
    return [
        held.figure("endpoint that waits", 25, raw | {"connections": 1}, waiting, ("127.33.0.0/18", 16_384)),
        held.figure("endpoint in a raw probe", 25, raw, waiting, probed),
        held.figure("endpoint in a handshake", 90, shake, shaken, ("127.33.0.0/22", 1_024)),
        # Where `ulimit -n` is 20,000, a few hundred of them wait.
        crowd.figure(f"{of_all} in raw probes", 25, raw | {"stop_after_s": 20}, waiting, in_flight),
        crowd.figure(f"{of_all}, {CONNECTIONS:,} in handshakes", mixed, shake | some, shaken, in_flight),
    ]


@dataclass(frozen=True, slots=True)
class Held:
    """Measures what an endpoint holds: how much higher the peak is with many of them than with few."""

    output: str
    repetitions: int

    def figure(
        self, name: str, aim: float, work: dict[str, Any], few: tuple[str, int], many: tuple[str, int]
    ) -> Figure:
        """`few` and `many`: networks, and how many of their endpoints are in flight."""
        more = (many[1] - few[1]) * 1000
        values = (self._peak(work, *many) - self._peak(work, *few) for _ in range(self.repetitions))
        return Figure(name, KILOBYTES, tuple(value / more for value in values), aim)

    def _peak(self, work: dict[str, Any], networks: str, endpoints: int) -> float:
        own = {**work, "networks": networks, "endpoints": endpoints, "output": self.output}
        return float(run_client(Work(**own))["peak_bytes"])


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
        Figure(name + what, TIMES, (float(count),), SHARED, failures, SHARING_ENDPOINTS)
        for what, count in counts.items()
    ]


def _lines_of(path: Path) -> int:
    with path.open("rb") as lines:
        return sum(1 for _ in lines)


def _shares(record: Record) -> bool:
    return record["type"] == "endpoint" and bool(record["certificate"]) and record["certificate"]["parse_error"] is None


def growth(fleet: Fleet, directory: Path, repetitions: int) -> list[Figure]:
    """The peak at 204,800 targets over that at 10,240; each with 5,000 in flight, so that only the number differs."""
    output = str(directory / "records.jsonl")
    few, many = "127.40.0.0/19 127.41.0.0/21", "127.48.0.0/15 127.50.0.0/16 127.51.0.0/19"

    def peak(networks: str) -> float:
        return float(run_client(Work(networks, fleet.tls, output, "tls1.3", endpoints=5_000))["peak_bytes"])

    peaks = [(peak(few), peak(many)) for _ in range(repetitions)]
    more = tuple(large / small - 1 for small, large in peaks)
    return [Figure("peak at 204,800 targets over 10,240", SHARE, more, 0.05)]


def speaks(version: str) -> Callable[[Record], bool]:
    return lambda record: bool(record["versions"]) and record["versions"][version]["evidence"] == "server_hello"


def _completed(record: Record) -> bool:
    return bool(record["tls"]) and record["tls"]["error"] is None and len(record["tls"]["chain"]) == 2


def _whole(record: Record) -> bool:
    return _completed(record) and all(speaks(version)(record) for version in ("TLSv1.2", "TLSv1.3"))


def _upgraded(record: Record) -> bool:
    """Seven dialogues up to TLS, and the one inside it."""
    if not _whole(record) or record["status"] != "tls" or record["starttls"]["verdict"] != "ok":
        return False
    inside = record["starttls"]["inside"]
    spoken = {version: entry["verdict"] for version, entry in record["versions"].items()}
    return bool(inside) and inside["auth"] == ["PLAIN", "LOGIN"] and spoken == VERSIONS and record["connections"] == 7
