"""What every dialogue that speaks TLS begins with: the first byte that comes back is TLS, or it is not."""

from abc import ABC
from typing import Generic, TypeVar

from scanner.dialogue import Dialogue, Script, Stop, Violation, WireEnded
from scanner.outcome import Stage
from scanner.tls.wire import is_text, starts_record

T = TypeVar("T")

MAX_EARLY_BYTES = 4_096  # more of it is read, and not kept


class TlsDialogue(Dialogue[T], ABC, Generic[T]):
    """Keeps aside the text that a server sends behind its go-ahead and before TLS: it never reaches TLS."""

    stage = Stage.TLS

    def __init__(self, max_bytes: int, *, after_upgrade: bool) -> None:
        super().__init__(max_bytes)
        self.after_upgrade = after_upgrade
        self.early = b""
        self.began = False  # has the first byte of TLS come?

    def skip_text(self) -> Script[None]:
        """Wait for the first byte of TLS or SSL; raises Violation for text that nothing excuses."""
        while True:
            if not self._buffer:
                yield from self.more()
            elif self._buffer[0] & 0x80 or not is_text(self._buffer[:1]):
                self.began = starts_record(self._buffer)
                if self.began and len(self._buffer) == 1:
                    yield from self.more()
                    continue
                return
            elif self.after_upgrade:
                line = yield from self.read_line()
                if len(self.early) < MAX_EARLY_BYTES:
                    self.early += line + b"\r\n"
            else:
                yield from self._rest_of_line()
                raise Violation("text", self.trailing_data)

    def not_tls(self, stop: Stop) -> bytes:
        """What came instead of TLS when the dialogue was stopped; empty when TLS had begun, or nothing came.

        Of text without end it is the beginning that tells who speaks, not where our cap fell.
        """
        if isinstance(stop, Violation) and stop.data:
            return b"" if starts_record(stop.data) else stop.data
        return b"" if self.began else self.early + self.trailing_data

    def _rest_of_line(self) -> Script[None]:
        """Text where TLS is due: one line of it tells what speaks here."""
        while b"\n" not in self._buffer and len(self._buffer) < 256:
            try:
                yield from self.more()
            except WireEnded:
                return
