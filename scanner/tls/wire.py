"""TLS on the wire: records, handshake messages and the little integers that they are made of (RFC 8446 §4, §5)."""

from enum import IntEnum

MAX_FRAGMENT_BYTES = 2**14 + 2048  # RFC 5246 §6.2.3: the most that any version allows in one record
HEADER_BYTES = 5


class ContentType(IntEnum):
    """What a record holds."""

    CHANGE_CIPHER_SPEC = 20
    ALERT = 21
    HANDSHAKE = 22
    APPLICATION_DATA = 23


class HandshakeType(IntEnum):
    """What a handshake message is."""

    CLIENT_HELLO = 1
    SERVER_HELLO = 2
    CERTIFICATE = 11
    SERVER_KEY_EXCHANGE = 12
    CERTIFICATE_REQUEST = 13
    SERVER_HELLO_DONE = 14
    CERTIFICATE_STATUS = 22


class Extension(IntEnum):
    """Extensions that we send or read."""

    SERVER_NAME = 0
    MAX_FRAGMENT_LENGTH = 1
    SUPPORTED_GROUPS = 10
    EC_POINT_FORMATS = 11
    SRP = 12
    SIGNATURE_ALGORITHMS = 13
    ALPN = 16
    SIGNED_CERTIFICATE_TIMESTAMP = 18
    PADDING = 21
    EXTENDED_MASTER_SECRET = 23
    PWD_CLEAR = 30
    SESSION_TICKET = 35
    SUPPORTED_VERSIONS = 43
    PSK_KEY_EXCHANGE_MODES = 45
    KEY_SHARE = 51
    RENEGOTIATION_INFO = 0xFF01


def u8(value: int) -> bytes:
    """An integer of one byte."""
    return value.to_bytes(1, "big")


def u16(value: int) -> bytes:
    """An integer of two bytes."""
    return value.to_bytes(2, "big")


def vector(data: bytes, length_bytes: int) -> bytes:
    """Data behind its length."""
    return len(data).to_bytes(length_bytes, "big") + data


def extension(kind: int, data: bytes) -> bytes:
    """One extension of a hello."""
    return u16(kind) + vector(data, 2)


def record(content: ContentType, version: int, fragment: bytes) -> bytes:
    """One plaintext record."""
    return u8(content) + u16(version) + vector(fragment, 2)


def starts_record(data: bytes | bytearray) -> bool:
    """Can these first bytes (one at least) begin a TLS record?"""
    return 20 <= data[0] <= 23 and (len(data) < 2 or data[1] == 3)


def is_text(data: bytes | bytearray) -> bool:
    """Is the first line of these bytes (one at least) text that a person could read? What is behind it may be TLS."""
    return all(32 <= byte < 127 or byte in b"\r\t" for byte in data[:64].partition(b"\n")[0])


CLOSE_NOTIFY = b"\x01\x00"  # warning, close_notify: how a client says goodbye in the middle (RFC 5246 §7.2.1)
