"""What several processes cost: the CPU of all of them together over that of one, and how much sooner they are done.

The command as a user has it, from its start to its end, so that the start of the workers counts too. All processes
share the client's core while CPU is measured; the runs by one and by several take turns.
"""

import os
from pathlib import Path

from benchmarks.cases import records_of
from benchmarks.cost import MICRO
from benchmarks.figure import CPU, RATIO, Figure
from benchmarks.fleet import Fleet
from benchmarks.survey import OPTIONS, TLSWEEP
from benchmarks.timed import Spent, timed

PROCESSES = 2
ENDPOINTS = 2**12
AIM = 1.1
LEAST_CORES = 4  # one for the servers, one for whoever looks on, and two to be compared


def processes(fleet: Fleet, directory: Path, repetitions: int) -> list[Figure]:
    """CPU of an endpoint, by one process and by several, and the one over the other."""
    works = {
        "STARTTLS endpoint": (f"smtp://127.19.0.0/20:{fleet.smtp}", "all"),
        "one version and a handshake": (f"tls://127.18.0.0/20:{fleet.tls}", "tls1.3"),
    }
    figures = []
    for name, (target, versions) in works.items():
        one, several = _in_turns(directory / "records.jsonl", target, versions, repetitions, (1, PROCESSES), cores=1)
        alone = _cpu(f"{name}, by the command", one)
        together = _cpu(f"{name}, by {PROCESSES} processes", several)
        figures += [alone, together, together.over(alone, f"{name}, {PROCESSES} processes / 1", AIM)]
    return figures + _sooner(fleet, directory, repetitions)


def _sooner(fleet: Fleet, directory: Path, repetitions: int) -> list[Figure]:
    """Wall-clock time by as many processes as there are cores for them, over that by one; where there are enough."""
    cores = len(os.sched_getaffinity(0)) - 1  # the last one is the servers'
    if cores < LEAST_CORES - 1:
        print(f"processes: no wall-clock time, for that takes {LEAST_CORES} cores")
        return []
    target = f"smtp://127.19.0.0/20:{fleet.smtp}"
    one, several = _in_turns(directory / "records.jsonl", target, "all", repetitions, (1, cores), cores=cores)
    ratios = tuple(theirs.wall_s / his.wall_s for (theirs, _), (his, _) in zip(several, one, strict=True))
    failures = sum(failed for _, failed in (*one, *several))
    name = f"STARTTLS endpoint, wall of {cores} processes / 1"
    return [Figure(name, RATIO, ratios, None, failures, 2 * repetitions * ENDPOINTS)]


def _in_turns(
    output: Path, target: str, versions: str, repetitions: int, counts: tuple[int, int], *, cores: int
) -> list[list[tuple[Spent, int]]]:
    """What each run took, and how many of its endpoints have not the record that they should have."""
    runs: list[list[tuple[Spent, int]]] = [[], []]
    for _ in range(repetitions):
        for number, of_count in zip(counts, runs, strict=True):
            command: list[str | Path] = [
                TLSWEEP,
                "scan",
                target,
                *OPTIONS,
                "--versions",
                versions,
                "--processes",
                str(number),
            ]
            spent = timed([*command, "--output", output], cores)
            good = sum(record["status"] == "tls" for record in records_of(str(output)))
            of_count.append((spent, ENDPOINTS - good))
    return runs


def _cpu(name: str, runs: list[tuple[Spent, int]]) -> Figure:
    values = tuple((spent.user_s + spent.system_s) / ENDPOINTS * MICRO for spent, _ in runs)
    return Figure(name, CPU, values, None, sum(failed for _, failed in runs), len(runs) * ENDPOINTS)
