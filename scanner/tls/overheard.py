"""What a server said on a connection of OpenSSL's, for what OpenSSL does not tell: read along, a record at a time.

Up to TLS 1.2, session ids and tickets stand in plaintext, before the ChangeCipherSpec (RFC 5246 §7.3, RFC 5077 §3.3).
In TLS 1.3 a ticket comes encrypted, behind the handshake (RFC 8446 §4.6.1): it is opened with the traffic secret that
OpenSSL tells for its key log.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESCCM, AESGCM, ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256, SHA384
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from scanner.tls.hello import MalformedHelloError, ServerHello, read_server_hello
from scanner.tls.names import Version
from scanner.tls.wire import HEADER_BYTES, ContentType, HandshakeType, u16, vector

NEW_SESSION_TICKET, EARLY_DATA = 4, 42
IV_BYTES = 12  # RFC 8446 §5.3
_MESSAGE_HEADER_BYTES = 4
_ALL_SUITES = range(0x10000)
_Cipher = Callable[[bytes], AESGCM | ChaCha20Poly1305 | AESCCM]
_SUITES: dict[int, tuple[type[SHA256 | SHA384], _Cipher, int]] = {
    # Digest, cipher, and the bytes of its key: all that a handshake of ours offers.
    0x1301: (SHA256, AESGCM, 16),
    0x1302: (SHA384, AESGCM, 32),
    0x1303: (SHA256, ChaCha20Poly1305, 32),
    0x1304: (SHA256, AESCCM, 16),
    0x1305: (SHA256, partial(AESCCM, tag_length=8), 16),
}


@dataclass(frozen=True, slots=True)
class Ticket:
    """A NewSessionTicket, without the ticket itself."""

    lifetime_s: int
    max_early_data_bytes: int = 0  # TLS 1.3; 0: early data is not let in


class Overheard:
    """The server's side of one connection."""

    def __init__(self, *, tls13: bool) -> None:
        self.messages: list[tuple[int, bytes]] = []  # of the handshake, in plaintext: (type, body)
        self._tls13 = tls13
        # Is all from here on encrypted? Behind a ChangeCipherSpec, which in TLS 1.3 means nothing (RFC 8446 §5); there,
        # behind the first record that is. Whatever else says that it is plaintext, OpenSSL would refuse.
        self._is_over = False
        self._records, self._plain, self._opened = bytearray(), bytearray(), bytearray()
        self._sealed: list[bytes] = []
        self._keys: _Keys | None = None

    def hear(self, data: bytes) -> None:
        """What came next."""
        self._records += data
        for record in _taken(self._records, HEADER_BYTES, 3):
            if record[0] == ContentType.HANDSHAKE and not self._is_over:
                self._plain += record[HEADER_BYTES:]
            elif record[0] == ContentType.CHANGE_CIPHER_SPEC and not self._tls13:
                self._is_over = True
            elif record[0] == ContentType.APPLICATION_DATA and self._tls13:
                self._is_over = True
                self._sealed.append(record)
        self.messages += [(each[0], each[4:]) for each in _taken(self._plain, _MESSAGE_HEADER_BYTES, 1)]

    @property
    def session_id(self) -> bytes:
        """That of the ServerHello."""
        hello = self._hello
        return hello[35 : 35 + hello[34]] if len(hello) > 34 else b""

    @property
    def abbreviated(self) -> bool:
        """Was a session gone on with? Then there is no ServerHelloDone (RFC 5246 §7.3)."""
        return HandshakeType.SERVER_HELLO_DONE not in [kind for kind, _ in self.messages]

    @property
    def server_hello(self) -> ServerHello | None:
        """That of TLS 1.3, or what came in its place."""
        try:
            return read_server_hello(self._hello, Version.TLS1_3, _ALL_SUITES)
        except MalformedHelloError:
            return None

    @property
    def ticket(self) -> Ticket | None:
        """That of TLS 1.2 and older. An empty one is none (RFC 5077 §3.3)."""
        bodies = (body for kind, body in self.messages if kind == NEW_SESSION_TICKET)
        return next((Ticket(int.from_bytes(body[:4], "big")) for body in bodies if len(body) > 6), None)

    def open_ticket(self, suite: int | None, secret: bytes) -> Ticket | None:
        """One of TLS 1.3 among what came since the last time; `secret` is the server's of application traffic."""
        if self._keys is None and suite in _SUITES:
            self._keys = _Keys(suite, secret)
        sealed, self._sealed = self._sealed, []
        if self._keys is not None:
            self._opened += b"".join(filter(None, map(self._keys.opened, sealed)))
        bodies = [each[4:] for each in _taken(self._opened, _MESSAGE_HEADER_BYTES, 1) if each[0] == NEW_SESSION_TICKET]
        return next(filter(None, map(_ticket_of, bodies)), None)

    @property
    def _hello(self) -> bytes:
        """The last, for in TLS 1.3 a HelloRetryRequest is one too."""
        return next((body for kind, body in reversed(self.messages) if kind == HandshakeType.SERVER_HELLO), b"")


class _Keys:
    """Opens the records of application traffic in their order (RFC 8446 §5.2, §5.3, §7.3)."""

    def __init__(self, suite: int, secret: bytes) -> None:
        digest, cipher, key_bytes = _SUITES[suite]
        expanded = partial(_expanded, digest, secret)
        self._cipher = cipher(expanded(b"key", key_bytes))
        self._iv = int.from_bytes(expanded(b"iv", IV_BYTES), "big")
        self._number = 0

    def opened(self, record: bytes) -> bytes:
        """What there is of a handshake in a record; nothing in one under other keys, as those before Finished are."""
        nonce = (self._iv ^ self._number).to_bytes(IV_BYTES, "big")
        try:
            padded = self._cipher.decrypt(nonce, record[HEADER_BYTES:], record[:HEADER_BYTES])
        except (InvalidTag, ValueError):
            return b""
        self._number += 1
        inner = padded.rstrip(b"\x00")
        return inner[:-1] if inner.endswith(bytes([ContentType.HANDSHAKE])) else b""


def _expanded(digest: type[SHA256 | SHA384], secret: bytes, label: bytes, count: int) -> bytes:
    """HKDF-Expand-Label (RFC 8446 §7.1), without a context."""
    return HKDFExpand(digest(), count, u16(count) + vector(b"tls13 " + label, 1) + b"\x00").derive(secret)


def _ticket_of(body: bytes) -> Ticket | None:
    """RFC 8446 §4.6.1: lifetime, age_add, nonce, ticket, extensions."""
    nonce_end = 9 + (body[8] if len(body) > 8 else 0)
    at = nonce_end + 2 + int.from_bytes(body[nonce_end : nonce_end + 2], "big") + 2
    if len(body) < at:
        return None
    lifetime_s, max_early_data_bytes = int.from_bytes(body[:4], "big"), 0
    while at + 4 <= len(body):
        kind, length = int.from_bytes(body[at : at + 2], "big"), int.from_bytes(body[at + 2 : at + 4], "big")
        if kind == EARLY_DATA:
            max_early_data_bytes = int.from_bytes(body[at + 4 : at + 4 + length], "big")
        at += 4 + length
    return Ticket(lifetime_s, max_early_data_bytes)


def _taken(buffer: bytearray, header_bytes: int, length_at: int) -> Iterator[bytes]:
    """Takes the whole records, or messages, off a buffer."""
    while len(buffer) >= header_bytes:
        end = header_bytes + int.from_bytes(buffer[length_at:header_bytes], "big")
        if len(buffer) < end:
            return
        taken = bytes(buffer[:end])
        del buffer[:end]
        yield taken
