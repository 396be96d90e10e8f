"""Bytes as they come → lines of bounded length."""

from targets.parse import MAX_LINE_BYTES


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
