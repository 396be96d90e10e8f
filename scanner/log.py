"""The log on standard error: for people, or as JSON lines. Records never go there."""

import logging
from enum import StrEnum
from typing import Any

import structlog
from structlog.typing import EventDict

from scanner.standard_error import is_terminal, log_line


class LogFormat(StrEnum):
    """How log lines on standard error look."""

    CONSOLE = "console"
    JSON = "json"


def configure_log(log_format: LogFormat) -> None:
    """structlog to standard error. The stream is looked up for each line: a live progress display takes its place."""
    processors: list[Any] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    if log_format is LogFormat.JSON:
        processors += [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    else:
        traceback = structlog.dev.plain_traceback  # the prettier ones show what the variables hold: bytes from the wire
        processors.append(structlog.dev.ConsoleRenderer(colors=is_terminal(), exception_formatter=traceback))
    processors.append(_print)
    structlog.configure(
        processors=processors,
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
    )


def _print(_logger: object, _level: str, line: str) -> EventDict:
    log_line(line)
    raise structlog.DropEvent
