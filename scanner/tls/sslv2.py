"""SSLv2 hellos (Hickman's draft of 1995, RFC 6176): another framing, other ciphers, and no number of its own rank."""

from dataclasses import dataclass

from scanner.tls.names import Version
from scanner.tls.wire import u16

CHALLENGE_BYTES = 16
CIPHER_KINDS = (0x010080, 0x020080, 0x030080, 0x040080, 0x050080, 0x060040, 0x0700C0)
ERROR, CLIENT_HELLO, SERVER_HELLO = 0, 1, 4
NO_CIPHER_ERROR = 1
X509 = 1  # the one type of certificate that there is
MAX_KINDS = 32  # that are kept: a server may name those of ours that it has, and there are seven


@dataclass(frozen=True, slots=True)
class Sslv2ServerHello:
    """A SERVER-HELLO; `ciphers` are those that both sides have, each once, and may be none."""

    version: int
    ciphers: tuple[int, ...]
    certificate: bytes = b""  # DER; empty where it is of a type that is not X.509


def client_hello(entropy: bytes) -> bytes:
    """A CLIENT-HELLO with every cipher kind there is."""
    kinds = b"".join(kind.to_bytes(3, "big") for kind in CIPHER_KINDS)
    body = bytes([CLIENT_HELLO]) + u16(Version.SSLV2.code) + u16(len(kinds)) + u16(0) + u16(CHALLENGE_BYTES)
    body += kinds + entropy[:CHALLENGE_BYTES]
    return u16(0x8000 | len(body)) + body


def header(first: bytes) -> tuple[int, int, int]:
    """(bytes of header, bytes of message with its padding, bytes of padding) from the first three bytes of a record."""
    if first[0] & 0x80:
        return 2, int.from_bytes(first[:2], "big") & 0x7FFF, 0
    return 3, int.from_bytes(first[:2], "big") & 0x3FFF, first[2]


def read_server_hello(message: bytes) -> Sslv2ServerHello | None:
    """Read a SERVER-HELLO; None if the message is none."""
    if len(message) < 11 or message[0] != SERVER_HELLO:
        return None
    certificate_bytes, cipher_bytes = int.from_bytes(message[5:7], "big"), int.from_bytes(message[7:9], "big")
    start = 11 + certificate_bytes
    if cipher_bytes % 3 or start + cipher_bytes > len(message):
        return None
    kinds = message[start : start + cipher_bytes]
    ciphers = dict.fromkeys(int.from_bytes(kinds[at : at + 3], "big") for at in range(0, cipher_bytes, 3))
    certificate = message[11:start] if message[2] == X509 else b""
    return Sslv2ServerHello(int.from_bytes(message[3:5], "big"), tuple(ciphers)[:MAX_KINDS], certificate)
