"""`python -m scanner.start_worker`: a worker, with no more than it needs.

What it imports takes some tenths of a second, and every worker of every run begins with that.
"""

import gc
import sys


def main() -> None:
    """Import a worker, and let it work."""
    sys.modules["rich"] = None  # type: ignore[assignment]  # of what structlog has: its tracebacks in colour
    gc.disable()  # what is imported stays: to search it for cycles would take a tenth of the time
    from scanner import worker

    gc.enable()
    worker.main()


if __name__ == "__main__":
    main()
