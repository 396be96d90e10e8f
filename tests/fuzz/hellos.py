"""TLS: what a server may answer to each hello of ours; and OpenSSL, which must not be led to harm us by anything."""

import re
import ssl
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from scanner.dialogue import Done
from scanner.ladder import SHAPES
from scanner.outcome import Stage, Verdict
from scanner.tls import exchange as raw
from scanner.tls import handshake
from scanner.tls.dialogue import MAX_EARLY_BYTES, TlsDialogue
from scanner.tls.exchange import Evidence, HelloAnswer, exchange
from scanner.tls.handshake import Handshake, HandshakeDialogue
from scanner.tls.hello import Shape
from scanner.tls.names import Version
from scanner.tls.sslv2 import MAX_KINDS
from tests.fuzz.dialogues import Played, Subject, check_chunking, check_flood
from tests.fuzz.inputs import Input, flood_of, written
from tests.fuzz.oracles import require, require_safe_text
from tests.peers.tls_server import Closed, TlsServer, server_context
from tests.scanner.tls.wire import (
    CCS,
    HELLO_12,
    HELLO_13,
    HRR_RANDOM,
    KEY_SHARE_X25519,
    SUPPORTED_VERSIONS_13,
    alert,
    hello_of,
    in_records,
    message,
    record,
    server_hello,
)

NAME = "server.example.org"
SSLV2_HELLO = b"\x80\x20\x04\x00\x01\x00\x02\x00\x05\x00\x03\x00\x10\x30\x03\x02\x01\x01\x07\x00\xc0" + bytes(16)
# What servers send, good and bad.
ANSWERS = (
    *(in_records(hello_of(version.code), 2**14) for version in list(Version)[1:]),
    in_records(HELLO_12, 20),
    in_records(HELLO_13, 7),
    in_records(server_hello(0x0303, 0x1302, SUPPORTED_VERSIONS_13 + KEY_SHARE_X25519, random=HRR_RANDOM), 2**14),
    in_records(server_hello(0x0303, 0xC02F, b"", random=b"r" * 24 + bytes.fromhex("444f574e47524401")), 2**14),
    in_records(message(0, b"") + HELLO_12 + message(11, b"\0\0\0") + message(14, b""), 2**14),
    SSLV2_HELLO,
    b"\x80\x03\x00\x00\x01",
    b"\x00\x06\x03\x00\x00\x01\0\0\0",
    alert(2, 70) + alert(1, 0),
    alert(2, 40, 0x0300),
    alert(1, 112) + in_records(HELLO_12, 2**14),
    record(21, b"\x01") + record(21, b"\x70\x02\x28"),
    CCS + in_records(HELLO_13, 2**14) + CCS,
    record(23, b""),
    b"HTTP/1.1 400 Bad Request\r\n\r\n",
    b"220 mx.example.org ESMTP\r\n",
    b"* OK early\r\n" + in_records(HELLO_12, 2**14),
    b"\r\n\r\n" + alert(2, 70),
)
WORDS = [
    CCS,
    HELLO_12,
    alert(2, 70),
    alert(1, 112),
    b"\x16\x03\x03",
    b"\x15\x03\x01\x00\x02",
    b"\x80\x20\x04\x00\x01\x00\x02",
]


_ANSWER = re.compile(rb"[\x14-\x16]\x03|[\x80-\xff].[\x00\x04]|[\x00-\x3f]..[\x00\x04]", re.DOTALL)


class HelloTarget:
    """One version's hellos, the plain one first, each in implicit mode and behind a go-ahead."""

    def __init__(self, version: Version) -> None:
        self.version = version
        shapes = [Shape.PLAIN, *sorted(SHAPES[version] - {Shape.PLAIN})]
        self.subjects = [
            Subject(f"{version} {shape}", _exchange_of(version, shape, after), HelloAnswer, raw.MAX_BYTES, _said)
            for shape in shapes
            for after in (False, True)
        ]

    def check(self, given: Input) -> None:
        """An answer is what is there, in every way that it can come; one hello is all that we say."""
        subject = given.of(self.subjects)
        played = check_flood(subject, given) if given.is_flood else check_chunking(subject, given)
        require(len(played.sent) == 1, "more than a hello is said", played.sent)
        _require_early(played, given)
        self._require_evidence(played.value, given.said)
        dialogue = played.dialogue
        if played.value.speaks_tls and not given.is_flood and isinstance(dialogue, TlsDialogue):
            behind = given.said[len(dialogue.early) :]
            require(_ANSWER.match(behind), "bytes between the go-ahead and TLS are lost", dialogue.early, behind)

    def _require_evidence(self, answer: HelloAnswer, said: bytes) -> None:
        """Numbers where there was a hello, and nowhere else; each of them was on the wire."""
        code = self.version.code
        require((answer.cipher is not None) <= answer.is_hello, "a cipher without a hello", answer)
        require(answer.kinds[:1] == (answer.cipher,) or not answer.kinds, "cipher kinds, and another cipher", answer)
        require(len(set(answer.kinds)) == len(answer.kinds) <= MAX_KINDS, "too many cipher kinds", answer)
        require((answer.alert is not None) == (answer.evidence is Evidence.ALERT), "an alert is not told", answer)
        require((answer.error is not None) == (answer.evidence is Evidence.SSLV2_ERROR), "an error is not told", answer)
        if answer.speaks_tls:
            is_sslv2 = answer.evidence in (Evidence.SSLV2_SERVER_HELLO, Evidence.SSLV2_ERROR)
            require(is_sslv2 or b"\x15\x03" in said or b"\x16\x03" in said, "TLS without a record", answer)
        if answer.is_hello:
            require(answer.version is not None, "a hello without a version", answer)
            order = (answer.version or 0) - code
            as_told = {Evidence.LOWER_VERSION: order < 0, Evidence.HIGHER_VERSION: order > 0}
            require(as_told.get(answer.evidence, order == 0), "another version than its evidence", answer)

    def seeds(self) -> Iterator[bytes]:
        """Answers, and floods of them."""
        for choice in range(2):
            yield from (written(answer, choice) for answer in ANSWERS)
            yield from (written(flood_of(b"", answer[:255]), choice, 0xF0 + 8 * choice) for answer in ANSWERS)
            yield written(flood_of(b"\x16\x03\x03\x3f\xff\x02\x00\x3f\x00", b"x"), choice, 0xF8)
        for choice in range(2, len(self.subjects)):
            yield written(ANSWERS[choice % len(ANSWERS)], choice)

    def words(self) -> list[bytes]:
        """Beginnings."""
        return WORDS


class HandshakeTarget:
    """OpenSSL's handshake, fed with whatever a server says; no such server can complete it."""

    def __init__(self) -> None:
        self.subjects = [
            Subject("handshake", _handshake(after), Handshake, handshake.MAX_BYTES, _without_detail, is_chance=True)
            for after in (False, True)
        ]

    def check(self, given: Input) -> None:
        """Who cannot know our secrets cannot complete a handshake; and why not is told in our words."""
        subject = given.of(self.subjects)
        played = check_flood(subject, given) if given.is_flood else check_chunking(subject, given)
        _require_early(played, given)
        _require_outcome(played.value)
        require(played.value.failure is not None, "a handshake with nobody", played.value)

    def seeds(self) -> Iterator[bytes]:
        """Answers, and what a real server said to another client."""
        for choice in range(2):
            for answer in (*ANSWERS, *map(_flight_of, SERVERS)):
                yield written(answer, choice)
            yield from (written(flood_of(b"", answer[:255]), choice, 0xF0 + 8 * choice) for answer in ANSWERS)

    def words(self) -> list[bytes]:
        """Beginnings."""
        return WORDS


class AlteredTarget:
    """OpenSSL's handshake with a real server, some of whose bytes are altered on the way.

    What is said is a list of alterations, of four bytes each: where (two bytes, counted over all that the server
    says), how (exchange, insert, drop, end), and what with.
    """

    subjects = (False, True)  # behind a go-ahead?

    def check(self, given: Input) -> None:
        """It ends, with a handshake or with our words for why there is none."""
        after = bool(given.choice & 1)
        server = TlsServer(context=SERVERS[(given.choice >> 1) % len(SERVERS)]())
        alterations = _alterations(given.said[:64])
        dialogue = HandshakeDialogue("mx.example.test", after_upgrade=after)
        heard = 0
        to_server = b""
        for _ in range(32):
            while not isinstance(action := dialogue.next_action(), Done) and hasattr(action, "data"):
                to_server += action.data
            if isinstance(action, Done):
                break
            answer = _answer(server, to_server)
            to_server = b""
            altered, heard = _altered(answer, heard, alterations)
            if not altered:
                break
            dialogue.receive_data(altered)
        value = dialogue.break_off(given.stop)
        _require_outcome(value)
        require_safe_text(value)
        require(bool(value.chain) or value.failure is not None, "a handshake without a chain", value)

    def seeds(self) -> Iterator[bytes]:
        """None altered, and one at some places."""
        for choice in range(2 * len(SERVERS)):
            yield written(b"", choice)
            for place in (0, 3, 5, 9, 11, 43, 44, 80, 100, 200, 400):
                yield written(place.to_bytes(2, "big") + bytes([place % 4, 1]), choice)

    def words(self) -> list[bytes]:
        """None."""
        return []


def _require_outcome(value: Handshake) -> None:
    failure = value.failure
    require((failure is None) == (value.version is not None), "neither a version nor a failure, or both", value)
    if failure is not None:
        require(failure.verdict is not Verdict.OK and failure.stage is Stage.TLS, "no failure", failure)
        require((failure.alert is not None) == (failure.cause == "alert"), "an alert is not told", failure)


def _require_early(played: Played, given: Input) -> None:
    """What is kept aside as early is what came first; in implicit mode there is none."""
    dialogue = played.dialogue
    assert isinstance(dialogue, TlsDialogue)
    early = dialogue.early
    require(dialogue.after_upgrade or not early, "early bytes where nothing was upgraded", early)
    require(len(early) <= MAX_EARLY_BYTES, "too much is kept as early", len(early))
    require(given.said.startswith(early), "early bytes that nobody sent", early)


def _exchange_of(version: Version, shape: Shape, after: bool) -> Callable[[], raw.HelloExchange]:
    alpn = (b"h2",) if shape is Shape.ALPN else ()
    return lambda: exchange(version, NAME, bytes(96), after_upgrade=after, shape=shape, alpn=alpn)


def _handshake(after: bool) -> Callable[[], HandshakeDialogue]:
    return lambda: HandshakeDialogue(NAME, after_upgrade=after)


def _said(answer: Any) -> object:
    """What was said in place of TLS is kept as far as it had come: its words, and what they tell, are not compared."""
    numbers = (answer.version, answer.cipher, answer.kinds, answer.group, answer.alert, answer.error)
    return answer.evidence, numbers, answer.flags


def _without_detail(value: Any) -> object:
    """The same for a handshake, whose verdict is one of what is told."""
    failure = value.failure
    is_other = failure.cause in ("plaintext", "garbage")
    return failure.cause if is_other else (failure.verdict, failure.cause, failure.alert)


# --- a server whose bytes are altered ---------------------------------------------------------------------------------


@cache
def _old_context() -> ssl.SSLContext:
    context = _copy_of(ssl.TLSVersion.TLSv1_2)
    context.set_ciphers("DHE:ECDHE:@SECLEVEL=0")
    return context


@cache
def _oldest_context() -> ssl.SSLContext:
    context = _copy_of(ssl.TLSVersion.TLSv1)
    context.set_ciphers("ALL:@SECLEVEL=0")
    return context


def _copy_of(highest: ssl.TLSVersion) -> ssl.SSLContext:
    """Like `server_context`, which all share, but of older versions."""
    context: ssl.SSLContext = server_context.__wrapped__()
    with warnings.catch_warnings(action="ignore"):  # that they are old is the point
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = highest
    return context


SERVERS: tuple[Callable[[], ssl.SSLContext], ...] = (
    server_context,
    lambda: server_context("secp521r1"),  # which makes it ask for another hello
    lambda: server_context(client_certificate=True),
    _old_context,
    _oldest_context,
)


@dataclass(frozen=True, slots=True)
class _Alteration:
    place: int
    how: int
    value: int


def _alterations(said: bytes) -> list[_Alteration]:
    fours = (said[at : at + 4] for at in range(0, len(said) - 3, 4))
    return sorted((_Alteration(int.from_bytes(f[:2], "big"), f[2] % 4, f[3]) for f in fours), key=lambda a: -a.place)


def _altered(answer: bytes, before: int, alterations: list[_Alteration]) -> tuple[bytes, int]:
    """(the answer with what is altered in it, how many bytes the server has said with it)."""
    altered = bytearray(answer)
    for each in alterations:  # from the last place on, so that the others stay where they are
        at = each.place - before
        if not 0 <= at < len(altered):
            continue
        match each.how:
            case 0:
                altered[at] ^= each.value
            case 1:
                altered[at:at] = bytes([each.value]) * (1 + each.value % 7)
            case 2:
                del altered[at : at + 1 + each.value]
            case _:
                del altered[at:]
    return bytes(altered), before + len(answer)


def _answer(server: TlsServer, said: bytes) -> bytes:
    try:
        return server.hear(said)
    except Closed as closed:
        return closed.last


def _flight_of(context: Callable[[], ssl.SSLContext]) -> bytes:
    """What a real server says to a hello."""
    dialogue = HandshakeDialogue("mx.example.test", after_upgrade=False)
    action = dialogue.next_action()
    return _answer(TlsServer(context=context()), getattr(action, "data", b""))[:4_000]
