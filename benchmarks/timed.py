"""What a command takes, as the operating system says when it ends.

`python -m benchmarks.timed COMMAND …` runs it on the first core, and prints one JSON object. That is a process of its
own because Linux counts the memory of whoever starts a command into the command's peak.
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
    """What one run took."""

    exit_status: int
    wall_s: float
    user_s: float
    system_s: float
    peak_bytes: int


def timed(command: Sequence[str | Path]) -> Spent:
    """Run it, and say what it took."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.timed", *command],
        check=True,
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[1],
    )
    return Spent(**json.loads(done.stdout))


def main() -> None:
    """Run what the arguments say."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    begun = time.monotonic()
    process = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    wall_s = time.monotonic() - begun
    spent = Spent(process.returncode, wall_s, used.ru_utime, used.ru_stime, used.ru_maxrss * 1024)
    print(json.dumps(asdict(spent)))


if __name__ == "__main__":
    main()
