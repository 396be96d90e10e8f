"""A network of 100 ms round trips with 400 connections allowed: how many of them idle, though there is work?

A raw version over it takes two round trips: one for the connection, one for the answer. So many connections at once
take at least endpoints / 400 * 200 ms. With netem in a namespace each packet takes its time, SYNs too, and in a second
case 1 % of them are lost; then the least is what the floor takes over the same network. Where there is no netem, the
server answers 200 ms after it accepted, and nothing is lost. `python -m benchmarks.distance WORK` measures inside a
namespace.
"""

import json
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks import namespace
from benchmarks.cases import records_of, run_client, speaks
from benchmarks.client import Work
from benchmarks.cost import Yardsticks, cost_of, waited
from benchmarks.figure import OF_WALL, RATIO, SHARE, Figure
from benchmarks.fleet import free_ports, running, tls_server
from benchmarks.floor import Floor

ROUND_TRIP_MS, ROUND_TRIPS, CONNECTIONS = 100, 2, 400
NETWORK = "127.66.0.0"
AIM = 0.05  # of the connections may idle


@dataclass(frozen=True, slots=True)
class Distant:
    """How much is asked of a server far away."""

    endpoints: int  # a power of two
    repetitions: int
    loss_percent: int = 0

    @property
    def network(self) -> str:
        """Its addresses."""
        return f"{NETWORK}/{32 - (self.endpoints - 1).bit_length()}"

    @property
    def least_s(self) -> float:
        """When no connection idles, and no packet is lost."""
        return self.endpoints * ROUND_TRIPS * ROUND_TRIP_MS / 1000 / CONNECTIONS


def distant(yardsticks: Yardsticks, endpoints: int, repetitions: int) -> list[Figure]:
    """Idle connections, and what an endpoint costs when it is far away."""
    near = Distant(endpoints, repetitions)
    if not namespace.may_delay():
        (port,) = free_ports(1)
        delay_ms = ROUND_TRIPS * ROUND_TRIP_MS
        with running([sys.executable, "-m", "benchmarks.slow_server", str(port), str(delay_ms)], port):
            return _figures("100 ms by a slow server", near, measured(near, port), yardsticks)
    lossy = Distant(endpoints, repetitions, loss_percent=1)
    return [
        *_figures("100 ms by netem", near, namespace.run_inside("benchmarks.distance", asdict(near)), yardsticks),
        *_lossy_figures("100 ms and 1 % loss by netem", namespace.run_inside("benchmarks.distance", asdict(lossy))),
    ]


def _figures(how: str, work: Distant, spent: list[dict[str, Any]], yardsticks: Yardsticks) -> list[Figure]:
    failures = sum(each["failures"] for each in spent)
    cost = cost_of(f"raw version, {how}", spent, work.endpoints, failures=failures)
    return [
        *yardsticks.figures(cost),
        Figure(f"idle connections, {how}", SHARE, tuple(1 - work.least_s / each["wall_s"] for each in spent), AIM),
        Figure(
            f"idle connections of the floor, {how}",
            OF_WALL,
            tuple(1 - work.least_s / each["floor_wall_s"] for each in spent),
        ),
        waited(how, spent),
    ]


def _lossy_figures(how: str, spent: list[dict[str, Any]]) -> list[Figure]:
    """What got no answer is no failure here: a lost packet may be the last that a client waits for."""
    slower = tuple(each["wall_s"] / each["floor_wall_s"] for each in spent)
    return [Figure(f"wall over the floor's, {how}", RATIO, slower, 1 / (1 - AIM)), waited(how, spent)]


def measured(work: Distant, port: int) -> list[dict[str, Any]]:
    """What the client and the floor took, each time, and how many endpoints did not get their answer."""
    with tempfile.TemporaryDirectory(prefix="tlsweep-bench-") as name:
        output, floor = str(Path(name) / "records.jsonl"), Floor(Path(name))
        scan = Work(work.network, port, output, "tls1.3", connections=CONNECTIONS)
        spent = []
        for _ in range(work.repetitions):
            bare = floor.run(NETWORK, work.endpoints, port, CONNECTIONS)
            cost = run_client(scan)
            good = sum(map(speaks("TLSv1.3"), records_of(output)))
            spent.append(cost | {"floor_wall_s": bare.wall_s, "failures": work.endpoints - good})
        return spent


def main() -> None:
    """Inside a namespace: measure, and print."""
    work = Distant(**json.loads(sys.argv[1]))
    namespace.bring_up()
    with tls_server() as port:
        namespace.delay(ROUND_TRIP_MS, work.loss_percent)
        print(json.dumps(measured(work, port)))


if __name__ == "__main__":
    main()
