"""What a server says in the clear in its first flight: read along, for what OpenSSL does not tell or does not bound.

    S: ServerHello ▶ Certificate ▶ [CertificateStatus] ▶ [ServerKeyExchange] ▶ [CertificateRequest] ▶ ServerHelloDone

That is TLS 1.2 and older (RFC 5246 §7.3); in TLS 1.3 all behind the ServerHello is encrypted.
"""

from enum import StrEnum

from scanner.dialogue import LimitExceeded
from scanner.tls.names import cipher_name
from scanner.tls.wire import CLOSE_NOTIFY, HEADER_BYTES, ContentType, HandshakeType

MAX_CHAIN = 32
MAX_GROUP_BYTES = 512  # of 10,000 bits, the most that OpenSSL takes, the two powers last 0.7 s; of 4,096, 30 ms

_ALERT_BYTES = HEADER_BYTES + 2
_MESSAGE_HEADER_BYTES = 4
_FATAL = 2


class ClientCertificate(StrEnum):
    """Does the server ask for a certificate of the client's?"""

    NONE = "none"
    REQUESTED = "requested"
    REQUIRED = "required"


class Flight:
    """Reads along."""

    def __init__(self) -> None:
        self.version: int | None = None  # of the ServerHello
        self.alert = b""  # the record of the one that ends it; of several that do not, the last
        self.chain: tuple[bytes, ...] = ()  # DER, leaf first
        self.requests_certificate = False
        self.whole = False  # has a ServerHelloDone come?
        self._records = bytearray()
        self._messages = bytearray()
        self._ended = False  # by an alert
        self._over = False  # what comes from here on is encrypted, or nonsense
        self._has_own_group = False

    @property
    def client_certificate(self) -> ClientCertificate | None:
        """As far as the flight tells: whether it has to be there, nobody says before it is missing."""
        if self.requests_certificate:
            return ClientCertificate.REQUESTED
        return ClientCertificate.NONE if self.whole else None

    def read(self, data: bytes) -> None:
        """Before OpenSSL does. Raises LimitExceeded for a finite-field group that would keep it busy for long."""
        self._records += data
        while record := _first(self._records, HEADER_BYTES, 3):
            if record[0] == ContentType.HANDSHAKE and not self._over:
                self._messages += record[HEADER_BYTES:]
            elif record[0] == ContentType.ALERT and len(record) == _ALERT_BYTES and not self._ended:
                self.alert = record
                self._ended = record[HEADER_BYTES] == _FATAL or record[HEADER_BYTES:] == CLOSE_NOTIFY
        while not self._over and (message := _first(self._messages, _MESSAGE_HEADER_BYTES, 1)):
            self._read_message(message[0], message[_MESSAGE_HEADER_BYTES:])

    def _read_message(self, kind: int, body: bytes) -> None:
        match kind:
            case HandshakeType.SERVER_HELLO if len(body) > 34:
                self._read_hello(body)
            case HandshakeType.CERTIFICATE if self.version is not None and not self.chain:
                self.chain = chain_in(body)
            case HandshakeType.SERVER_KEY_EXCHANGE if self._has_own_group:
                if int.from_bytes(body[:2], "big") > MAX_GROUP_BYTES:
                    raise LimitExceeded("dh_group")
            case HandshakeType.CERTIFICATE_REQUEST if self.version is not None:
                self.requests_certificate = True
            case HandshakeType.SERVER_HELLO_DONE:
                self.whole = self._over = self.version is not None

    def _read_hello(self, body: bytes) -> None:
        self.version = int.from_bytes(body[:2], "big")
        suite_at = 35 + body[34]  # behind the version, the random and the session
        suite = cipher_name(int.from_bytes(body[suite_at : suite_at + 2], "big"))
        self._over = suite is None or "_WITH_" not in suite  # TLS 1.3
        self._has_own_group = suite is not None and suite.startswith("TLS_DH")  # DHE or anonymous


def chain_in(body: bytes) -> tuple[bytes, ...]:
    """The certificates of a Certificate message of TLS 1.2 or older (RFC 5246 §7.4.2), as far as it can be read."""
    found, at = list[bytes](), 3
    while at + 3 <= len(body) and len(found) < MAX_CHAIN:
        start = at + 3
        at = start + int.from_bytes(body[at:start], "big")
        if at > len(body):
            break
        found.append(body[start:at])
    return tuple(filter(None, found))


def _first(buffer: bytearray, header_bytes: int, length_at: int) -> bytes:
    """Takes the first whole record or message off a buffer; empty when there is none yet."""
    end = header_bytes + int.from_bytes(buffer[length_at:header_bytes], "big")
    if len(buffer) < end:
        return b""
    taken = bytes(buffer[:end])
    del buffer[:end]
    return taken
