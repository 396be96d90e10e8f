"""The one writer: whole lines, gathered up to 64 KiB or a second, written by a thread so that nobody waits for a disk.

When the reader of the output is slow, records pile up here; `room()` then holds the intake back, while the connections
in flight end in peace. To a pipe, lines are written in groups of at most PIPE_BUF bytes where they are that short:
such a write is taken whole or not at all (POSIX, write(2)), so that even a run that is killed leaves no half line. A
longer line is written when the pipe is empty, and then has room for it.
A file on a disk that is full may take half a line; that half is cut off again.
"""

import contextlib
import errno
import fcntl
import os
import select
import stat
import termios
from array import array
from collections.abc import Iterator
from typing import Any

import orjson
import trio

GATHER_BYTES = 65_536
GATHER_S = 1.0
PIPE_POLL_MS = 5
FULL_BYTES = 1_048_576  # so much may wait for the reader before the intake is held back


class OutputClosed(Exception):  # noqa: N818
    """The output takes no more: a closed pipe, a full disk."""


class Sink:
    """Writes records to a file descriptor as JSON lines."""

    def __init__(self, descriptor: int, name: str = "the output", *, gather_s: float = GATHER_S) -> None:
        self._descriptor = descriptor
        self._name = name
        mode = os.fstat(descriptor).st_mode
        self._is_pipe = stat.S_ISFIFO(mode)
        self._group_bytes = select.PIPE_BUF if self._is_pipe else GATHER_BYTES
        self._is_file = stat.S_ISREG(mode)
        self._gather_s = gather_s
        self._lines = bytearray()  # whole ones; each by itself, as orjson returns it, would hold 8 or 16 KB
        self._bytes = 0
        self._written = trio.Event()
        self._due = trio.Event()
        self._closing = False
        self.records = 0

    def put(self, record: dict[str, Any]) -> None:
        """Take a record. Never waits."""
        line = orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE)
        self._lines += line
        self._bytes += len(line)
        self.records += 1
        if self._bytes >= GATHER_BYTES:
            self._due.set()

    async def room(self) -> None:
        """Wait while too much is waiting for the reader."""
        while self._bytes >= FULL_BYTES:
            await self._written.wait()

    async def run(self) -> None:
        """Write until `close`, and then what is left. Raises OutputClosed.

        When it is cancelled in the middle of a write, the thread is left to itself, and the process must end.
        """
        while not self._closing:
            with trio.move_on_after(self._gather_s):
                await self._due.wait()
            await self._flush()
        await self._flush()

    def close(self) -> None:
        """No more records will come."""
        self._closing = True
        self._due.set()

    async def _flush(self) -> None:
        lines, self._lines = self._lines, bytearray()
        if not self._closing:
            self._due = trio.Event()
        if lines:
            await trio.to_thread.run_sync(self._write, lines, abandon_on_cancel=True)
        self._bytes -= len(lines)
        self._written.set()
        self._written = trio.Event()

    def _write(self, lines: bytearray) -> None:
        for group in _groups(lines, self._group_bytes):
            if self._is_pipe and len(group) > select.PIPE_BUF:
                self._make_room(len(group))
            view = memoryview(group)
            while view:
                try:
                    view = view[os.write(self._descriptor, view) :]
                except BlockingIOError:  # somebody made the pipe non-blocking
                    select.select([], [self._descriptor], [])
                except OSError as error:
                    self._take_back(group[: len(group) - len(view)])
                    raise OutputClosed(_why(error, self._name)) from error

    def _make_room(self, size: int) -> None:
        """Have the pipe hold so many bytes, if it may, and wait until the reader has emptied it, or has gone."""
        if fcntl.fcntl(self._descriptor, fcntl.F_GETPIPE_SZ) < size:
            with contextlib.suppress(OSError):
                fcntl.fcntl(self._descriptor, fcntl.F_SETPIPE_SZ, size)
        gone = select.poll()
        gone.register(self._descriptor, 0)  # POLLERR alone, which a pipe without a reader has
        unread = array("i", [0])
        while True:
            fcntl.ioctl(self._descriptor, termios.FIONREAD, unread)
            if not unread[0] or gone.poll(PIPE_POLL_MS):
                return

    def _take_back(self, written: bytes) -> None:
        """Cut off the half line at the end of what a file has taken."""
        half = len(written) - written.rfind(b"\n") - 1
        if half and self._is_file:
            with contextlib.suppress(OSError):
                os.ftruncate(self._descriptor, os.lseek(self._descriptor, 0, os.SEEK_CUR) - half)


def _groups(lines: bytearray, most_bytes: int) -> Iterator[bytes]:
    """Groups of whole lines of at most so many bytes; a line that is longer by itself is a group by itself."""
    begin = 0
    while begin < len(lines):
        end = lines.rfind(b"\n", begin, begin + most_bytes) + 1 or lines.index(b"\n", begin) + 1
        yield bytes(lines[begin:end])
        begin = end


def _why(error: OSError, name: str) -> str:
    if error.errno == errno.EPIPE:
        return f"the reader of {name} has gone"
    return f"{name} cannot be written: {error.strerror}"
