"""How the command ends."""

from enum import IntEnum


class ExitCode(IntEnum):
    """What the command says when it is over."""

    COMPLETE = 0
    UNUSABLE = 2  # the command line, or an input
    STOPPED = 3
