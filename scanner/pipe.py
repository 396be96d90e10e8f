"""Lines over a pipe between two of our processes: gathered and written in blocks, read in blocks and told apart.

A write for each line would cost as much as the line. Nobody waits who puts one in; who brings more than the other side
takes asks for `room` first.
"""

from collections.abc import AsyncIterator

import trio
from trio.abc import ReceiveStream, SendStream

BLOCK_BYTES = 65_536  # what a pipe holds
FULL_BYTES = 1_048_576


class PipeClosed(Exception):  # noqa: N818
    """The process at the other end is gone."""


class Outbox:
    """Lines on their way."""

    def __init__(self, stream: SendStream, gather_s: float) -> None:
        self._stream = stream
        self._gather_s = gather_s
        self._lines = bytearray()
        self._sending = 0  # bytes that the pipe has not taken yet
        self._some = trio.Event()
        self._due = trio.Event()
        self._sent = trio.Event()

    def put(self, line: bytes) -> None:
        """Take a line, without its newline. Never waits."""
        self._lines += line
        self._lines += b"\n"
        self._some.set()
        if len(self._lines) >= BLOCK_BYTES:
            self._due.set()

    def hurry(self) -> None:
        """What is there is not to wait for more."""
        self._due.set()

    async def room(self) -> None:
        """Wait while too much is waiting for the other end."""
        while len(self._lines) + self._sending >= FULL_BYTES:
            await self._sent.wait()

    async def empty(self) -> None:
        """Wait until the pipe has taken all."""
        while self._lines or self._sending:
            self._due.set()
            await self._sent.wait()

    async def run(self) -> None:
        """Send until it is cancelled. Raises PipeClosed."""
        while True:
            await self._some.wait()
            with trio.move_on_after(self._gather_s):
                await self._due.wait()
            lines, self._lines = self._lines, bytearray()
            self._sending = len(lines)
            self._some, self._due = trio.Event(), trio.Event()
            try:
                await self._stream.send_all(lines)
            except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
                raise PipeClosed from error
            self._sending = 0
            self._sent.set()
            self._sent = trio.Event()


async def lines_of(stream: ReceiveStream) -> AsyncIterator[list[bytes]]:
    """Whole lines, without their newlines, as many as come at once. Half a line at the end is dropped."""
    rest = b""
    while block := await _received(stream):
        *lines, rest = (rest + block).split(b"\n")
        if lines:
            yield lines


async def _received(stream: ReceiveStream) -> bytes:
    try:
        return bytes(await stream.receive_some(BLOCK_BYTES))
    except (trio.BrokenResourceError, trio.ClosedResourceError):
        return b""
