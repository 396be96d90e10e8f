"""TLS inside the packets of TDS: the framing by itself, and whole exchanges through it."""

import ssl
from itertools import pairwise

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from scanner.connection import Connection, Timeouts
from scanner.dialogue import LimitExceeded, Violation
from scanner.outcome import Flag, Verdict
from scanner.question import Answer, Negotiate, OfferVersion, Question
from scanner.starttls.mssql import MAX_EARLY_BYTES, MAX_PACKETS, SENT_PACKET_BYTES, Framing, packets
from scanner.tls.exchange import Evidence
from scanner.tls.names import Version
from scanner.wires import Patience
from targets.services import SERVICES
from targets.target import Endpoint, Origin
from tests.peers.memory import FIN, Act, Network, Peer, Turn, Wire
from tests.peers.tls_server import HOST, Closed, Speaker, TlsServer, server_context
from tests.scanner.transcript import every_transcript

ADDRESS = "192.0.2.1"
TIMEOUTS = Timeouts(connect_s=3, greeting_s=7, reply_s=5, tls_s=4, deadline_s=60)
HEADER_BYTES = 8
PRELOGIN = 0x12
(ON,) = (each for each in every_transcript("mssql") if each.name == "mssql-on")
(OFF,) = (each for each in every_transcript("mssql") if each.name == "mssql-off")


def in_packets(data: bytes, size: int = 1_000) -> bytes:
    """As a server wraps it, in packets with so many bytes of payload."""
    parts = [data[at : at + size] for at in range(0, len(data), size)]
    return b"".join(b"\x12\x01" + (HEADER_BYTES + len(part)).to_bytes(2, "big") + bytes(4) + part for part in parts)


def out_of_packets(data: bytes) -> bytes:
    """What is in packets that are whole, each of the right type."""
    payload = b""
    while data:
        assert data[0] == PRELOGIN
        length = int.from_bytes(data[2:4], "big")
        assert HEADER_BYTES < length <= len(data)
        payload, data = payload + data[HEADER_BYTES:length], data[length:]
    return payload


def context_up_to(newest: Version) -> ssl.SSLContext:
    """A server's context of its own."""
    context = server_context.__wrapped__()
    context.maximum_version = ssl.TLSVersion(newest.code)
    return context


class TdsServer:
    """A TLS server whose handshake is in packets; behind it, TLS is bare."""

    def __init__(self, tls: TlsServer, size: int = 1_000) -> None:
        self._tls = tls
        self._size = size
        self.bare: list[bytes] = []

    def hear(self, data: bytes) -> bytes:
        """What it answers; a bare record within the handshake is none of it."""
        if self._tls._shaken:
            self.bare.append(data)
            return self._tls.hear(data)
        try:
            return in_packets(self._tls.hear(out_of_packets(data)), self._size)
        except Closed as closed:
            raise Closed(in_packets(closed.last, self._size)) from closed


class Says:
    """Says one thing, and no more."""

    def __init__(self, words: bytes) -> None:
        self._words = words

    def hear(self, data: bytes) -> bytes:
        """That."""
        words, self._words = self._words, b""
        return words


class Dripping:
    """A wire off which each byte comes alone."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._held = b""
        self.local_address = wire.local_address
        self.send, self.close = wire.send, wire.close

    async def receive(self, timeout_s: float) -> bytes:
        """The next byte."""
        self._held = self._held or await self._wire.receive(timeout_s)
        byte, self._held = self._held[:1], self._held[1:]
        return byte


async def ask(
    question: Question, does: Speaker | Act, *, dripping: bool = False, prelogin: bytes = ON.server_bytes
) -> tuple[Answer, Wire]:
    """Put one question to a server that does this when it has agreed to TLS."""
    agrees = Turn(0, prelogin, heard=ON.turns[0].client)
    turns = [agrees, Turn(0, does, heard=b"\x16\x03" if isinstance(does, Act) else b"")]
    network, answer = Network({ADDRESS: [Peer(turns)]}), Answer(question, 0.0)

    async def dial(address: str, port: int, timeout_s: float, patience: Patience) -> Wire | Dripping:
        wire = await network.dial(address, port, timeout_s, patience)
        return Dripping(wire) if dripping else wire

    endpoint = Endpoint(Origin("x"), HOST, ADDRESS, 1433, SERVICES["mssql"])
    await Connection(endpoint, answer, TIMEOUTS, None).ask(dial)
    assert answer.starttls
    assert answer.starttls.verdict is Verdict.OK
    return answer, network.wires[ADDRESS][0]


# --- the framing ------------------------------------------------------------------------------------------------------


@given(data=st.binary(max_size=20_000))
def test_wrapping(data: bytes) -> None:
    """What is wrapped is whole, in packets of a size that every server takes, of which the last is marked."""
    wrapped = Framing().wrap(data)
    assert out_of_packets(wrapped) == data
    statuses, at = [], 0
    while at < len(wrapped):
        length = int.from_bytes(wrapped[at + 2 : at + 4], "big")
        assert length <= SENT_PACKET_BYTES
        statuses.append(wrapped[at + 1])
        at += length
    assert statuses == [0] * (len(statuses) - 1) + [1] * bool(data)


@given(parts=st.lists(st.binary(max_size=300), max_size=6), cuts=st.sets(st.integers(0, 2_000), max_size=9))
def test_any_chunking(parts: list[bytes], cuts: set[int]) -> None:
    """The network's packets are not those of TDS, and a packet may be empty."""
    wire = b"".join(b"\x12\x01" + (HEADER_BYTES + len(part)).to_bytes(2, "big") + bytes(4) + part for part in parts)
    framing = Framing()
    places = sorted({0, len(wire), *(cut for cut in cuts if cut < len(wire))})
    assert b"".join(framing.feed(wire[start:stop]) for start, stop in pairwise(places)) == b"".join(parts)
    assert framing.feed(b"") == b""
    assert framing.stopped is None


@given(data=st.binary(max_size=200), cut=st.integers(0, 200))
def test_any_bytes(data: bytes, cut: int) -> None:
    """Whatever comes, there is payload, or a stop; where the bytes are cut does not matter."""
    whole, pieces = Framing(), Framing()
    assert whole.feed(data) == pieces.feed(data[:cut]) + (pieces.feed(data[cut:]) if data[cut:] else b"")
    assert type(whole.stopped) is type(pieces.stopped)


@pytest.mark.parametrize(
    "foreign",
    [
        packets(0x04, b"\xaa an error"),
        b"HTTP/1.1 400 Bad Request",
        bytes.fromhex("15 0303 0002 0228 00"),
        b"\x12\x01\x00\x07\x00\x00\x01\x00",  # shorter than its header
        b"\x12\x01\x80\x00\x00\x00\x01\x00",  # longer than TDS allows
    ],
)
def test_a_foreign_packet(foreign: bytes) -> None:
    """What came before it is handed out, and nothing behind it ever is."""
    framing = Framing()
    assert framing.feed(in_packets(b"TLS") + foreign) == b"TLS"
    assert isinstance(framing.stopped, Violation)
    assert framing.stopped.data == foreign[:HEADER_BYTES]
    assert framing.feed(in_packets(b"more")) == b""


def test_the_end_in_a_foreign_header() -> None:
    """A bare alert is shorter than a header: FIN behind it tells that it was none. Half of ours is just FIN."""
    for before in (b"", in_packets(b"TLS")):
        foreign, ours = Framing(), Framing()
        foreign.feed(before + bytes.fromhex("15 0303 0002 0228"))
        assert isinstance(foreign.end(), Violation)
        ours.feed(before + b"\x12\x01\x00")
        assert ours.end() is None


@given(early=st.binary(max_size=60).filter(lambda data: data[:1] != b"\x12"), cut=st.integers(0, 99))
def test_bytes_in_front_of_the_first_packet(early: bytes, cut: int) -> None:
    """Whatever they are, they are kept, and the packet behind them is read."""
    tls = bytes.fromhex("16 0303 0004 0200 0000")
    framing, wire = Framing(), early + in_packets(tls)
    assert framing.feed(wire[:cut]) + framing.feed(wire[cut:]) == tls
    assert framing.early == early


@pytest.mark.parametrize("step", [1, 1_000, 20_000])
def test_much_in_front_of_the_first_packet(step: int) -> None:
    """There is a cap on it, and it does not matter how it comes."""
    for length in (MAX_EARLY_BYTES, MAX_EARLY_BYTES + 1):
        framing, wire = Framing(), b"x" * length + in_packets(bytes.fromhex("16 0303 0004 0200 0000"))
        for at in range(0, len(wire), step):
            framing.feed(wire[at : at + step])
        assert (framing.stopped is None) == (length == MAX_EARLY_BYTES)


def test_packets_without_end() -> None:
    """Empty packets are legal, and hand out nothing: they have a cap of their own."""
    framing = Framing()
    empty = b"\x12\x00\x00\x08" + bytes(4)
    assert framing.feed(empty * MAX_PACKETS) == b""
    assert framing.stopped is None
    framing.feed(empty)
    assert isinstance(framing.stopped, LimitExceeded)


# --- TLS through it ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dripping", [False, True])
@pytest.mark.parametrize("size", [1, 100, 4_000])
@pytest.mark.parametrize("version", [Version.TLS1_2, Version.TLS1_3])
async def test_a_raw_hello(autojump_clock: object, version: Version, size: int, dripping: bool) -> None:
    """The hello goes out in packets, the answer comes out of them, and so does our close_notify go."""
    answer, wire = await ask(OfferVersion(version), TdsServer(TlsServer(), size), dripping=dripping)
    assert answer.hello
    assert (answer.hello.evidence, answer.hello.version) == (Evidence.SERVER_HELLO, version.code)
    hello, close_notify = (out_of_packets(data) for _, data in wire.sent[1:])
    assert hello[0] == 0x16
    assert close_notify == bytes.fromhex("15 0303 0002 0100")
    assert answer.early == b""


@pytest.mark.parametrize("dripping", [False, True])
@pytest.mark.parametrize("newest", [Version.TLS1_2, Version.TLS1_3])
async def test_a_whole_handshake(autojump_clock: object, newest: Version, dripping: bool) -> None:
    """It is in packets to its end; what we say behind it, which is no more than close_notify, is bare."""
    tls = TlsServer(context=context_up_to(newest))
    server = TdsServer(tls)
    answer, _ = await ask(Negotiate(), server, dripping=dripping, prelogin=OFF.server_bytes)
    assert answer.handshake
    assert answer.handshake.failure is None
    assert (answer.handshake.version, len(answer.handshake.chain)) == (newest, 1)
    assert answer.starttls
    assert answer.starttls.flags == {Flag.LOGIN_ONLY_ENCRYPTION}
    assert answer.inside is None
    assert (tls.heard, tls.closed_politely, len(server.bare)) == ([], True, 1)


BREAKS = {
    "a table response": (packets(0x04, b"\xaa no TLS after all"), Evidence.GARBAGE),
    "a bare record": (bytes.fromhex("16 0303 0004 0200 0000"), Evidence.GARBAGE),
    "text": (b"HTTP/1.1 400 Bad Request\r\n", Evidence.PLAINTEXT),
    "text in packets": (in_packets(b"SSH-2.0-what\r\n"), Evidence.PLAINTEXT),  # kept aside, as behind any go-ahead
}


@pytest.mark.parametrize("dripping", [False, True])
@pytest.mark.parametrize(("words", "evidence"), BREAKS.values(), ids=BREAKS)
async def test_no_tls_in_packets(autojump_clock: object, words: bytes, evidence: Evidence, dripping: bool) -> None:
    """What is not in packets is not TLS, whatever it looks like."""
    answer, _ = await ask(OfferVersion(Version.TLS1_2), Says(words), dripping=dripping)
    assert answer.hello
    assert answer.hello.evidence is evidence
    answer, _ = await ask(Negotiate(), Says(words), dripping=dripping)
    assert answer.handshake
    assert answer.handshake.failure


async def test_empty_packets_without_end(autojump_clock: object) -> None:
    """They run into the cap of the framing, and not into the deadline."""
    answer, _ = await ask(Negotiate(), Says(b"\x12\x00\x00\x08\x00\x00\x00\x00" * (MAX_PACKETS + 1)))
    assert answer.handshake
    assert answer.handshake.failure
    assert answer.handshake.failure.verdict is Verdict.LIMIT_EXCEEDED
    assert trio.current_time() < TIMEOUTS.deadline_s


async def test_an_alert_in_packets(autojump_clock: object) -> None:
    """A refusal of the version comes out of its packet too, and the FIN behind it is FIN."""
    tls = TlsServer(context=context_up_to(Version.TLS1_2))
    answer, _ = await ask(OfferVersion(Version.TLS1_3), TdsServer(tls))
    assert answer.hello
    assert answer.hello.evidence in (Evidence.ALERT, Evidence.LOWER_VERSION)
    answer, _ = await ask(OfferVersion(Version.TLS1_2), FIN)
    assert answer.hello
    assert answer.hello.evidence is Evidence.CLOSED
