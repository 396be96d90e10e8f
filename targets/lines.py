"""Input files and standard input → lines of bytes, in blocks, at the speed at which they come.

A pipe that never ends is read line by line as it is written; a line of any length takes bounded memory.
"""

import os
import select
import stat
from collections.abc import AsyncGenerator, Iterable
from errno import EACCES

import trio
from trio import to_thread

from targets.parse import MAX_LINE_BYTES

BLOCK_BYTES = 64 * 1024
STDIN = "-"

_COMPRESSED = {
    b"\x1f\x8b": "gzip",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"\xfd7zXZ\x00": "xz",
    b"BZh": "bzip2",
    b"PK\x03\x04": "zip",
}
_UTF16 = (b"\xff\xfe", b"\xfe\xff")


class InputError(Exception):
    """An input as a whole that cannot be read; a line that names nothing is a rejection instead."""

    def __init__(self, path: str, line: int | None, why: str) -> None:
        name = "standard input" if path == STDIN else path
        super().__init__(f"{name}: {why}" if line is None else f"{name}:{line}: {why}")
        self.path = path
        self.line = line
        self.why = why


class LineSplitter:
    """Bytes in any pieces → lines without their newline. A line over the cap is cut to one byte more than it."""

    def __init__(self, max_line_bytes: int = MAX_LINE_BYTES) -> None:
        self._max = max_line_bytes
        self._pending = b""

    def feed(self, data: bytes) -> list[bytes]:
        """The lines that are complete now."""
        lines = (self._pending + data).split(b"\n")
        # One byte over the cap tells that the line is too long, whatever comes behind it.
        self._pending = lines.pop()[: self._max + 1]
        return [line[: self._max + 1] if len(line) > self._max else line for line in lines]

    def end(self) -> list[bytes]:
        """The last line, if no newline ended it."""
        last, self._pending = self._pending, b""
        return [last] if last else []


def check_readable(paths: Iterable[str]) -> None:
    """Raise InputError for the first path that cannot be opened or holds no text. A pipe is not read for it."""
    for path in paths:
        try:
            os.fstat(0) if path == STDIN else _check_file(path)
        except OSError as error:
            raise InputError(path, None, _reason(error)) from error


async def blocks_of(path: str, stdin: int = 0) -> AsyncGenerator[bytes, None]:
    """What a file or standard input holds, in blocks of at most 64 KiB. Raises InputError.

    A thread reads. Where it may wait for ever (a pipe, a terminal), cancelling leaves it behind with its
    descriptor, which is then not closed: the number could be another file's while the thread still reads from it.
    """
    try:
        fd = stdin if path == STDIN else await _opened(path)
        may_wait = not stat.S_ISREG(os.fstat(fd).st_mode)
        is_first = is_ours = True
        try:
            while block := await to_thread.run_sync(_block, fd, abandon_on_cancel=may_wait):
                if is_first and (why := _why_not_text(block)):
                    raise InputError(path, None, why)
                is_first = False
                yield block
        except trio.Cancelled:
            is_ours = not may_wait
            raise
        finally:
            if is_ours and path != STDIN:
                os.close(fd)
    except OSError as error:
        raise InputError(path, None, _reason(error)) from error


def _block(fd: int) -> bytes:
    """The next bytes, also from a pipe that whoever gave it to us had made non-blocking."""
    while True:
        try:
            return os.read(fd, BLOCK_BYTES)
        except BlockingIOError:
            select.select([fd], [], [])


async def _opened(path: str) -> int:
    """A named pipe opens when somebody writes to it, which may be never."""
    return await to_thread.run_sync(os.open, path, os.O_RDONLY | os.O_CLOEXEC, abandon_on_cancel=True)


def _check_file(path: str) -> None:
    mode = os.stat(path).st_mode
    if stat.S_ISDIR(mode):
        raise InputError(path, None, "it is a directory")
    if not stat.S_ISREG(mode):
        if not os.access(path, os.R_OK):
            raise PermissionError(EACCES, os.strerror(EACCES))
        return
    with open(path, "rb") as file:
        block = file.read(BLOCK_BYTES)
    if why := _why_not_text(block):
        raise InputError(path, None, why)
    if b"\0" in block:  # in a pipe, a line with a NUL in it is a rejection: what is behind it may be well
        raise InputError(path, None, "it is not text (there is a NUL byte in it)")


def _why_not_text(beginning: bytes) -> str | None:
    for magic, kind in _COMPRESSED.items():
        if beginning.startswith(magic):
            return f"it is compressed ({kind}); unpack it first, for example through a pipe"
    if beginning.startswith(_UTF16):
        return "it is UTF-16; convert it to UTF-8"
    return None


def _reason(error: OSError) -> str:
    return (error.strerror or str(error)).lower()
