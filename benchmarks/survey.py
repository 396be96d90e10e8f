"""A survey: many mail domains whose mail goes to few hosts, by the command as a user has it, and a name server.

Most domains share few hosts, as in the world: the hosts of a domain are drawn by Pareto's law. Each domain has two. The
names and their addresses are served by NSD where it is installed, and the hosts are one SMTP server on as many loopback
addresses.
"""

import json
import random
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

from benchmarks.cost import Yardsticks, cost_of
from benchmarks.figure import KILOBYTES, TIMES, Figure
from benchmarks.fleet import Fleet
from benchmarks.nsd import ZONE, nsd
from benchmarks.timed import Spent, timed

FIRST_ADDRESS = IPv4Address("127.54.0.1")
SEED = 20261128
TLSWEEP = Path(sys.executable).with_name("tlsweep")
OPTIONS = (
    *("--allow", "127.0.0.0/8", "--rate", "0", "--per-address", "0", "--per-address-rate", "0"),
    *("--per-network-rate", "0", "--retries", "0", "--dns-queries", "128", "--dns-rate", "0", "--no-progress"),
)


def survey(
    fleet: Fleet, directory: Path, yardsticks: Yardsticks, domains: int, hosts: int, repetitions: int
) -> list[Figure]:
    """CPU, wall, memory, queries and connections of surveys; a domain that is not told of rightly has failed."""
    hosts_of = drawn(domains, hosts)
    names, output = directory / "domains.txt", directory / "survey.jsonl"
    names.write_text("".join(f"mx:{domain}.{ZONE}:{fleet.smtp}\n" for domain in hosts_of))
    runs: list[tuple[Spent, Seen]] = []
    with nsd(zone(hosts_of, hosts)) as port:
        if port is None:
            return []
        command: list[str | Path] = [
            TLSWEEP,
            "scan",
            "--input",
            names,
            "--output",
            output,
            "--resolver",
            f"127.0.0.1:{port}",
            *OPTIONS,
            *("--processes", "1"),
        ]
        for _ in range(repetitions):
            output.unlink(missing_ok=True)
            spent = timed(command)
            with output.open("rb") as lines:
                runs.append((spent, Seen(hosts_of, hosts, fleet.smtp, map(json.loads, lines))))
    title = f"survey of {domains:,} domains on {hosts:,} MX hosts"
    wrong = sum(seen.wrong for _, seen in runs)
    cost = cost_of(f"{title}, a domain", [asdict(spent) for spent, _ in runs], domains, failures=wrong)

    def figure(what: str, unit: str, value: Callable[[Spent, Seen], float], aim: float | None = None) -> Figure:
        return Figure(f"{title}, {what}", unit, tuple(float(value(*run)) for run in runs), aim)

    return [
        *yardsticks.figures(cost),
        figure("peak of memory", KILOBYTES, lambda spent, _: spent.peak_bytes / 1_000),
        figure("queries", TIMES, lambda _, seen: seen.queries),
        figure("connections", TIMES, lambda _, seen: seen.connections),
        figure("interviews", TIMES, lambda _, seen: seen.interviews, hosts),
    ]


def drawn(domains: int, hosts_in_all: int) -> dict[str, tuple[str, str]]:
    """The two MX hosts of each domain; every host has at least one domain."""
    chance = random.Random(SEED)
    hosts: dict[str, tuple[str, str]] = {}
    for number in range(domains):
        first = number if number < hosts_in_all else min(int(chance.paretovariate(0.5)) - 1, hosts_in_all - 1)
        second = (first + 1) % hosts_in_all
        hosts[f"d{number}"] = f"mx{first}", f"mx{second}"
    return hosts


def zone(hosts_of: Mapping[str, tuple[str, str]], hosts_in_all: int) -> Iterator[str]:
    """What is below the apex."""
    for number in range(hosts_in_all):
        yield f"mx{number} A {FIRST_ADDRESS + number}\n"
    for domain, hosts in hosts_of.items():
        yield "".join(f"{domain} MX {preference} {host}\n" for preference, host in zip((10, 20), hosts, strict=True))


class Seen:
    """What the records tell: how many interviews there were, and how many domains are not as they should be."""

    def __init__(
        self,
        hosts_of: Mapping[str, tuple[str, str]],
        hosts_in_all: int,
        port: int,
        records: Iterator[dict[str, Any]],
    ) -> None:
        self.interviews = 0
        self.queries = self.connections = 0
        addresses = {f"mx{number}": str(FIRST_ADDRESS + number) for number in range(hosts_in_all)}
        ids: set[str] = set()
        good: set[str] = set()
        for record in records:
            match record["type"]:
                case "endpoint":
                    self.interviews += 1
                    ids.add(record["id"])
                case "domain":
                    name = record["domain"].removesuffix(f".{ZONE}")
                    expected = [f"smtp://{host}.{ZONE}:{port}@{addresses[host]}" for host in hosts_of[name]]
                    named = [each for mx in record["mx"] for each in mx["endpoints"]]
                    if record["status"] == "all_tls" and named == expected and name not in good:
                        good.add(name)
                case "run" if record["event"] == "end":
                    self.connections = record["connections"]
                    self.queries = record["dns"]["queries"]
        self.wrong = len(hosts_of) - len(good) + abs(self.interviews - len(ids))
