"""A raw hello that is read on: the chain of servers that OpenSSL of today makes no handshake with."""

import ssl
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scanner.dialogue import End
from scanner.tls.exchange import Evidence, HelloAnswer
from scanner.tls.first_flight import MAX_BYTES, FirstFlight, FirstFlightExchange, shows_certificates
from scanner.tls.flight import ClientCertificate
from scanner.tls.hello import Shape, client_hello
from scanner.tls.names import Version
from tests.peers.tls_server import TlsServer
from tests.scanner.play import byte_by_byte, play
from tests.scanner.tls.test_flight import DONE, REQUEST, chain_message
from tests.scanner.tls.test_handshake import NAME, RSA, TLS12, TLS13, context, converse, each_cut
from tests.scanner.tls.wire import HANDSHAKE, HELLO_12, HELLO_13, alert, message, record, server_hello

ENTROPY = bytes(range(96))


def dialogue(version: Version = Version.TLS1_2) -> FirstFlightExchange:
    """Begin."""
    return FirstFlightExchange(version, NAME, ENTROPY, after_upgrade=False)


def seen(data: bytes, end: End = End.TIMEOUT, version: Version = Version.TLS1_2) -> FirstFlight | None:
    """What was seen of these bytes, whole and byte by byte."""
    whole, in_pieces = dialogue(version), dialogue(version)
    play(whole, [data], end)
    play(in_pieces, byte_by_byte(data), end)
    assert whole.seen == in_pieces.seen
    return whole.seen


def test_the_hello() -> None:
    """It is the one of that shape."""
    exchange = FirstFlightExchange(Version.TLS1_0, NAME, ENTROPY, after_upgrade=False, shape=Shape.NO_NAME)
    assert play(exchange, []).sent == [client_hello(Version.TLS1_0, NAME, ENTROPY, Shape.NO_NAME)]


@each_cut
@pytest.mark.parametrize("wanted", [ssl.CERT_NONE, ssl.CERT_REQUIRED])
def test_of_openssl(wanted: ssl.VerifyMode, cut: Callable[[bytes], list[bytes]]) -> None:
    """A real server's chain, by any suite; and whether it asks for a certificate."""
    made = context(only=TLS12, key=RSA, ciphers="AES128-SHA:@SECLEVEL=0", client_certificate=wanted)
    exchange = dialogue()
    assert converse(exchange, TlsServer(context=made), cut).evidence is Evidence.SERVER_HELLO
    assert exchange.seen is not None
    assert [b"mx.example.org" in der for der in exchange.seen.chain] == [True, False]
    expected = ClientCertificate.REQUESTED if wanted else ClientCertificate.NONE
    assert exchange.seen.client_certificate is expected


@pytest.mark.parametrize(
    ("suite", "exchange", "curve"),
    [
        (0xC02F, b"\x03\x00\x15\x41", 0x0015),
        (0xC018, b"\x03\x00\x1a\x41", 0x001A),  # anonymous
        (0xC02F, b"\x01\x00\x15\x41", None),  # a curve by its numbers, not by its name (RFC 8422 §5.4)
        (0xC02F, b"\x03\x00", None),
        (0x009E, b"\x03\x00\x15\x41", None),  # the length of a prime
    ],
)
def test_the_curve(suite: int, exchange: bytes, curve: int | None) -> None:
    """It stands at the head of a ServerKeyExchange, where the suite has one."""
    found = seen(record(HANDSHAKE, server_hello(0x0303, suite) + message(12, exchange) + DONE))
    assert found is not None
    assert found.curve == curve


def test_of_tls_1_3() -> None:
    """There, nothing more is in plaintext; it ends with the ServerHello."""
    exchange = dialogue(Version.TLS1_3)
    converse(exchange, TlsServer(context=context(only=TLS13, group="X25519")))
    assert exchange.seen is not None
    assert (exchange.seen.chain, exchange.seen.client_certificate) == ((), None)
    assert exchange.seen.hello.version == 0x0304


WHOLE = HELLO_12 + chain_message(b"leaf", b"issuer") + message(12, bytes(100)) + REQUEST + DONE


@pytest.mark.parametrize(
    ("data", "chain", "asks"),
    [
        (record(HANDSHAKE, WHOLE), (b"leaf", b"issuer"), ClientCertificate.REQUESTED),
        (record(HANDSHAKE, WHOLE.replace(REQUEST, b"")), (b"leaf", b"issuer"), ClientCertificate.NONE),
        (record(HANDSHAKE, HELLO_12 + chain_message(b"leaf")), (b"leaf",), None),
        (record(HANDSHAKE, HELLO_12 + chain_message(b"leaf")) + alert(2, 40), (b"leaf",), None),
        (record(HANDSHAKE, HELLO_12 + chain_message(b"leaf")) + b"garbage", (b"leaf",), None),
        (
            record(HANDSHAKE, HELLO_12 + chain_message(b"a") + chain_message(b"b") + DONE),
            (b"a",),
            ClientCertificate.NONE,
        ),
        (record(HANDSHAKE, HELLO_12 + chain_message(b"leaf")[:-1]), (), None),
        (record(HANDSHAKE, HELLO_12) + alert(2, 40), (), None),
        (record(HANDSHAKE, HELLO_12 + DONE), (), ClientCertificate.NONE),
        (record(HANDSHAKE, HELLO_12 + message(99, b"") * 100 + chain_message(b"leaf")), (), None),
    ],
)
def test_flights(data: bytes, chain: tuple[bytes, ...], asks: ClientCertificate | None) -> None:
    """As far as it came, whatever then follows, or does not."""
    flight = seen(data)
    assert flight is not None
    assert (flight.chain, flight.client_certificate) == (chain, asks)


@pytest.mark.parametrize("data", [b"", alert(2, 40), b"hello\r\n", record(HANDSHAKE, HELLO_12)[:20]])
def test_no_flight(data: bytes) -> None:
    """Without a ServerHello nothing was seen, or nothing behind it."""
    flight = seen(data)
    assert flight is None or not flight.hello.is_hello


def test_a_chain_without_end() -> None:
    """More than our cap is not kept."""
    endless = record(HANDSHAKE, HELLO_12) + record(HANDSHAKE, message(11, b"")[:1] + b"\x03\xff\xff" + bytes(9_000))
    pieces = [endless, *[record(HANDSHAKE, bytes(16_000))] * 30]
    exchange = dialogue()
    played = play(exchange, pieces)
    assert played.most_held <= MAX_BYTES
    assert exchange.seen is not None
    assert exchange.seen.chain == ()


@pytest.mark.parametrize(
    ("version", "cipher", "shows"),
    [
        (0x0300, 0x0005, True),
        (0x0303, 0xC02F, True),
        (0x0303, 0xFEFE, True),  # of an unknown suite nobody can tell
        (0x0303, 0x0034, False),  # DH_anon
        (0x0303, 0xC018, False),  # ECDH_anon
        (0x0304, 0x1301, False),
        (0x0002, 0x010080, False),
        (0x7F1C, 0xC02F, False),
        (None, None, False),
    ],
)
def test_where_there_are_certificates(version: int | None, cipher: int | None, shows: bool) -> None:
    """Up to TLS 1.2, but for the anonymous suites."""
    assert shows_certificates(HelloAnswer(Evidence.SERVER_HELLO, version=version, cipher=cipher)) is shows


FLIGHTS = [
    record(HANDSHAKE, WHOLE),
    record(HANDSHAKE, HELLO_13),
    record(HANDSHAKE, server_hello(0x0300, 5, b"") + DONE),
]


@given(
    data=st.sampled_from(FLIGHTS),
    changes=st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), min_size=1, max_size=3),
)
@settings(max_examples=300, deadline=None, derandomize=True)
def test_any_bytes_changed(data: bytes, changes: list[tuple[int, int]]) -> None:
    """Whatever comes, there is a result, and the same byte by byte."""
    altered = bytearray(data)
    for at, to in changes:
        altered[at % len(altered)] = to
    flight = seen(bytes(altered))
    assert flight is None or len(flight.chain) <= 32
