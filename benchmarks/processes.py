"""What several processes cost: the CPU of all of them together over that of one, and how much sooner they are done.

The command as a user has it, from its start to its end, so that the start of the workers counts too. All processes
share the client's core while CPU is measured; the runs by one and by several take turns.
"""

import os
from dataclasses import dataclass
from pathlib import Path

from benchmarks.cases import records_of
from benchmarks.cost import MICRO
from benchmarks.figure import CPU, RATIO, Figure
from benchmarks.fleet import Fleet
from benchmarks.survey import OPTIONS, TLSWEEP
from benchmarks.timed import Spent, timed

PROCESSES = 2
AIM = 1.1
LEAST_CORES = 4  # one for the servers, one for whoever looks on, and two to be compared


@dataclass(frozen=True, slots=True)
class Work:
    """What is scanned."""

    name: str
    target: str
    versions: str
    endpoints: int


def processes(fleet: Fleet, directory: Path, repetitions: int) -> list[Figure]:
    """CPU of an endpoint, by one process and by several, and the one over the other."""
    works = [
        Work("STARTTLS endpoint", f"smtp://127.19.0.0/20:{fleet.smtp}", "all", 2**12),
        Work("one version and a handshake", f"tls://127.18.0.0/19:{fleet.tls}", "tls1.3", 2**13),
    ]
    figures = []
    for work in works:
        one, several = _in_turns(work, directory, repetitions, (1, PROCESSES), cores=1)
        alone = _cpu(f"{work.name}, by the command", work, one)
        together = _cpu(f"{work.name}, by {PROCESSES} processes", work, several)
        figures += [alone, together, together.over(alone, f"{work.name}, {PROCESSES} processes / 1", AIM)]
    return figures + _sooner(works[0], directory, repetitions)


def _sooner(work: Work, directory: Path, repetitions: int) -> list[Figure]:
    """Wall-clock time by as many processes as there are cores for them, over that by one; where there are enough."""
    cores = len(os.sched_getaffinity(0)) - 1  # the last one is the servers'
    if cores < LEAST_CORES - 1:
        print(f"processes: no wall-clock time, for that takes {LEAST_CORES} cores")
        return []
    one, several = _in_turns(work, directory, repetitions, (1, cores), cores=cores)
    ratios = tuple(theirs.wall_s / his.wall_s for (theirs, _), (his, _) in zip(several, one, strict=True))
    failures = sum(failed for _, failed in (*one, *several))
    name = f"{work.name}, wall of {cores} processes / 1"
    return [Figure(name, RATIO, ratios, None, failures, 2 * repetitions * work.endpoints)]


def _in_turns(
    work: Work, directory: Path, repetitions: int, counts: tuple[int, int], *, cores: int
) -> list[list[tuple[Spent, int]]]:
    """What each run took, and how many of its endpoints have not the record that they should have."""
    output = directory / "records.jsonl"
    options: list[str | Path] = [*OPTIONS, "--versions", work.versions, "--output", output]
    runs: list[list[tuple[Spent, int]]] = [[], []]
    for _ in range(repetitions):
        for number, of_count in zip(counts, runs, strict=True):
            spent = timed([TLSWEEP, "scan", work.target, *options, "--processes", str(number)], cores)
            good = sum(record["status"] == "tls" for record in records_of(str(output)))
            of_count.append((spent, work.endpoints - good))
    return runs


def _cpu(name: str, work: Work, runs: list[tuple[Spent, int]]) -> Figure:
    values = tuple((spent.user_s + spent.system_s) / work.endpoints * MICRO for spent, _ in runs)
    return Figure(name, CPU, values, None, sum(failed for _, failed in runs), len(runs) * work.endpoints)
