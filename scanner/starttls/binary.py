"""What protocols share whose replies are not lines of text: they are framed by their lengths, or by a count of bytes.

Where nobody greets, the first bytes of the answer tell whether somebody else is there.
"""

from abc import ABC
from typing import Generic, NoReturn, TypeVar

from scanner.dialogue import Script, Stop, Violation
from scanner.hint import hint_of
from scanner.outcome import Verdict
from scanner.starttls.result import Conversation, StartTls, Upgrade
from scanner.wire_text import printable

T = TypeVar("T")

MAX_FOREIGN_BYTES = 256  # of what is not our grammar: enough to know a banner by


class Binary(Conversation[T], ABC, Generic[T]):
    """Looks at bytes before they are taken: what is not of this grammar is told by its first bytes."""

    asked = b""  # what we said last
    rejecting = False

    def say(self, command: bytes) -> Script[None]:
        """Send a command, and remember it: there are servers that say it back."""
        self.asked = command
        yield from super().say(command)

    def peek(self, count: int) -> Script[bytes]:
        """The next `count` bytes, which stay where they are."""
        while len(self._buffer) < count:
            yield from self.more()
        return bytes(self._buffer[:count])

    def reject(self, why: str) -> Script[NoReturn]:
        """These are not our bytes: read a line of them, or what there is, and raise Violation."""
        self.rejecting = True
        while (end := self._buffer.find(b"\n", 0, MAX_FOREIGN_BYTES)) < 0 and len(self._buffer) < MAX_FOREIGN_BYTES:
            yield from self.more()
        raise Violation(why, bytes(self._buffer[: end if end >= 0 else MAX_FOREIGN_BYTES]).rstrip(b"\r"))


class BinaryUpgrade(Binary[StartTls], Upgrade):
    """A dialogue up to the go-ahead; the first bytes count as a greeting does, at whatever stage they come."""

    def stopped(self, stop: Stop) -> StartTls:
        """Was it another protocol all along? One that ends no line is known when the wire ends."""
        unread = stop.data if isinstance(stop, Violation) else self.trailing_data if self.rejecting else b""
        if unread and self.text is None:
            self.text = printable(unread)
            hint = hint_of(unread, self.asked)
            if hint not in (None, self.protocol):
                return self.result(Verdict.PROTOCOL_MISMATCH, hint=hint)
        return super().stopped(stop)
