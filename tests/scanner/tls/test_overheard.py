"""What is read along: sessions and tickets of TLS 1.2 in plaintext, and of TLS 1.3 under its keys (RFC 8446 §5, §7)."""

import hashlib
import hmac

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305
from hypothesis import given
from hypothesis import strategies as st

from scanner.tls.overheard import Overheard, Ticket
from tests.scanner.play import byte_by_byte
from tests.scanner.tls.wire import (
    APPLICATION_DATA,
    CCS,
    HANDSHAKE,
    HELLO_13,
    HRR_RANDOM,
    KEY_SHARE_X25519,
    SUPPORTED_VERSIONS_13,
    extension,
    in_records,
    message,
    record,
    server_hello,
    u16,
)

SECRET = {"sha256": bytes(range(32)), "sha384": bytes(range(48))}
SUITES: dict[int, tuple[str, type[AESGCM | ChaCha20Poly1305], int]] = {
    0x1301: ("sha256", AESGCM, 16),
    0x1302: ("sha384", AESGCM, 32),
    0x1303: ("sha256", ChaCha20Poly1305, 32),
}
NEW_SESSION_TICKET = 4


def expanded(digest: str, label: bytes, count: int) -> bytes:
    """HKDF-Expand-Label by RFC 5869 §2.3, of one block, which is all that a key or an IV needs."""
    info = u16(count) + bytes([6 + len(label)]) + b"tls13 " + label + b"\x00"
    return hmac.new(SECRET[digest], info + b"\x01", digest).digest()[:count]


class Sealer:
    """Writes records as a server of TLS 1.3 does."""

    def __init__(self, suite: int) -> None:
        self.digest, cipher, key_bytes = SUITES[suite]
        self._cipher = cipher(expanded(self.digest, b"key", key_bytes))
        self._iv = expanded(self.digest, b"iv", 12)
        self._number = 0

    @property
    def secret(self) -> bytes:
        """Of its application traffic."""
        return SECRET[self.digest]

    def seal(self, content: int, data: bytes, padding: int = 0) -> bytes:
        """One record."""
        inner = data + bytes([content]) + bytes(padding)
        nonce = bytes(a ^ b for a, b in zip(self._iv, self._number.to_bytes(12, "big"), strict=True))
        self._number += 1
        header = bytes([APPLICATION_DATA]) + b"\x03\x03" + u16(len(inner) + 16)
        return header + self._cipher.encrypt(nonce, inner, header)


def ticket(lifetime_s: int = 7200, extensions: bytes = b"", opaque: bytes = b"opaque") -> bytes:
    """A NewSessionTicket of TLS 1.3."""
    body = lifetime_s.to_bytes(4, "big") + b"aadd" + b"\x02nn" + u16(len(opaque)) + opaque
    return message(NEW_SESSION_TICKET, body + u16(len(extensions)) + extensions)


def early_data(count: int) -> bytes:
    """The extension that lets early data in."""
    return extension(42, count.to_bytes(4, "big"))


BEFORE = in_records(HELLO_13, 2**14) + CCS + record(APPLICATION_DATA, b"under the keys of the handshake, " * 3)
pieces = pytest.mark.parametrize("cut", [lambda data: [data], byte_by_byte], ids=["whole", "byte by byte"])
each_suite = pytest.mark.parametrize("suite", SUITES)


@pieces
@each_suite
def test_a_ticket_of_tls13_is_opened(suite: int, cut: object) -> None:
    """Behind a greeting, in two records and with padding; what stands under other keys is passed over."""
    sealer, heard = Sealer(suite), Overheard(tls13=True)
    told = ticket(86400, extension(0x2A2A, b"") + early_data(16384))
    said = BEFORE + sealer.seal(APPLICATION_DATA, b"220 hello\r\n") + sealer.seal(HANDSHAKE, told[:9], padding=7)
    for piece in cut(said + sealer.seal(HANDSHAKE, told[9:])):  # type: ignore[operator]
        heard.hear(piece)
    assert heard.open_ticket(suite, sealer.secret) == Ticket(86400, 16384)
    assert hashlib.new(sealer.digest).digest_size == len(sealer.secret)


def test_what_comes_later_is_opened_later() -> None:
    """Records are counted over all calls; a ticket without early data lets none in."""
    sealer, heard = Sealer(0x1301), Overheard(tls13=True)
    heard.hear(BEFORE + sealer.seal(APPLICATION_DATA, b"* OK hello\r\n"))
    assert heard.open_ticket(0x1301, sealer.secret) is None
    heard.hear(sealer.seal(HANDSHAKE, ticket(300)))
    assert heard.open_ticket(0x1301, sealer.secret) == Ticket(300, 0)


@pytest.mark.parametrize("told", [ticket()[:-9], message(NEW_SESSION_TICKET, b"\x00\x00"), message(24, b"\x00")])
def test_half_a_ticket_is_none(told: bytes) -> None:
    """One that is cut short, and a KeyUpdate."""
    sealer, heard = Sealer(0x1303), Overheard(tls13=True)
    heard.hear(BEFORE + sealer.seal(HANDSHAKE, told))
    assert heard.open_ticket(0x1303, sealer.secret) is None


def test_an_unknown_suite_opens_nothing() -> None:
    """AEGIS, say."""
    heard = Overheard(tls13=True)
    heard.hear(BEFORE)
    assert heard.open_ticket(0x1306, bytes(32)) is None
    assert heard.open_ticket(None, bytes(32)) is None


def test_the_server_hello_behind_a_retry() -> None:
    """The last one tells, though a ChangeCipherSpec stands between the two."""
    retry = server_hello(0x0303, 0x1301, SUPPORTED_VERSIONS_13 + extension(51, u16(23)), random=HRR_RANDOM)
    hello = server_hello(0x0303, 0x1301, SUPPORTED_VERSIONS_13 + KEY_SHARE_X25519 + extension(41, u16(0)))
    heard = Overheard(tls13=True)
    heard.hear(in_records(retry, 2**14) + CCS + in_records(hello, 30))
    assert heard.server_hello is not None
    assert (heard.server_hello.retry, 41 in heard.server_hello.extensions) == (False, True)


def test_nothing_was_heard() -> None:
    """Then there is nothing to tell."""
    heard = Overheard(tls13=True)
    assert (heard.server_hello, heard.session_id, heard.ticket) == (None, b"", None)


HELLO = server_hello(0x0303, 0xC02F, b"", session=b"i" * 32)
TICKET_12 = message(NEW_SESSION_TICKET, (7200).to_bytes(4, "big") + u16(4) + b"tick")


@pieces
def test_a_whole_handshake_of_tls12(cut: object) -> None:
    """A session id, and a ticket before the ChangeCipherSpec; what comes behind that is encrypted, whatever it says."""
    heard = Overheard(tls13=False)
    said = in_records(HELLO + message(11, b"\x00\x00\x00") + message(14, b"") + TICKET_12, 20) + CCS
    for piece in cut(said + record(HANDSHAKE, message(NEW_SESSION_TICKET, bytes(40)))):  # type: ignore[operator]
        heard.hear(piece)
    assert (heard.session_id, heard.abbreviated, heard.ticket) == (b"i" * 32, False, Ticket(7200))


def test_an_abbreviated_handshake_of_tls12() -> None:
    """There is no ServerHelloDone in it (RFC 5246 §7.3)."""
    heard = Overheard(tls13=False)
    heard.hear(in_records(HELLO, 2**14) + CCS + record(HANDSHAKE, bytes(range(40))))
    assert (heard.abbreviated, heard.ticket) == (True, None)


def test_an_empty_ticket_is_none() -> None:
    """RFC 5077 §3.3: a server that has said it would send one, and changed its mind."""
    heard = Overheard(tls13=False)
    heard.hear(in_records(HELLO + message(14, b"") + message(NEW_SESSION_TICKET, bytes(6)), 2**14))
    assert heard.ticket is None


@pytest.mark.parametrize(("tls13", "end"), [(False, CCS), (True, record(23, bytes(40)))])
def test_a_hello_behind_what_is_encrypted(tls13: bool, end: bytes) -> None:
    """It is none: a server could put its word for a session that was gone on with behind a handshake without one."""
    heard = Overheard(tls13=tls13)
    heard.hear(in_records(server_hello(0x0303, 0x1301, SUPPORTED_VERSIONS_13 + KEY_SHARE_X25519), 2**14) + end)
    heard.hear(in_records(server_hello(0x0303, 0x1301, SUPPORTED_VERSIONS_13 + extension(41, b"\0\0")), 2**14))
    assert [kind for kind, _ in heard.messages] == [2]
    assert heard.server_hello is not None
    assert 41 not in heard.server_hello.extensions


@given(st.lists(st.binary(max_size=60)), st.booleans())
def test_any_bytes_are_heard(said: list[bytes], tls13: bool) -> None:
    """Nothing that a server says is an error here."""
    heard = Overheard(tls13=tls13)
    for piece in said:
        heard.hear(piece)
    assert (heard.server_hello, heard.open_ticket(0x1301, bytes(32))) == (None, None)
    assert heard.session_id is not None
    assert heard.ticket is None or heard.ticket.lifetime_s >= 0
