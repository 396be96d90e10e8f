"""Standard error, on which no scan depends: what nobody takes there is lost, and the scan goes on."""

import os
import select
import sys
from contextlib import suppress

INPUT, OUTPUT, ERRORS = 0, 1, 2  # the descriptors
PATIENCE_S = 0.1  # enough for a reader that is alive


def open_errors() -> None:
    """Where it is closed, it leads nowhere from now on: no output and no connection may get its number."""
    if sys.stderr is None:
        lead_nowhere(ERRORS)
        sys.stderr = open(ERRORS, "w", errors="backslashreplace", closefd=False)  # noqa: SIM115


def leave_errors() -> None:
    """At the end: what is left there to be said, and taken by nobody, does not decide how the command ends."""
    try:
        sys.stderr.flush()
    except OSError:
        lead_nowhere(ERRORS)


def leave_output() -> None:
    """Standard output takes no more: what is left to be said there is lost, without another word about it."""
    lead_nowhere(OUTPUT)


def is_terminal() -> bool:
    """Is it one?"""
    return sys.stderr.isatty()


def has_room(patience_s: float = 0) -> bool:
    """Can some lines be written without waiting for the reader?"""
    return bool(select.select([], [ERRORS], [], patience_s)[1])


def log_line(line: str) -> None:
    """A line, unless that takes long: nobody reads it who stopped the terminal, or went away and left a full pipe."""
    if has_room(PATIENCE_S):
        print_errors(f"{line}\n")


def print_errors(text: str) -> None:
    """Whole lines, above a live display if there is one. May wait for the reader."""
    with suppress(OSError):
        sys.stderr.write(text)
        sys.stderr.flush()


def lead_nowhere(descriptor: int) -> None:
    """What is written there is lost, and nothing is to be read."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    if nowhere != descriptor:
        os.dup2(nowhere, descriptor)
        os.close(nowhere)
