"""The frame of all dialogues: steps, ends, reads and caps."""

from collections.abc import Callable
from typing import Any

import pytest

from scanner.dialogue import (
    MAX_DIALOGUE_BYTES,
    MAX_LINE_BYTES,
    NEED_DATA,
    Dialogue,
    Done,
    End,
    LimitExceeded,
    Script,
    Send,
    Stop,
    Violation,
    WireEnded,
    verdict_of,
)
from scanner.outcome import Flag, Stage, Verdict
from tests.scanner.play import byte_by_byte, play

Read = Callable[["Reader"], Script[bytes]]


class Reader(Dialogue[object]):
    """Reads what it is told to; its result is the pieces that it read, or how it was stopped."""

    stage = Stage.GREETING

    def __init__(self, *reads: Read, max_bytes: int = MAX_DIALOGUE_BYTES) -> None:
        self._reads = reads
        super().__init__(max_bytes)

    def script(self) -> Script[object]:
        """One read after the other."""
        pieces: list[bytes] = []
        for read in self._reads:
            piece = yield from read(self)
            pieces.append(piece)
        return pieces

    def stopped(self, stop: Stop) -> object:
        """What stopped it."""
        return stop


def line(reader: Reader) -> Script[bytes]:
    return (yield from reader.read_line())


def exactly(count: int) -> Read:
    return lambda reader: reader.read_exactly(count)


def some(reader: Reader) -> Script[bytes]:
    return (yield from reader.read_some())


def stop_of(value: object) -> Any:
    assert isinstance(value, WireEnded | Violation | LimitExceeded)
    return value


@pytest.mark.parametrize("cut", [lambda data: [data], byte_by_byte], ids=["whole", "byte by byte"])
def test_reads(cut: Callable[[bytes], list[bytes]]) -> None:
    """Lines with either end, counted bytes, and what is left over."""
    reader = Reader(line, line, exactly(3), line)
    assert play(reader, cut(b"one\r\ntwo\n\r\n\n\n")).value == [b"one", b"two", b"\r\n\n", b""]
    assert reader.flags == {Flag.BARE_LF}
    assert reader.trailing_data == b""


def test_leftovers_stay() -> None:
    """Bytes behind the last read are in `trailing_data`."""
    reader = Reader(line)
    assert play(reader, [b"one\r\ntwo"]).value == [b"one"]
    assert reader.trailing_data == b"two"


def test_read_some_takes_what_is_there() -> None:
    """`read_some` waits for one byte at least, and takes all there are."""
    assert play(Reader(some, some), [b"", b"ab", b"", b"c"]).value == [b"ab", b"c"]


def test_done_stays_done() -> None:
    """After `Done` each `next_action` is the same `Done`, and neither bytes nor an end change it."""
    reader = Reader(line)
    reader.next_action()
    reader.receive_data(b"x\r\n")
    done = reader.next_action()
    assert done == Done([b"x"])
    reader.receive_data(b"y\r\n")
    assert reader.end(End.RESET) == [b"x"]
    assert reader.next_action() is done


@pytest.mark.parametrize("end", End)
@pytest.mark.parametrize("begun", [True, False])
def test_end(end: End, begun: bool) -> None:
    """However the wire ends, and even before the first step, there is one result, and it stays the same."""
    reader = Reader(line)
    if begun:
        assert reader.next_action() is NEED_DATA
    stop = stop_of(reader.end(end))
    assert stop.end is end
    assert reader.end(End.EOF) is stop
    assert reader.next_action() == Done(stop)


def test_a_script_may_answer_the_end() -> None:
    """A script that sees the end coming may still have a result; one that wants to go on is stopped."""

    class Forgiving(Reader):
        def script(self) -> Script[object]:
            try:
                yield from self.read_line()
            except WireEnded:
                return "enough"
            return "a line"

    class Stubborn(Reader):
        def script(self) -> Script[object]:
            while True:
                try:
                    yield from self.read_line()
                except WireEnded:
                    yield Send(b"are you there?")

    for kind, result in ((Forgiving, "enough"), (Stubborn, WireEnded)):
        dialogue = kind()
        dialogue.next_action()
        value = dialogue.end(End.EOF)
        assert value == result or type(value) is result


@pytest.mark.parametrize("length", [MAX_LINE_BYTES - 1, MAX_LINE_BYTES, MAX_LINE_BYTES + 1])
@pytest.mark.parametrize("cut", [lambda data: [data], byte_by_byte], ids=["whole", "byte by byte"])
def test_the_cap_of_a_line(length: int, cut: Callable[[bytes], list[bytes]]) -> None:
    """A line of the most bytes that may be is read, one of a byte more is not, however it comes."""
    reader = Reader(line)
    value = play(reader, cut(b"x" * (length - 1) + b"\r\n")).value
    if length <= MAX_LINE_BYTES:
        assert value == [b"x" * (length - 1)]
    else:
        assert isinstance(value, LimitExceeded)
        assert reader.flags == {Flag.LINE_TOO_LONG}


@pytest.mark.parametrize("piece_bytes", [1, 7, 10, 1000])
def test_the_cap_of_a_dialogue(piece_bytes: int) -> None:
    """A dialogue reads its cap and not a byte more."""
    assert play(Reader(exactly(10), max_bytes=10), [b"x" * piece_bytes] * 10).value == [b"x" * 10]
    assert isinstance(play(Reader(exactly(11), max_bytes=10), [b"x" * piece_bytes] * 11).value, LimitExceeded)


def test_the_buffer_keeps_within_the_cap() -> None:
    """Bytes beyond the cap are not kept, even when they come in a flood and nobody asks for the next step."""
    reader = Reader(line, max_bytes=100)
    for _ in range(5):
        reader.receive_data(b"x" * 70)
        assert len(reader.trailing_data) <= 100


@pytest.mark.parametrize(
    ("stop", "verdict"),
    [
        (WireEnded(End.EOF), Verdict.CLOSED),
        (WireEnded(End.RESET), Verdict.RESET),
        (WireEnded(End.TIMEOUT), Verdict.TIMEOUT),
        (WireEnded(End.DEADLINE), Verdict.TARPIT),
        (Violation("why"), Verdict.VIOLATION),
        (LimitExceeded(), Verdict.LIMIT_EXCEEDED),
    ],
)
def test_verdicts_of_stops(stop: Stop, verdict: Verdict) -> None:
    """FIN, RST, silence, slowness, nonsense and too much are six things."""
    assert verdict_of(stop) is verdict


def test_a_bug_is_not_hidden() -> None:
    """An exception that is none of the three is a bug of ours, and comes out."""

    class Buggy(Reader):
        def script(self) -> Script[object]:
            yield NEED_DATA
            raise KeyError("bug")

    dialogue = Buggy()
    dialogue.next_action()
    with pytest.raises(KeyError):
        dialogue.next_action()
