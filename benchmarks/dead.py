"""Where 5 % of the addresses are alive: what the dead ones cost, and whether they keep the connections from the others.

The dead ones refuse; or they are blackholes, to which nothing ever comes back: in a namespace whose wire swallows what
is sent there, and where there may be none, a listener that accepts nobody and whose queue is full, to which the kernel
drops every further SYN. `python -m benchmarks.dead WORK` is the former, inside.
"""

import json
import random
import socket
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

from benchmarks import namespace
from benchmarks.cases import records_of, run_client, speaks
from benchmarks.client import Work
from benchmarks.cost import Yardsticks, cost_of, waited
from benchmarks.figure import SHARE, Figure
from benchmarks.fleet import Fleet, free_ports, tls_server

ALIVE_OF = 20  # one of so many
ALIVE, DEAD, SWALLOWED = IPv4Address("127.61.0.1"), IPv4Address("127.62.0.1"), IPv4Address("10.9.0.1")
CONNECT_S = 1
# So many that the dead ones of 5,000 or 10,000 endpoints take a whole number of rounds.
CONNECTIONS = 475
SEED = 20261128


@dataclass(frozen=True, slots=True)
class Mixed:
    """Endpoints of which few are alive, in an order by chance."""

    endpoints: int
    repetitions: int
    alive_port: int
    dead_from: str
    dead_port: int

    @property
    def alive(self) -> int:
        """How many are."""
        return self.endpoints // ALIVE_OF

    def lines(self) -> str:
        """The input of a scan."""
        lines = [f"tls://{ALIVE + number}:{self.alive_port}\n" for number in range(self.alive)]
        dead = IPv4Address(self.dead_from)
        lines += [f"tls://{dead + number}:{self.dead_port}\n" for number in range(self.endpoints - self.alive)]
        random.Random(SEED).shuffle(lines)
        return "".join(lines)


def mostly_dead(fleet: Fleet, yardsticks: Yardsticks, refused: int, silent: int, repetitions: int) -> list[Figure]:
    """What an endpoint costs among so many that refuse, and so many that are silent; and how many connections idle."""
    (closed,) = free_ports(1)
    spent = measured(Mixed(refused, repetitions, fleet.tls, str(DEAD), closed))
    cost = cost_of("endpoint, 95 % refuse", spent, refused, failures=sum(each["failures"] for each in spent))
    return [*yardsticks.figures(cost), *_blackholed(fleet, yardsticks, silent, repetitions)]


def _blackholed(fleet: Fleet, yardsticks: Yardsticks, endpoints: int, repetitions: int) -> list[Figure]:
    if namespace.may_have_own():
        how = "swallowed"
        spent = namespace.run_inside("benchmarks.dead", {"endpoints": endpoints, "repetitions": repetitions})
    else:
        how = "full queue"
        with full_queue() as port:
            spent = measured(Mixed(endpoints, repetitions, fleet.tls, str(DEAD), port))
    name = f"endpoint, 95 % silent ({how})"
    cost = cost_of(name, spent, endpoints, failures=sum(each["failures"] for each in spent))
    least_s = (endpoints - endpoints // ALIVE_OF) * CONNECT_S / CONNECTIONS
    idle = tuple(1 - least_s / each["wall_s"] for each in spent)
    figure = Figure(f"idle connections, 95 % silent ({how})", SHARE, idle, 0.05)
    return [*yardsticks.figures(cost), figure, waited(f"95 % silent ({how})", spent)]


def measured(mixed: Mixed) -> list[dict[str, Any]]:
    """What the client took, each time, and how many endpoints it did not tell of rightly."""
    with tempfile.TemporaryDirectory(prefix="tlsweep-bench-") as name:
        listed, output = Path(name) / "targets", str(Path(name) / "records.jsonl")
        listed.write_text(mixed.lines())
        work = Work(
            "",
            mixed.dead_port,
            output,
            "tls1.3",
            connections=CONNECTIONS,
            input=str(listed),
            connect_s=CONNECT_S,
            allow="0.0.0.0/0",
        )
        return [run_client(work) | {"failures": _wrong(mixed, output)} for _ in range(mixed.repetitions)]


def _wrong(mixed: Mixed, output: str) -> int:
    """A dead one that is not told of, and a live one that did not answer, are failures."""
    records = records_of(output)
    good = sum(map(speaks("TLSv1.3"), records))
    return mixed.endpoints - len(records) + abs(mixed.alive - good)


@contextmanager
def full_queue() -> Iterator[int]:
    """A port on every loopback address where no SYN is answered: its queue takes one connection, and has it."""
    with socket.create_server(("0.0.0.0", 0), backlog=0) as listener:
        port = listener.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port), 1):
            yield port


def main() -> None:
    """Inside a namespace: measure, and print."""
    work = json.loads(sys.argv[1])
    namespace.bring_up()
    namespace.swallow()
    with tls_server() as port:
        mixed = Mixed(work["endpoints"], work["repetitions"], port, str(SWALLOWED), port)
        print(json.dumps(measured(mixed)))


if __name__ == "__main__":
    main()
