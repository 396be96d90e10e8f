"""What a command takes, as the operating system says when it ends.

`python -m benchmarks.timed CORES COMMAND …` runs it on so many cores, the first ones, and prints one JSON object. That
is a process of its own because Linux counts the memory of whoever starts a command into the command's peak.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Spent:
    """What one run took, with all processes that it started and waited for; the peak is of the largest of them."""

    exit_status: int
    wall_s: float
    user_s: float
    system_s: float
    peak_bytes: int


def timed(command: Sequence[str | Path], cores: int = 1) -> Spent:
    """Run it, and say what it took."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.timed", str(cores), *command],
        check=True,
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[1],
    )
    return Spent(**json.loads(done.stdout))


def main() -> None:
    """Run what the arguments say."""
    cores, *command = sys.argv[1:]
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: int(cores)])
    begun = time.monotonic()
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    wall_s = time.monotonic() - begun
    spent = Spent(process.returncode, wall_s, used.ru_utime, used.ru_stime, used.ru_maxrss * 1024)
    print(json.dumps(asdict(spent)))


if __name__ == "__main__":
    main()
