"""`python -m scanner.start_worker`: a worker, with no more than it needs.

What it imports takes some tenths of a second: for those that cannot be forked, and those that take a dead one's place.
"""

import gc
import os
import sys


def main() -> None:
    """Import a worker, and let it work."""
    sys.modules["rich"] = None  # type: ignore[assignment]  # of what structlog has: its tracebacks in colour
    gc.disable()  # what is imported stays: to search it for cycles would take a tenth of the time
    from scanner import worker

    gc.enable()
    worker.work(os.dup(0), os.dup(1))


if __name__ == "__main__":
    main()
