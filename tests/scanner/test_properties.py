"""What holds for everything that talks, for the protocols of today and those that the registry gains tomorrow.

Any bytes, in any pieces, with any end: a result, never an exception; bounded sends, bounded memory, and work that
grows with the bytes and not with their square.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scanner.dialogue import MAX_DIALOGUE_BYTES, Dialogue, End
from scanner.outcome import Verdict
from scanner.starttls import SPOKEN, InjectionTest, Spoken
from scanner.starttls.injection import Injection
from scanner.starttls.result import Inside, Names, StartTls, Upgrade
from scanner.tls import exchange as raw
from scanner.tls import handshake
from scanner.tls.exchange import HelloAnswer, exchange
from scanner.tls.handshake import Handshake, HandshakeDialogue
from scanner.tls.names import Version
from tests.scanner.play import advance, byte_by_byte, play
from tests.scanner.tls.wire import CCS, HELLO_12, HELLO_13, alert, in_records
from tests.scanner.transcript import every_transcript

NAME = "client.example.org"
NAMES = Names(NAME, "server.example.org")
MOST_SENDS = 8  # of any dialogue; those of today need four
MOST_SENT_BYTES = 16_384
DRIPPED_BYTES = 20_480  # to each: more than the longest line and the longest record


@dataclass(frozen=True, slots=True)
class Subject:
    """A dialogue to be tried."""

    name: str
    begin: Callable[[], Dialogue[Any]]
    result: type
    max_bytes: int


def _subjects() -> Iterator[Subject]:
    for name, spoken in SPOKEN.items():
        yield Subject(name, lambda spoken=spoken: spoken.upgrade(NAMES), StartTls, MAX_DIALOGUE_BYTES)  # type: ignore[misc]
        for greeting in (False, True) if spoken.within else ():
            within = lambda spoken=spoken, greeting=greeting: spoken.within(NAMES, greeting)  # noqa: E731
            yield Subject(f"{name} {'implicit' if greeting else 'inside'}", within, Inside, MAX_DIALOGUE_BYTES)
        if _asks_more(name, spoken):
            yield Subject(f"{name} inquiring", partial(_inquiring, spoken), StartTls, MAX_DIALOGUE_BYTES)
        if test := spoken.injection:
            yield Subject(f"{name} injecting", partial(_injecting, spoken, test), StartTls, MAX_DIALOGUE_BYTES)
            yield Subject(f"{name} proof", partial(test.proof, NAMES), Injection, MAX_DIALOGUE_BYTES)
    for after_upgrade in (False, True):
        behind = " after STARTTLS" if after_upgrade else ""
        for version in Version:
            hello = lambda version=version, after=after_upgrade: exchange(version, NAME, bytes(96), after_upgrade=after)  # noqa: E731
            yield Subject(version.value + behind, hello, HelloAnswer, raw.MAX_BYTES)
        shake = lambda after=after_upgrade: HandshakeDialogue(NAME, after_upgrade=after)  # noqa: E731
        yield Subject("handshake" + behind, shake, Handshake, handshake.MAX_BYTES)


def _asks_more(name: str, spoken: Spoken) -> bool:
    """Has it more to say when it is to inquire, in any of its transcripts?"""
    conversations = [[turn.server for turn in each.turns] for each in every_transcript(name)]
    return any(play(spoken.upgrade(NAMES), c).sent != play(_inquiring(spoken), c).sent for c in conversations)


def _inquiring(spoken: Spoken) -> Upgrade:
    upgrade = spoken.upgrade(NAMES)
    upgrade.inquiring = True
    return upgrade


def _injecting(spoken: Spoken, test: InjectionTest) -> Upgrade:
    upgrade = spoken.upgrade(NAMES)
    upgrade.injected = test.injected
    return upgrade


SUBJECTS = list(_subjects())
SPEAKERS = [subject for subject in SUBJECTS if subject.result in (StartTls, Inside)]


def each(subjects: list[Subject]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("subject", subjects, ids=lambda subject: subject.name)


# Bytes that get somewhere: lines that real servers say, records that real servers send, and anything in between.
LINES = sorted(
    {line for script in every_transcript() for line in re.findall(rb"[^\n]*\n?", script.server_bytes)[:30] if line}
)
RECORDS = [
    CCS,
    alert(1, 112),
    alert(2, 40),
    in_records(HELLO_12, 20),
    in_records(HELLO_13, 2**14),
    b"\x16\x03\x03",
    b"\x80\x03\x00\x00\x01",
    b"\x80\x20\x04\x00\x01\x00\x02",
]
PIECES = st.sampled_from(LINES) | st.sampled_from(RECORDS) | st.binary(max_size=12)
CONVERSATIONS = st.lists(PIECES, max_size=12)


@each(SUBJECTS)
@given(pieces=CONVERSATIONS, cuts=st.lists(st.integers(0, 200), max_size=6), end=st.sampled_from(End))
@settings(max_examples=80, deadline=None, derandomize=True)
def test_any_bytes(subject: Subject, pieces: list[bytes], cuts: list[int], end: End) -> None:
    """Any pieces with any end: one result of the right kind, that stays the same, and few sends of few bytes."""
    dialogue = subject.begin()
    played = play(dialogue, pieces, end)
    assert isinstance(played.value, subject.result)
    assert dialogue.end(End.EOF) is played.value
    assert dialogue.end(End.RESET) is played.value
    assert len(played.sent) <= MOST_SENDS
    assert len(b"".join(played.sent)) <= MOST_SENT_BYTES
    if subject.result is not Handshake:  # OpenSSL's own matter
        _require_the_same_in_any_pieces(subject, b"".join(pieces), cuts, end)


@each(SUBJECTS)
@pytest.mark.parametrize("end", End)
def test_nothing_at_all(subject: Subject, end: End) -> None:
    """A wire that ends before anything came, or before anything was asked, has a result too."""
    assert isinstance(play(subject.begin(), [], end).value, subject.result)
    assert isinstance(subject.begin().end(end), subject.result)


def _require_the_same_in_any_pieces(subject: Subject, data: bytes, cuts: list[int], end: End) -> None:
    """The network's packets mean nothing: turn by turn, byte by byte or cut anywhere, the result is the same.

    But for one thing: where a packet has more than a turn, a reply was there before its command.
    """
    turns = _turns(subject.begin(), data)
    places = {cut for cut in cuts if cut < len(data)}
    ways = [_cut(data, turns), _cut(data, turns | places), byte_by_byte(data)]
    result, *others = [_comparable(play(subject.begin(), way, end).value) for way in ways]
    assert others == [result, result]
    for way in ([data], _cut(data, places)):
        value = play(subject.begin(), way, end).value
        assert _comparable(value) == result or _breaks_the_rules(value)


def _turns(dialogue: Dialogue[Any], data: bytes) -> set[int]:
    """Behind which bytes the dialogue says something."""
    sent: list[bytes] = []
    places = set()
    for at in range(len(data)):
        before = len(sent)
        if advance(dialogue, sent):
            break
        if len(sent) > before:
            places.add(at)
        dialogue.receive_data(data[at : at + 1])
    return places


def _cut(data: bytes, places: set[int]) -> list[bytes]:
    return [data[start:stop] for start, stop in pairwise(sorted({0, len(data), *places}))]


def _breaks_the_rules(value: object) -> bool:
    match value:
        case StartTls(cause=cause):
            return cause == "reply before its command"
        case Inside(stopped=stopped):
            return stopped is Verdict.VIOLATION
        case _:
            return False


def _comparable(value: object) -> object:
    """What was said in place of TLS is kept as far as it had come: its words, and what they tell, are not compared."""
    if isinstance(value, HelloAnswer):
        return (value.evidence, value.version, value.cipher, value.group, value.alert, value.error, value.flags)
    return value


FLOODS = {
    "one line without end": b"x",
    "empty lines": b"\n",
    "replies without end": b"220-more\r\n",
    "responses without end": b"* OK more\r\n",
    "literals without end": b"{0}\r\n",
    "CCS without end": CCS,
    "warnings without end": alert(1, 112),
    "zeros": b"\x00",
    "a hello that does not end": b"\x16\x03\x03\x00\x01\x02",
}


@each(SUBJECTS)
@pytest.mark.parametrize("flood", FLOODS.values(), ids=FLOODS)
def test_floods(subject: Subject, flood: bytes) -> None:
    """A server that never stops runs into a cap: the dialogue is over by itself, and never holds more than that."""
    data = flood * ((2 * subject.max_bytes) // len(flood))
    step = 16_384
    played = play(subject.begin(), (data[at : at + step] for at in range(0, len(data), step)))
    assert played.most_held <= subject.max_bytes
    whole = subject.begin()
    assert isinstance(play(whole, [data]).value, subject.result)
    assert len(whole.trailing_data) <= subject.max_bytes


class Counting(bytearray):
    """A buffer that counts how many bytes were looked at or copied."""

    work = 0

    def find(self, sub: Any, start: Any = 0, end: Any = None, /) -> int:
        """Counts what is searched."""
        self.work += len(self) - (start or 0)
        return super().find(sub, start)

    def __contains__(self, key: Any, /) -> bool:
        """Counts all."""
        self.work += len(self)
        return super().__contains__(key)

    def __getitem__(self, key: Any, /) -> Any:
        """Counts what is taken."""
        taken = super().__getitem__(key)
        self.work += len(taken) if isinstance(taken, bytearray) else 1
        return taken

    def __bytes__(self) -> bytes:
        """Counts all."""
        self.work += len(self)
        return bytes(memoryview(self))


@each(SUBJECTS)
@pytest.mark.parametrize(
    "lead", [b"", b"220 ", b"* OK ", b"* OK {20000}\r\n", b"+OK ", b"\x16\x03\x03\x3f\xff\x02\x00\x3f\x00", b"\x80"]
)
def test_work_grows_with_the_bytes(subject: Subject, lead: bytes) -> None:
    """A line, a literal or a record of 20 KB that comes a byte at a time costs a few looks at each byte."""
    dialogue = subject.begin()
    buffer = Counting()
    dialogue._buffer = buffer
    fed = 0
    while advance(dialogue, []) is None and fed < len(lead) + DRIPPED_BYTES:
        dialogue.receive_data(lead[fed : fed + 1] or b"x")
        fed += 1
    dialogue.end(End.EOF)
    assert buffer.work <= 20 * fed + 256 * 256  # a line of text where TLS is due is searched anew, up to 256 bytes
