"""The first flight of TLS 1.2 and older, read along: what is in it, however it is cut, and what is no flight."""

import ssl

import pytest

from scanner.dialogue import LimitExceeded
from scanner.tls.flight import MAX_CHAIN, ClientCertificate, Flight, chain_in
from scanner.tls.handshake import HandshakeDialogue
from scanner.tls.wire import HandshakeType
from tests.peers.tls_server import TlsServer
from tests.scanner.play import play
from tests.scanner.tls.test_handshake import EC, NAME, TLS12, TLS13, certificate, context
from tests.scanner.tls.wire import HANDSHAKE, HELLO_12, alert, message, record, server_hello

REQUEST = message(HandshakeType.CERTIFICATE_REQUEST, bytes.fromhex("01 40 0002 0403 0000"))
DONE = message(HandshakeType.SERVER_HELLO_DONE, b"")


def chain_message(*certificates: bytes) -> bytes:
    """A Certificate message (RFC 5246 §7.4.2)."""
    listed = b"".join(len(each).to_bytes(3, "big") + each for each in certificates)
    return message(HandshakeType.CERTIFICATE, len(listed).to_bytes(3, "big") + listed)


def read(data: bytes, cut: int = 0) -> Flight:
    """Read it whole, or in pieces of so many bytes."""
    flight = Flight()
    for at in range(0, len(data), cut or len(data) or 1):
        flight.read(data[at : at + cut] if cut else data)
    return flight


@pytest.mark.parametrize("cut", [0, 1, 7, 1_000])
@pytest.mark.parametrize(("asks", "expected"), [(b"", ClientCertificate.NONE), (REQUEST, ClientCertificate.REQUESTED)])
def test_a_flight(asks: bytes, expected: ClientCertificate, cut: int) -> None:
    """Chain and request, in one record or in one for each message."""
    messages = [HELLO_12, chain_message(b"leaf", b"issuer"), message(12, bytes(100)), asks, DONE]
    in_one, in_many = (
        record(HANDSHAKE, b"".join(messages)),
        b"".join(record(HANDSHAKE, each) for each in messages if each),
    )
    for data in (in_one, in_many):
        flight = read(data, cut)
        assert (flight.version, flight.chain, flight.whole) == (0x0303, (b"leaf", b"issuer"), True)
        assert flight.client_certificate is expected


def test_as_far_as_it_came() -> None:
    """Of a flight that is not whole, nobody knows whether a certificate will be asked for."""
    begun = record(HANDSHAKE, HELLO_12 + chain_message(b"leaf"))
    assert read(begun).client_certificate is None
    assert read(begun).chain == (b"leaf",)
    assert read(begun + record(HANDSHAKE, REQUEST)).client_certificate is ClientCertificate.REQUESTED
    assert read(begun[:-1]).chain == ()


@pytest.mark.parametrize(
    "data",
    [
        chain_message(b"leaf") + REQUEST + DONE,  # before a ServerHello
        server_hello(0x0303, 0x1301) + chain_message(b"leaf") + REQUEST + DONE,  # of TLS 1.3
        server_hello(0x0303, 0xFEFE) + chain_message(b"leaf") + REQUEST + DONE,  # of a suite that there is not
        message(2, b"short") + chain_message(b"leaf") + DONE,
    ],
)
def test_what_is_no_flight(data: bytes) -> None:
    """Nothing is believed of what stands behind no ServerHello, or one whose flight is encrypted."""
    flight = read(record(HANDSHAKE, data))
    assert (flight.chain, flight.client_certificate) == ((), None)


def test_what_stands_behind_the_end() -> None:
    """The first chain counts, and nothing behind the ServerHelloDone."""
    twice = HELLO_12 + chain_message(b"leaf") + chain_message(b"other") + DONE + REQUEST
    flight = read(record(HANDSHAKE, twice) + alert(2, 40))
    assert (flight.chain, flight.client_certificate) == ((b"leaf",), ClientCertificate.NONE)
    assert flight.alert == alert(2, 40)


@pytest.mark.parametrize(
    ("body", "chain"),
    [
        ("", ()),
        ("000000", ()),
        ("000005 000002 abcd", (b"\xab\xcd",)),
        ("000009 000002 abcd 000001 ef", (b"\xab\xcd", b"\xef")),
        ("000009 000002 abcd 000009 ef", (b"\xab\xcd",)),
        ("000008 000000 000002 abcd", (b"\xab\xcd",)),
        ("ffffff ffffff abcd", ()),
        ("000005 0000", ()),
    ],
)
def test_chains(body: str, chain: tuple[bytes, ...]) -> None:
    """What is cut off, or empty, is left out."""
    assert chain_in(bytes.fromhex(body)) == chain


def test_a_chain_without_end() -> None:
    """Our cap."""
    assert len(chain_in(chain_message(*[b"x"] * 1_000)[4:])) == MAX_CHAIN


def test_a_group_too_large() -> None:
    """A finite field of more than 4,096 bits stops it, and the chain before it is known."""
    flight = Flight()
    dhe = record(HANDSHAKE, server_hello(0x0303, 0x0033, b"") + chain_message(b"leaf"))
    with pytest.raises(LimitExceeded, match="dh_group"):
        flight.read(dhe + record(HANDSHAKE, message(12, b"\x02\x01" + bytes(513))))
    assert flight.chain == (b"leaf",)


@pytest.mark.parametrize("only", [TLS12, TLS13])
@pytest.mark.parametrize("wanted", [ssl.CERT_NONE, ssl.CERT_OPTIONAL])
def test_of_openssl(only: ssl.TLSVersion, wanted: ssl.VerifyMode) -> None:
    """A real server's flight: in TLS 1.3, nothing of it is in the clear."""
    sent = play(HandshakeDialogue(NAME, after_upgrade=False), []).sent[0]
    flight = read(TlsServer(context=context(only=only, client_certificate=wanted)).hear(sent))
    ders = tuple(ssl.PEM_cert_to_DER_cert(pem.bytes().decode()) for pem in certificate(EC).cert_chain_pems)
    if only is TLS12:
        assert flight.chain == ders
        expected = ClientCertificate.REQUESTED if wanted else ClientCertificate.NONE
        assert flight.client_certificate is expected
    else:
        assert (flight.chain, flight.client_certificate) == ((), None)
