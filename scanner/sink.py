"""The one writer: whole lines, gathered up to 64 KiB or a second, written by a thread so that nobody waits for a disk.

When the reader of the output is slow, records pile up here; `room()` then holds the intake back, while the connections
in flight end in peace. What is to be packed is gathered for longer, since little packs badly. What is in a file is on
its disk within five seconds: so much is lost at most when the machine dies, or the run before it was written.
"""

from math import inf
from typing import Any

import orjson
import trio

from scanner.output import Output

GATHER_BYTES = 65_536
GATHER_S = 1.0
PACKED_GATHER_BYTES = 524_288
PACKED_GATHER_S = 4.0
SYNC_S = 5.0  # from the moment that a record is put to when it is on the disk, but for the writing itself
FULL_BYTES = 1_048_576  # so much may wait for the reader before the intake is held back


class Sink:
    """Writes records to an output, or a file descriptor, as JSON lines.

    What was put into the sink `ahead` before is written before: certificates, before the records that name them, so
    that a kill between the two loses none for good. That is only for files: nobody waits for a slow reader.
    """

    def __init__(
        self,
        output: Output | int,
        name: str = "the output",
        *,
        gather_s: float | None = None,
        ahead: "Sink | None" = None,
    ) -> None:
        self._output = Output(output, name) if isinstance(output, int) else output
        is_packed = bool(self._output.packing)
        self._gather_bytes = PACKED_GATHER_BYTES if is_packed else GATHER_BYTES
        self._gather_s = gather_s if gather_s is not None else PACKED_GATHER_S if is_packed else GATHER_S
        self._ahead = ahead if ahead and ahead._output.is_file else None
        self._lines = bytearray()  # whole ones; each by itself, as orjson returns it, would hold 8 or 16 KB
        self._bytes = 0
        self._written = trio.Event()
        self._due = trio.Event()
        self._closing = False
        self._is_over = False
        self._records_written = 0
        self._flushed_at = -inf
        self._unsynced_since = inf  # what is not on the disk yet was put no sooner
        self.records = 0
        self.bytes_written = 0  # before packing

    @property
    def bytes_waiting(self) -> int:
        """How much waits for the writer, or the reader."""
        return self._bytes

    def put(self, record: dict[str, Any]) -> None:
        """Take a record. Never waits."""
        self.put_line(orjson.dumps(record))

    def put_line(self, line: bytes) -> None:
        """Take a record that is a line already, without its newline."""
        self._lines += line
        self._lines += b"\n"
        self._bytes += len(line) + 1
        self.records += 1
        if self._bytes >= self._gather_bytes:
            self._due.set()

    async def room(self) -> None:
        """Wait while too much is waiting for the reader."""
        while self._bytes >= FULL_BYTES and not self._is_over:
            await self._written.wait()

    async def settle(self) -> None:
        """Wait until all that was put so far is written, or until nothing is written any more."""
        wanted = self.records
        while self._records_written < wanted and not self._is_over:
            self._due.set()
            await self._written.wait()

    async def run(self) -> None:
        """Write until `close`, and then what is left. Raises OutputClosed.

        When it is cancelled in the middle of a write, the thread is left to itself, and the process must end.
        """
        try:
            while not self._closing:
                with trio.move_on_after(self._gather_s):
                    await self._due.wait()
                await self._flush()
            await self._flush()
        finally:
            self._is_over = True
            self._written.set()

    def close(self) -> None:
        """No more records will come."""
        self._closing = True
        self._due.set()

    async def _flush(self) -> None:
        lines, self._lines, records = self._lines, bytearray(), self.records
        if not self._closing:
            self._due = trio.Event()
        if self._ahead and lines:
            await self._ahead.settle()
        is_sync_due = self._note_flush(bool(lines))
        if lines or is_sync_due:
            await trio.to_thread.run_sync(self._write, lines, is_sync_due, abandon_on_cancel=True)
        self._bytes -= len(lines)
        self.bytes_written += len(lines)
        self._records_written = records
        self._written.set()
        self._written = trio.Event()

    def _note_flush(self, has_lines: bool) -> bool:
        """Has it to be on the disk after this flush, because the next one may be too late?"""
        now = trio.current_time()
        if has_lines:
            self._unsynced_since = min(self._unsynced_since, self._flushed_at)
        self._flushed_at = now
        if self._unsynced_since == inf or not (self._closing or now + self._gather_s - self._unsynced_since >= SYNC_S):
            return False
        self._unsynced_since = inf
        return True

    def _write(self, lines: bytearray, is_sync_due: bool) -> None:
        if lines:
            self._output.write(lines)
        if is_sync_due:
            self._output.sync()
