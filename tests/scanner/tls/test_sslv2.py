"""SSLv2: our CLIENT-HELLO, and every answer to it."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from scanner.dialogue import End
from scanner.tls import sslv2
from scanner.tls.exchange import Evidence, HelloAnswer, exchange
from scanner.tls.names import Version, sslv2_cipher_name
from tests.peers.tls_server import Sslv2Server
from tests.scanner.play import byte_by_byte, play
from tests.scanner.tls.wire import HANDSHAKE, HELLO_12, Reader, alert, record, u16

ENTROPY = bytes(range(96))
RC4, DES3 = 0x010080, 0x0700C0
CUTS: list[Callable[[bytes], list[bytes]]] = [lambda data: [data], byte_by_byte]
VIOLATION = frozenset({"violation"})


def server_hello(*ciphers: int, version: int = 0x0002, certificate: bytes = b"certificate") -> bytes:
    """The message of a SERVER-HELLO (Hickman's draft, "SERVER-HELLO")."""
    kinds = b"".join(cipher.to_bytes(3, "big") for cipher in ciphers)
    connection = bytes(16)
    lengths = u16(len(certificate)) + u16(len(kinds)) + u16(len(connection))
    return b"\x04\x00\x01" + u16(version) + lengths + certificate + kinds + connection


def short(message: bytes) -> bytes:
    """A record with the header of two bytes."""
    return u16(0x8000 | len(message)) + message


def long(message: bytes, padding: int) -> bytes:
    """A record with the header of three bytes, and padding."""
    return u16(len(message) + padding) + bytes([padding]) + message + b"\xaa" * padding


def answered(data: bytes, end: End = End.EOF) -> HelloAnswer:
    """The answer that these bytes come to, whole and byte by byte, but for the words and what they tell."""
    whole, in_pieces = (
        play(exchange(Version.SSLV2, None, ENTROPY, after_upgrade=False), cut(data), end).value for cut in CUTS
    )
    assert (whole.evidence, whole.kinds, whole.alert, whole.error, whole.certificate) == (
        in_pieces.evidence,
        in_pieces.kinds,
        in_pieces.alert,
        in_pieces.error,
        in_pieces.certificate,
    )
    return replace(whole, certificate=b"")


def test_the_certificate() -> None:
    """It is kept, where it is of X.509, the one type that there is."""
    hello = short(server_hello(RC4, certificate=b"x" * 2_000))
    for data, expected in ((hello, b"x" * 2_000), (hello.replace(b"\x04\x00\x01", b"\x04\x00\x07", 1), b"")):
        dialogue = exchange(Version.SSLV2, None, ENTROPY, after_upgrade=False)
        assert play(dialogue, [data], End.EOF).value.certificate == expected


def test_client_hello() -> None:
    """A header of two bytes, version 2, every cipher kind, no session, and a challenge (Hickman's draft)."""
    reader = Reader(sslv2.client_hello(ENTROPY))
    assert reader.number(2) == 0x8000 | len(reader.data)
    assert reader.number(1) == 1
    assert reader.number(2) == 0x0002
    kinds_bytes, session_bytes, challenge_bytes = reader.number(2), reader.number(2), reader.number(2)
    assert (session_bytes, challenge_bytes) == (0, 16)
    kinds = [reader.number(3) for _ in range(kinds_bytes // 3)]
    assert all(map(sslv2_cipher_name, kinds))
    assert len(set(kinds)) == 7
    assert reader.take(challenge_bytes) == ENTROPY[:16]
    reader.end()


def yes(*kinds: int, flag: str | None = None) -> HelloAnswer:
    """A SERVER-HELLO with these cipher kinds."""
    flags = frozenset({flag} if flag else ())
    return HelloAnswer(Evidence.SSLV2_SERVER_HELLO, version=2, cipher=kinds[0], kinds=kinds, flags=flags)


ANSWERS: dict[str, tuple[bytes, HelloAnswer]] = {
    "a SERVER-HELLO": (short(server_hello(RC4, DES3)), yes(RC4, DES3)),
    "one with padding": (long(server_hello(RC4, DES3), 7), yes(RC4, DES3)),
    "one with the long header and no padding": (long(server_hello(RC4), 0), yes(RC4)),
    "one with a long certificate": (short(server_hello(RC4, certificate=bytes(9000))), yes(RC4)),
    "one with a kind twice": (short(server_hello(DES3, RC4, DES3)), yes(DES3, RC4)),
    "one with a kind that nobody knows": (
        short(server_hello(RC4, 0xFEFEFE)),
        yes(RC4, 0xFEFEFE, flag="unoffered_cipher"),
    ),
    "one with more kinds than there are": (
        short(server_hello(*range(1_000))),
        yes(*range(32), flag="unoffered_cipher"),
    ),
    "no cipher in common": (
        short(server_hello()),
        HelloAnswer(Evidence.SSLV2_SERVER_HELLO, version=2, flags=frozenset({"no_ciphers"})),
    ),
    "ERROR, no cipher": (short(b"\x00\x00\x01"), HelloAnswer(Evidence.SSLV2_ERROR, error=1)),
    "ERROR, unsupported certificate": (short(b"\x00\x00\x06"), HelloAnswer(Evidence.SSLV2_ERROR, error=6)),
    "ERROR with the long header": (long(b"\x00\x00\x01", 5), HelloAnswer(Evidence.SSLV2_ERROR, error=1)),
    "an alert of TLS": (alert(2, 70), HelloAnswer(Evidence.ALERT, alert=70)),
    "a warning, then an alert": (alert(1, 112) + alert(2, 40), HelloAnswer(Evidence.ALERT, alert=40)),
    "a warning, then the end": (alert(1, 112), HelloAnswer(Evidence.ALERT, alert=112)),
    "an alert in two records": (record(21, b"\x02") + record(21, b"\x46"), HelloAnswer(Evidence.ALERT, alert=70)),
    "more warnings than we read": (alert(1, 90) * 10_000, HelloAnswer(Evidence.ALERT, alert=90)),
    "close_notify": (alert(1, 0), HelloAnswer(Evidence.ALERT, alert=0)),
    "a ServerHello of TLS": (record(HANDSHAKE, HELLO_12), HelloAnswer(Evidence.GARBAGE, flags=VIOLATION)),
    "an empty alert": (record(21, b""), HelloAnswer(Evidence.GARBAGE, flags=VIOLATION)),
    "text": (b"hello\r\n", HelloAnswer(Evidence.PLAINTEXT, text="hello\\r\\n")),
    "HTTP": (b"HTTP/1.0 400 no\r\n", HelloAnswer(Evidence.PLAINTEXT, hint="http", text="HTTP/1.0 400 no\\r\\n")),
    "telnet": (b"\xff\xfd\x18", HelloAnswer(Evidence.GARBAGE, hint="telnet", text="\\xff\\xfd\\x18")),
    "nothing": (b"", HelloAnswer(Evidence.CLOSED)),
}


@pytest.mark.parametrize(("data", "expected"), ANSWERS.values(), ids=ANSWERS)
def test_answers(data: bytes, expected: HelloAnswer) -> None:
    """What a server says, whole and byte by byte, and then closes."""
    assert answered(data) == expected


@pytest.mark.parametrize(
    "message",
    [
        server_hello(RC4, version=0x0300),
        server_hello(RC4)[:-20],  # shorter than its lengths say
        server_hello(RC4)[:10],
        b"\x04\x00\x01\x00\x02\x00\x00\x00\x04\x00\x00" + b"abcd",  # cipher kinds have three bytes
        b"\x07\x00\x01",
    ],
)
def test_no_server_hello(message: bytes) -> None:
    """What is framed as SSLv2 and is neither SERVER-HELLO nor ERROR is garbage."""
    assert answered(short(message)).evidence is Evidence.GARBAGE


def test_echo() -> None:
    """Our own hello, said back."""
    hello = sslv2.client_hello(ENTROPY)
    answer = answered(hello)
    assert (answer.evidence, answer.hint) == (Evidence.GARBAGE, "echo")


@pytest.mark.parametrize("end", End)
@pytest.mark.parametrize("data", [short(server_hello(RC4)), long(server_hello(RC4), 3), alert(1, 112) + alert(2, 40)])
def test_truncated_at_every_point(data: bytes, end: End) -> None:
    """A message that ends in its middle is none; a warning before it is not forgotten."""
    kinds = {End.EOF: Evidence.CLOSED, End.RESET: Evidence.RESET, End.CAP: Evidence.GARBAGE}
    ended = kinds.get(end, Evidence.TIMEOUT)
    for length in range(len(data)):
        answer = answered(data[:length], end)
        if data.startswith(b"\x15") and length == 7:
            assert (answer.evidence, answer.alert) == (Evidence.ALERT, 112)
        elif length == 0 or data.startswith(b"\x15"):
            assert answer.evidence is ended
        else:
            assert answer.evidence in (ended, Evidence.GARBAGE)


def test_a_server_of_sslv2() -> None:
    """The peer of our tests answers our hello, and calls everything else an error."""
    server = Sslv2Server()
    assert answered(server.hear(sslv2.client_hello(ENTROPY))) == yes(RC4, DES3)
    assert answered(server.hear(b"\x16\x03\x01")) == HelloAnswer(Evidence.SSLV2_ERROR, error=1)
