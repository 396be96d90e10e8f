"""TLS as a server writes it and as a strict server reads it, written apart from the scanner's own code."""

from dataclasses import dataclass

ALERT, HANDSHAKE, APPLICATION_DATA, CHANGE_CIPHER_SPEC = 21, 22, 23, 20
CCS = b"\x14\x03\x03\x00\x01\x01"
HRR_RANDOM = bytes.fromhex("cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c")


def u16(value: int) -> bytes:
    """Two bytes."""
    return value.to_bytes(2, "big")


def record(content: int, fragment: bytes, version: int = 0x0303) -> bytes:
    """One record."""
    return bytes([content]) + u16(version) + u16(len(fragment)) + fragment


def alert(level: int, description: int, version: int = 0x0303) -> bytes:
    """The record of an alert."""
    return record(ALERT, bytes([level, description]), version)


def message(kind: int, body: bytes) -> bytes:
    """A handshake message."""
    return bytes([kind]) + len(body).to_bytes(3, "big") + body


def extension(kind: int, data: bytes) -> bytes:
    """An extension."""
    return u16(kind) + u16(len(data)) + data


SUPPORTED_VERSIONS_13 = extension(43, b"\x03\x04")
KEY_SHARE_X25519 = extension(51, u16(0x001D) + u16(32) + bytes(32))


def server_hello(
    version: int,
    cipher: int,
    extensions: bytes | None = None,
    *,
    random: bytes = b"r" * 32,
    session: bytes = b"s" * 32,
    compression: int = 0,
) -> bytes:
    """The message of a ServerHello; without `extensions` it has no list of them at all."""
    body = u16(version) + random + bytes([len(session)]) + session + u16(cipher) + bytes([compression])
    return message(2, body + (u16(len(extensions)) + extensions if extensions is not None else b""))


HELLO_12 = server_hello(0x0303, 0xC02F, b"")
HELLO_13 = server_hello(0x0303, 0x1301, SUPPORTED_VERSIONS_13 + KEY_SHARE_X25519)


def hello_of(code: int) -> bytes:
    """A good ServerHello of the version with this code."""
    return HELLO_13 if code == 0x0304 else server_hello(code, 0x0035)


def in_records(data: bytes, size: int) -> bytes:
    """A handshake in records of so many bytes each."""
    return b"".join(record(HANDSHAKE, data[at : at + size]) for at in range(0, len(data), size))


class Reader:
    """Takes bytes off the front; it is an error when there are too few, and when any are left."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    def take(self, count: int) -> bytes:
        """The next `count` bytes."""
        assert len(self.data) >= count, "too short"
        taken, self.data = self.data[:count], self.data[count:]
        return taken

    def number(self, count: int) -> int:
        """An integer of `count` bytes."""
        return int.from_bytes(self.take(count), "big")

    def vector(self, length_bytes: int) -> bytes:
        """Data behind its length."""
        return self.take(self.number(length_bytes))

    def codes(self, length_bytes: int) -> list[int]:
        """A list of two-byte codes behind its length."""
        data = self.vector(length_bytes)
        assert data, "an empty list"
        assert len(data) % 2 == 0
        return [int.from_bytes(data[at : at + 2], "big") for at in range(0, len(data), 2)]

    def end(self) -> None:
        """Nothing may be left."""
        assert not self.data, f"left over: {self.data!r}"


@dataclass(slots=True)
class ClientHello:
    """What a strict server reads (RFC 8446 §4.1.2, RFC 6101 §5.6.1.2)."""

    record_version: int
    version: int
    random: bytes
    session: bytes
    suites: list[int]
    compressions: bytes
    extensions: dict[int, bytes] | None  # None: no list at all
    message_bytes: int

    def of(self, kind: int) -> Reader:
        """The data of an extension."""
        assert self.extensions is not None
        return Reader(self.extensions[kind])

    @property
    def server_name(self) -> str | None:
        """SNI (RFC 6066 §3)."""
        if not self.extensions or 0 not in self.extensions:
            return None
        outer = self.of(0)
        names = Reader(outer.vector(2))
        outer.end()
        assert names.number(1) == 0
        name = names.vector(2)
        names.end()
        return name.decode("ascii")


def read_client_hello(data: bytes) -> ClientHello:
    """Read one record that holds one ClientHello and nothing else."""
    reader = Reader(data)
    assert reader.number(1) == HANDSHAKE
    record_version = reader.number(2)
    fragment = Reader(reader.vector(2))
    reader.end()
    message_bytes = len(fragment.data)
    assert message_bytes <= 2**14
    assert fragment.number(1) == 1
    body = Reader(fragment.vector(3))
    fragment.end()
    version, random = body.number(2), body.take(32)
    session = body.vector(1)
    assert len(session) <= 32
    suites, compressions = body.codes(2), body.vector(1)
    extensions: dict[int, bytes] | None = None
    if body.data:
        extensions = {}
        listed = Reader(body.vector(2))
        while listed.data:
            kind = listed.number(2)
            assert kind not in extensions, "an extension twice"
            extensions[kind] = listed.vector(2)
    body.end()
    return ClientHello(record_version, version, random, session, suites, compressions, extensions, message_bytes)
