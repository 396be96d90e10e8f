"""The rules bite: dialogues that are wrong in one way each, and what the fuzzer says of them."""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest

from scanner.dialogue import Script, Send, Stop
from scanner.outcome import Stage, Verdict
from scanner.starttls import Spoken
from scanner.starttls.result import Names, StartTls, Upgrade
from tests.fuzz import grammar
from tests.fuzz.der import mutated, nodes_of
from tests.fuzz.dialogues import ProtocolTarget
from tests.fuzz.inputs import flood_of, read, written
from tests.fuzz.oracles import Broken, kept_bytes, require_safe_text, signature, within_time
from tests.fuzz.readers import certificates
from tests.scanner.transcript import every_transcript

GREETING = b"220 mx.example.org\r\n"
TURNS = GREETING + b"220 go ahead\r\n"


class Honest(Upgrade):
    """A greeting, a command, an answer."""

    protocol = "smtp"

    def script(self) -> Script[StartTls]:
        """As SMTP would be without EHLO."""
        yield from self.read_line()
        self.stage = Stage.REPLY
        yield from self.say(b"STARTTLS\r\n")
        self.remember("220", (yield from self.read_line()))
        return self.result(Verdict.OK if self.text and self.text.startswith("220") else Verdict.VIOLATION)


class Raises(Honest):
    """A bug."""

    def script(self) -> Script[StartTls]:
        """Takes what is no number for one."""
        int((yield from self.read_line())[:3])
        return (yield from super().script())


class Echoes(Honest):
    """Says what it hears."""

    def script(self) -> Script[StartTls]:
        """With all that is in it."""
        yield Send((yield from self.read_line()))
        return (yield from super().script())


class NeverStops(Honest):
    """Speaks on and on."""

    def script(self) -> Script[StartTls]:
        """And hears nothing."""
        while True:
            yield Send(b"STARTTLS\r\n")


class SaysTooMuch(Honest):
    """Asks again for each line."""

    def script(self) -> Script[StartTls]:
        """For ever."""
        while True:
            yield from self.read_line()
            yield Send(b"STARTTLS\r\n")


class Forgets(Honest):
    """Loses what stands behind the go-ahead."""

    def script(self) -> Script[StartTls]:
        """All of it."""
        result = yield from super().script()
        self._buffer.clear()
        return result


class LooksAtPackets(Honest):
    """Takes a piece for a line."""

    def script(self) -> Script[StartTls]:
        """Like many a scanner."""
        self.remember("220", (yield from self.read_some()))
        return self.result(Verdict.VIOLATION)


class SpeaksBehind(Honest):
    """Says one thing more behind the go-ahead."""

    def script(self) -> Script[StartTls]:
        """Something harmless."""
        result = yield from super().script()
        yield Send(b"STARTTLS\r\n")
        return result


class TakesAnything(Honest):
    """Finds a go-ahead in whatever comes."""

    def script(self) -> Script[StartTls]:
        """By looking for digits."""
        result = yield from super().script()
        return self.result(Verdict.OK) if b"220" in (self.text or "").encode() else result


class Shows(Honest):
    """Shows what came as it is."""

    def script(self) -> Script[StartTls]:
        """With its control characters."""
        self.text = (yield from self.read_line()).decode("latin-1")
        return self.result(Verdict.VIOLATION)


class ChangesItsMind(Honest):
    """Has another result each time."""

    def end(self, end: Any) -> StartTls:
        """As if it were asked for the first time."""
        return self.result(Verdict.VIOLATION)


class Hoards(Honest):
    """Keeps every byte, many times."""

    def script(self) -> Script[StartTls]:
        """All that there is."""
        self.hoard: list[bytes] = []
        while True:
            self.hoard += [bytes([byte]) * 1_000 for byte in (yield from self.read_some())[:64]]


class AnotherKind(Honest):
    """Is over with something else than a result."""

    def stopped(self, stop: Stop) -> StartTls:
        """Nothing."""
        return None  # type: ignore[return-value]


def tried(dialogue: Callable[[], Upgrade], said: bytes, stop: int = 0) -> None:
    """What the target of a protocol makes of it."""

    def upgrade(_: Names) -> Upgrade:
        return dialogue()

    ProtocolTarget("smtp", Spoken(upgrade)).check(read(written(said, 0, stop)))


@pytest.mark.parametrize("said", [b"", TURNS, TURNS + b"more", b"220\n220\n", b"\xff" * 20, b"220 a\n421 b\n"])
@pytest.mark.parametrize("stop", range(7))
def test_who_does_nothing_wrong(said: bytes, stop: int) -> None:
    """Nothing is found where nothing is to be found."""
    tried(Honest, said, stop)


@pytest.mark.parametrize(
    ("dialogue", "said", "rule"),
    [
        (Echoes, TURNS, "it says what no transcript shows"),
        (NeverStops, b"", "it does not stop to speak"),
        (SaysTooMuch, b"\n" * 20, "too many sends"),
        (Forgets, TURNS + b"220 injected\r\n", "bytes behind the go-ahead are lost"),
        (LooksAtPackets, TURNS, "the result of smtp depends on how the bytes come"),
        (SpeaksBehind, TURNS, "it speaks behind the go-ahead"),
        (TakesAnything, GREETING + b"554 no, not 220\r\n", "not a go-ahead"),
        (Shows, b"220 \x1b[31m\r\n", "text that a terminal obeys"),
        (ChangesItsMind, TURNS, "another result after the end"),
        (AnotherKind, b"220", "a result of another kind"),
    ],
)
def test_who_does_something_wrong(dialogue: Callable[[], Upgrade], said: bytes, rule: str) -> None:
    """Each wrong is found, and told for what it is."""
    with pytest.raises(Broken, match=rule):
        tried(dialogue, said)


def test_what_is_raised_is_found() -> None:
    """An exception comes through as it is, with its place in the code."""
    with pytest.raises(ValueError, match="invalid literal") as raised:
        tried(Raises, b"no number\r\n")
    kind, *places = signature(raised.value)
    assert kind == "ValueError"
    assert places[-1].startswith(__file__)


def test_who_hoards() -> None:
    """What a dialogue holds on to is counted in a flood, wherever it is."""
    with pytest.raises(Broken, match="it holds"):
        tried(Hoards, flood_of(b"", b"x"), 0xF8)


def test_kept_bytes() -> None:
    """Bytes and texts, however deep, each once."""

    @dataclass(slots=True)
    class Pair:
        first: object
        second: object

    shared = b"x" * 1_000
    held = kept_bytes(Pair([shared, {"a": (shared,)}], Pair(bytearray(500), {"ü" * 100})))
    assert 1_600 <= held <= 1_700


def test_too_slow() -> None:
    """What takes longer each time is found; what took longer once is not."""
    took = iter([0.03, 0.0])
    within_time(lambda: _busy(next(took)), most_s=0.02)
    with pytest.raises(Broken, match="too slow"):
        within_time(partial(_busy, 0.03), most_s=0.02)


def _busy(seconds: float) -> None:
    until = time.thread_time() + seconds
    while time.thread_time() < until:
        pass


def test_safe_text() -> None:
    """Texts in any value are looked at."""
    require_safe_text({"a": [("fine", frozenset({"ü"}))], "b": 3})
    with pytest.raises(Broken):
        require_safe_text({"a": [("fine", frozenset({"\x9b"}))]})
    with pytest.raises(Broken, match="text of 4097 characters"):
        require_safe_text("x" * 4_097)


def test_go_aheads_of_transcripts() -> None:
    """The grammar of go-aheads, which was written apart, takes those of all transcripts, and no refusal."""
    for transcript in every_transcript():
        protocol, _, where = transcript.dialogue.partition(" ")
        if where in ("", "inquiring", "injecting") and transcript.turns:
            answer = b"" if transcript.last_words else transcript.turns[-1].server
            found = grammar.is_go_ahead(protocol, answer, transcript.server_bytes)
            verdict = transcript.expected["verdict"]
            assert found or verdict != Verdict.OK, transcript.name
            assert not (found and verdict.startswith(("refused_", "not_offered"))), transcript.name


def test_mutations_of_der_are_der() -> None:
    """Lengths are right after every mutation, and what is not mutated is what it was."""
    chance = random.Random(1)
    for der in certificates():
        nodes = nodes_of(der)
        assert nodes
        assert b"".join(node.encoded() for node in nodes) == der
        different = {mutated(der, chance, lambda data: data + b"\x01") for _ in range(50)}
        assert len(different) > 25
        assert all(nodes_of(each) for each in different)
    for not_der in (b"\x30\x05\x02", b"\x04\x81\x01x", b"\x04\x82\x00\x80" + bytes(128), b"\x30\x80"):
        assert nodes_of(not_der) is None
    assert mutated(b"\x30\x05\x02", chance, bytes.upper) == b"\x30\x05\x02"
