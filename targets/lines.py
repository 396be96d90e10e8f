"""Input files and standard input → blocks of bytes, unpacked, at the speed at which they come."""

import os
import select
import stat
from collections.abc import AsyncGenerator, Iterable
from errno import EACCES

import trio
from trio import to_thread

from targets.archive import ArchiveError, Unpacker

BLOCK_BYTES = 64 * 1024
STDIN = "-"


class InputError(Exception):
    """An input as a whole that cannot be read; a line that names nothing is a rejection instead."""

    def __init__(self, path: str, line: int | None, why: str) -> None:
        name = "standard input" if path == STDIN else path
        super().__init__(f"{name}: {why}" if line is None else f"{name}:{line}: {why}")
        self.path = path
        self.line = line
        self.why = why


def check_readable(paths: Iterable[str]) -> None:
    """Raise InputError for the first path that cannot be opened or holds no text. A pipe is not read for it."""
    for path in paths:
        try:
            os.fstat(0) if path == STDIN else _check_file(path)
        except OSError as error:
            raise InputError(path, None, _reason(error)) from error


async def blocks_of(path: str, stdin: int = 0) -> AsyncGenerator[bytes, None]:
    """What a file or standard input holds, unpacked, in blocks of at most 64 KiB. Raises InputError.

    A thread reads. Where it may wait for ever (a pipe, a terminal), cancelling leaves it behind with its
    descriptor, which is then not closed: the number could be another file's while the thread still reads from it.
    """
    try:
        fd = stdin if path == STDIN else await _opened(path)
        may_wait = not stat.S_ISREG(os.fstat(fd).st_mode)
        is_ours = True
        unpacker = Unpacker()
        try:
            while data := await to_thread.run_sync(_block, fd, abandon_on_cancel=may_wait):
                for block in unpacker.feed(data):
                    yield block
                    await trio.lowlevel.checkpoint()  # one read may hold a thousand blocks
            for block in unpacker.end():
                yield block
        except trio.Cancelled:
            is_ours = not may_wait
            raise
        finally:
            if is_ours and path != STDIN:
                os.close(fd)
    except OSError as error:
        raise InputError(path, None, _reason(error)) from error
    except ArchiveError as error:
        raise InputError(path, None, str(error)) from error


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
        data = file.read(BLOCK_BYTES)
    try:
        block = next(Unpacker().feed(data), b"")
    except ArchiveError as error:
        raise InputError(path, None, str(error)) from error
    if b"\0" in block:  # in a pipe, a line with a NUL in it is a rejection: what is behind it may be well
        raise InputError(path, None, "it is not text (there is a NUL byte in it)")


def _reason(error: OSError) -> str:
    return (error.strerror or str(error)).lower()
