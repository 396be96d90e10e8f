"""A file that has its name when it is whole, and not before: what ends in the middle leaves nothing under that name.

Until then it is called `NAME.partial`. Standard output, pipes and devices are written to as they are.
"""

import fcntl
import os
import stat
import sys
from types import TracebackType
from typing import Self

from scanner.config import STDOUT
from scanner.output import Output, sync_name

GROUP_BYTES = 524_288  # what is written, and packed, at a time


class NewFileError(Exception):
    """A file that cannot be written; the message is a sentence to act on."""


class NewFile:
    """Takes lines; leaving its context without an exception gives the file its name."""

    def __init__(self, path: str, name: str) -> None:
        """`name`: what it is called in messages. Raises NewFileError."""
        self._path = path if path == STDOUT else os.path.realpath(path)
        self._partial = partial_path(path) if path != STDOUT and _will_be_a_file(path) else None
        self._descriptor = self._open()
        self._output = Output(self._descriptor, name, path="" if path == STDOUT else path)
        self._lines = bytearray()

    def put(self, line: bytes) -> None:
        """Take a line, with its newline. Raises OutputClosed."""
        self._lines += line
        if len(self._lines) >= GROUP_BYTES:
            self._flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._finish()
        finally:
            if self._partial:
                os.unlink(self._partial)
            if self._path != STDOUT:
                os.close(self._descriptor)

    def _finish(self) -> None:
        self._flush()
        self._output.sync()
        if self._partial:
            os.replace(self._partial, self._path)
            self._partial = None
            sync_name(self._path)

    def _flush(self) -> None:
        lines, self._lines = self._lines, bytearray()
        if lines:
            self._output.write(lines)

    def _open(self) -> int:
        if self._path == STDOUT:
            if sys.stdout is None:
                raise NewFileError("standard output is closed; name a file with --output")
            return sys.stdout.fileno()
        try:
            descriptor = os.open(self._partial or self._path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise NewFileError(f"{self._path}: {error.strerror}") from error
        if self._partial:
            _lock(descriptor, self._partial)
            os.ftruncate(descriptor, 0)
        return descriptor


def partial_path(path: str) -> str:
    """What a file is called until it is whole."""
    return f"{os.path.realpath(path)}.partial"


def _will_be_a_file(path: str) -> bool:
    return not os.path.exists(path) or stat.S_ISREG(os.stat(path).st_mode)


def _lock(descriptor: int, path: str) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(descriptor)
        raise NewFileError(f"{path}: another command writes to it") from error
    except OSError:
        pass  # a file system without locks is trusted
