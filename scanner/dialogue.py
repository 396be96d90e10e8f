"""Everything that talks is a dialogue without I/O: bytes come in, actions go out.

A dialogue is a generator script that reads in wire order:

    class Smtp(Dialogue[StartTls]):
        def script(self) -> Script[StartTls]:
            greeting = yield from self.read_reply()
            ...
            yield Send(b"STARTTLS\\r\\n")

Whoever drives it asks `next_action()` and does what it says; `receive_data()` hands in what came, and `end()` says
how the wire ended. A dialogue always has a result: a script that cannot go on is stopped, and `stopped()` makes the
result from what is known so far. Any other exception out of a dialogue is a bug. Bytes that were not used are in
`trailing_data`.
"""

from abc import ABC, abstractmethod
from collections.abc import Generator
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, TypeVar

from scanner.outcome import Flag, Stage, Verdict

T = TypeVar("T")

# RFC 5321 §4.5.3.1.5 allows 512 bytes a reply line; servers go beyond it, none that is sane beyond this.
MAX_LINE_BYTES = 8_192
MAX_DIALOGUE_BYTES = 131_072


class End(StrEnum):
    """How the wire ended a dialogue."""

    EOF = "eof"
    RESET = "reset"
    TIMEOUT = "timeout"  # silence
    DEADLINE = "deadline"  # bytes kept coming, and the time of the whole connection was over
    CAP = "cap"  # bytes kept coming, and there were more than a connection may have


class WireEnded(Exception):  # noqa: N818 - how a wire ends is not an error
    """Raised by a wire when it ends otherwise than by FIN, and into a script when it ends at all."""

    def __init__(self, end: End) -> None:
        super().__init__(end.value)
        self.end = end


class Violation(Exception):  # noqa: N818
    """What the peer said breaks the grammar; `data` is the offending piece."""

    def __init__(self, why: str, data: bytes = b"") -> None:
        super().__init__(why)
        self.data = data


class LimitExceeded(Exception):  # noqa: N818
    """The peer said more than our cap."""


Stop = WireEnded | Violation | LimitExceeded

END_VERDICTS = {
    End.EOF: Verdict.CLOSED,
    End.RESET: Verdict.RESET,
    End.TIMEOUT: Verdict.TIMEOUT,
    End.DEADLINE: Verdict.TARPIT,
    End.CAP: Verdict.LIMIT_EXCEEDED,
}


def verdict_of(stop: Stop) -> Verdict:
    """What it is called when a script is stopped in this way."""
    match stop:
        case WireEnded(end=end):
            return END_VERDICTS[end]
        case Violation():
            return Verdict.VIOLATION
        case LimitExceeded():
            return Verdict.LIMIT_EXCEEDED


@dataclass(frozen=True, slots=True)
class Send:
    """Send these bytes."""

    data: bytes


@dataclass(frozen=True, slots=True)
class NeedData:
    """Hand in more bytes, or say how the wire ended."""


@dataclass(frozen=True, slots=True)
class Done(Generic[T]):
    """The dialogue is over, and this is its result."""

    value: T


NEED_DATA = NeedData()
Step = Send | NeedData
Script = Generator[Step, None, T]


class Dialogue(ABC, Generic[T]):
    """One side of a conversation, and the bounded buffer that it reads from."""

    stage: Stage

    def __init__(self, max_bytes: int = MAX_DIALOGUE_BYTES) -> None:
        self.flags: set[Flag] = set()
        self._buffer = bytearray()
        self._searched = 0  # how far the buffer is known to hold no line end: a slow peer costs no second look
        self._budget = max_bytes
        self._script = self.script()
        self._done: Done[T] | None = None
        self.ended: End | None = None  # how the wire ended it, if it did

    @abstractmethod
    def script(self) -> Script[T]:
        """The dialogue in wire order."""

    @abstractmethod
    def stopped(self, stop: Stop) -> T:
        """The result when the script cannot go on."""

    @property
    def trailing_data(self) -> bytes:
        """What was received and not used."""
        return bytes(self._buffer)

    def next_action(self) -> Send | NeedData | Done[T]:
        """What to do now. After `Done` it is always the same `Done`."""
        if self._done is not None:
            return self._done
        try:
            return next(self._script)
        except StopIteration as stop:
            self._done = Done(stop.value)
        except (WireEnded, Violation, LimitExceeded) as stop:
            self._done = Done(self.stopped(stop))
        return self._done

    def receive_data(self, data: bytes) -> None:
        """Hand in bytes as they came. More than the dialogue's cap is not kept."""
        self._buffer += data[: self._budget]
        self._budget = max(0, self._budget - len(data))

    def end(self, end: End) -> T:
        """The wire ended: the result of what is known. A script may see it coming and still answer."""
        self.ended = end
        return self.break_off(WireEnded(end))

    def break_off(self, why: Stop) -> T:
        """The wire can hand in nothing more, as in `end`, or because of what it found in the bytes itself."""
        if self._done is None:
            try:
                self._script.throw(why)
                self._done = Done(self.stopped(why))  # it wanted to go on; nobody is there
            except StopIteration as stop:
                self._done = Done(stop.value)
            except (WireEnded, Violation, LimitExceeded) as stop:
                self._done = Done(self.stopped(stop))
        return self._done.value

    def read_line(self, max_bytes: int = MAX_LINE_BYTES) -> Script[bytes]:
        """A line without its end (CRLF, or the bare LF that some servers send)."""
        while (end := self._buffer.find(b"\n", self._searched)) < 0:
            self._searched = len(self._buffer)
            if self._searched > max_bytes:
                break
            yield from self.more()
        if not 0 <= end <= max_bytes:  # the same whether the line came whole or in pieces
            self.flags.add(Flag.LINE_TOO_LONG)
            raise LimitExceeded
        line = self._take(end + 1)
        if line.endswith(b"\r\n"):
            return line[:-2]
        self.flags.add(Flag.BARE_LF)
        return line[:-1]

    def read_exactly(self, count: int) -> Script[bytes]:
        """The next `count` bytes."""
        while len(self._buffer) < count:
            yield from self.more()
        return self._take(count)

    def read_some(self) -> Script[bytes]:
        """Whatever there is, one byte at least."""
        if not self._buffer:
            yield from self.more()
        return self._take(len(self._buffer))

    def more(self) -> Script[None]:
        """Wait until there are more bytes in the buffer."""
        if self._budget <= 0:
            raise LimitExceeded
        before = len(self._buffer)
        while len(self._buffer) == before:
            yield NEED_DATA

    def _take(self, count: int) -> bytes:
        taken = bytes(self._buffer[:count])
        del self._buffer[:count]
        self._searched = 0
        return taken
