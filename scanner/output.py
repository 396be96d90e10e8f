"""Where whole lines go: a pipe, a file or a row of files; as they are, or packed by gzip (RFC 1952) or zstd (RFC 8878).

To a pipe, lines are written in groups of at most PIPE_BUF bytes where they are that short: such a write is taken whole
or not at all (POSIX, write(2)), so that even a run that is killed leaves no half line. A longer line is written when
the pipe is empty, and then has room for it.

A file on a disk that is full may take half a line; that half is cut off again. Packed lines are whole members, or
frames: each can be unpacked by itself, so that what was cut off in the middle of one spoils none before it.

A file that has its size is left, and the next one begun: `survey.jsonl`, `survey.1.jsonl`, `survey.2.jsonl`.
"""

import contextlib
import errno
import fcntl
import os
import select
import stat
import sys
import termios
import zlib
from array import array
from collections.abc import Iterator
from enum import StrEnum

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

GROUP_BYTES = 65_536
PIPE_POLL_MS = 5
_GZIP_WBITS = 31  # zlib's word for a gzip header and the largest window
_GZIP_LEVEL = 6
_NO_MORE_FILES = {errno.EMFILE, errno.ENFILE}


class OutputClosed(Exception):  # noqa: N818
    """The output takes no more: a closed pipe, a full disk."""


class Packing(StrEnum):
    """How a file is packed: what its name ends with."""

    NONE = ""
    GZIP = ".gz"
    ZSTD = ".zst"


def packing_of(path: str) -> Packing:
    """By the name alone: the file may not be there yet."""
    return next((each for each in (Packing.GZIP, Packing.ZSTD) if path.endswith(each)), Packing.NONE)


def part_path(path: str, number: int) -> str:
    """The name of a file of a row: its number stands before what names end with, and the first one has none."""
    if not number:
        return path
    packing = packing_of(path)
    stem, ending = os.path.splitext(path.removesuffix(packing))
    return f"{stem}.{number}{ending}{packing}"


class Output:
    """Writes whole lines to a descriptor, and behind `most_bytes` to files of its own. For one thread at a time.

    `path` is the name of the first of a row of files, and `part` which of them the descriptor is of.
    """

    def __init__(
        self, descriptor: int, name: str = "the output", *, path: str = "", part: int = 0, most_bytes: int | None = None
    ) -> None:
        status = os.fstat(descriptor)
        self.packing = packing_of(path)
        self._descriptor = descriptor
        self._given = descriptor
        self._name = name
        self._path = path
        self._part = part
        self._is_pipe = stat.S_ISFIFO(status.st_mode)
        self.is_file = stat.S_ISREG(status.st_mode)
        self._most_bytes = most_bytes if self.is_file else None
        self._bytes = status.st_size

    def write(self, lines: bytes | bytearray) -> None:
        """Write whole lines. Raises OutputClosed; what is there then are whole lines all the same."""
        match self.packing:
            case Packing.NONE:
                for group in _groups(lines, select.PIPE_BUF if self._is_pipe else GROUP_BYTES):
                    self._write(group)
            case Packing.GZIP:
                packer = zlib.compressobj(_GZIP_LEVEL, wbits=_GZIP_WBITS)
                self._write(packer.compress(lines) + packer.flush())
            case Packing.ZSTD:
                self._write(zstd.compress(bytes(lines), options={zstd.CompressionParameter.checksum_flag: 1}))

    def sync(self) -> None:
        """Have what was written on the disk, where there is one. Raises OutputClosed."""
        if self.is_file:
            try:
                os.fdatasync(self._descriptor)
            except OSError as error:
                raise OutputClosed(_why(error, self._name)) from error

    def _write(self, group: bytes) -> None:
        if self._is_pipe and len(group) > select.PIPE_BUF:
            self._make_room(len(group))
        if self._most_bytes and self._bytes and self._bytes + len(group) > self._most_bytes:
            self._begin_next()
        view = memoryview(group)
        while view:
            try:
                view = view[os.write(self._descriptor, view) :]
            except BlockingIOError:  # somebody made the pipe non-blocking
                select.select([], [self._descriptor], [])
            except OSError as error:
                self._take_back(group[: len(group) - len(view)])
                raise OutputClosed(_why(error, self._name)) from error
        self._bytes += len(group)

    def _begin_next(self) -> None:
        """Go on in the next file. Where no descriptor is left for it, this one grows until there is."""
        self.sync()
        path = part_path(self._path, self._part + 1)
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        except OSError as error:
            if error.errno in _NO_MORE_FILES:
                return
            raise OutputClosed(_why(error, path)) from error
        if self._descriptor != self._given:  # that one is locked, and whoever opened it closes it
            os.close(self._descriptor)
        self._descriptor, self._part, self._bytes = descriptor, self._part + 1, 0
        sync_name(path)

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
        """Cut off the half line, or the half of what is packed, at the end of what a file has taken."""
        half = len(written) - (0 if self.packing else written.rfind(b"\n") + 1)
        if half and self.is_file:
            with contextlib.suppress(OSError):
                os.ftruncate(self._descriptor, os.lseek(self._descriptor, 0, os.SEEK_CUR) - half)


def sync_name(path: str) -> None:
    """Have on the disk that a new file is there. A file system that has no such thing is left in peace."""
    with contextlib.suppress(OSError):
        directory = os.open(os.path.dirname(path) or ".", os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)


def _groups(lines: bytes | bytearray, most_bytes: int) -> Iterator[bytes]:
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
