"""What a question to the DNS costs: thousands of distinct names, asked of NSD on loopback.

`python -m benchmarks.resolving '{"port": 5353, "names": 20000, "both": false}'` asks, in a process of its own, and
prints one JSON object.
"""

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import trio
from dns.rdatatype import RdataType

from benchmarks.cost import Cost, Yardsticks, cost_of
from benchmarks.figure import Figure
from benchmarks.nsd import ZONE, nsd
from targets.answer import DnsStatus
from targets.resolver import Resolver
from targets.resolving.limits import DnsLimits

NAMES = 20_000
AT_ONCE = 128  # names; so many datagrams fit into the server's buffer
KINDS = (RdataType.A, RdataType.AAAA, RdataType.MX)
QUERY_AIM_US = 150.0


@dataclass(frozen=True, slots=True)
class Work:
    """What to ask: one of A, AAAA and MX of each name in turn, or both A and AAAA as a scan does."""

    port: int
    names: int = NAMES
    both: bool = False


def resolving(yardsticks: Yardsticks, repetitions: int) -> list[Figure]:
    """µs of CPU for one question, and for both of a name; and the same in units of the yardsticks."""
    with nsd(_zone()) as port:
        if port is None:
            return []
        query = _cost("dns query", Work(port), repetitions, QUERY_AIM_US)
        both = _cost("a name: A and AAAA", Work(port, both=True), repetitions, None)
    return [*yardsticks.figures(query), *yardsticks.figures(both)]


def _zone() -> Iterator[str]:
    for number in range(NAMES):
        yield f"n{number} A 192.0.2.{number % 256}\nn{number} AAAA 2001:db8::{number:x}\n"
        yield f"n{number} MX 10 mx1.n{number}\nn{number} MX 20 mx2.n{number}\n"


def _cost(name: str, work: Work, repetitions: int, aim_us: float | None) -> Cost:
    spent = [_run(work) for _ in range(repetitions)]
    failures = sum(each["failures"] for each in spent)
    return cost_of(name, spent, work.names, aim_us=aim_us, failures=failures)


def _run(work: Work) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.resolving", json.dumps(asdict(work))]
    done = subprocess.run(command, check=True, capture_output=True, cwd=Path(__file__).parents[1])
    result: dict[str, Any] = json.loads(done.stdout)
    return result


async def _ask(resolver: Resolver, names: Iterator[int], failed: list[int], *, both: bool) -> None:
    """Take names until there are none."""
    for number in names:
        name = f"n{number}.{ZONE}"
        if both:
            good = len((await resolver.resolve(name)).addresses) == 2
        else:
            answer = await resolver.ask(name, KINDS[number % len(KINDS)])
            good = answer.status is DnsStatus.OK
        if not good:
            failed.append(number)


async def _ask_all(work: Work, failed: list[int]) -> None:
    resolver = Resolver([(IPv4Address("127.0.0.1"), work.port)], limits=DnsLimits(AT_ONCE, rate=0))
    names = iter(range(work.names))
    async with trio.open_nursery() as nursery:
        for _ in range(AT_ONCE):
            nursery.start_soon(lambda: _ask(resolver, names, failed, both=work.both))


def main() -> None:
    """Ask, and print the cost."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    work, failed = Work(**json.loads(sys.argv[1])), list[int]()
    before, begun = resource.getrusage(resource.RUSAGE_SELF), time.monotonic()
    trio.run(_ask_all, work, failed)
    after, wall_s = resource.getrusage(resource.RUSAGE_SELF), time.monotonic() - begun
    cost = {"user_s": after.ru_utime - before.ru_utime, "system_s": after.ru_stime - before.ru_stime}
    print(json.dumps(cost | {"wall_s": wall_s, "failures": len(failed)}))


if __name__ == "__main__":
    main()
