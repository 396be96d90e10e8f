"""What our TLS library offers in a handshake, read from its own hello; and what of a server's choice it has not.

It has no SSLv3, no RC4, 3DES, EXPORT, GOST or static ECDH, and pyOpenSSL has no function for the groups that OpenSSL
knows and does not offer unasked. A raw hello offers all of these.
"""

import contextlib
from dataclasses import dataclass
from functools import cache

from OpenSSL import SSL

from scanner.tls.exchange import HelloAnswer
from scanner.tls.handshake import measuring_context, outgoing
from scanner.tls.hello import read_extensions
from scanner.tls.names import cipher_id, cipher_name, group_id, group_name, version_of_code
from scanner.tls.wire import HEADER_BYTES, Extension

_SESSION_AT = HEADER_BYTES + 4 + 2 + 32  # behind the header of the message, the version and the random


@dataclass(frozen=True, slots=True)
class Offered:
    """What a hello offers, in code points."""

    versions: frozenset[int]
    suites: frozenset[int]
    groups: frozenset[int]


@cache
def offered() -> Offered:
    """What the usual handshake does."""
    tls = SSL.Connection(measuring_context(), None)
    tls.set_connect_state()
    with contextlib.suppress(SSL.WantReadError):
        tls.do_handshake()
    return _read(outgoing(tls))


def _read(hello: bytes) -> Offered:
    """Of a ClientHello of TLS 1.3 in one record (RFC 8446 §4.1.2)."""
    suites_at = _SESSION_AT + 1 + hello[_SESSION_AT]
    suites, compressions_at = _vector(hello, suites_at, 2)
    _, extensions_at = _vector(hello, compressions_at, 1)
    extensions = read_extensions(hello[extensions_at:])
    versions, _ = _vector(extensions[Extension.SUPPORTED_VERSIONS], 0, 1)
    groups, _ = _vector(extensions[Extension.SUPPORTED_GROUPS], 0, 2)
    return Offered(_codes(versions), _codes(suites), _codes(groups))


def _vector(data: bytes, at: int, length_bytes: int) -> tuple[bytes, int]:
    """What stands there behind its length, and where it ends."""
    start = at + length_bytes
    end = start + int.from_bytes(data[at:start], "big")
    return data[start:end], end


def _codes(data: bytes) -> frozenset[int]:
    return frozenset(int.from_bytes(data[at : at + 2], "big") for at in range(0, len(data), 2))


def lacks(chosen: HelloAnswer) -> str | None:
    """What of a server's choice the library does not offer, by its name; None where it offers all of it."""
    ours = offered()
    if chosen.version not in ours.versions:
        return str(version_of_code(chosen.version or 0))
    if chosen.cipher is not None and chosen.cipher not in ours.suites:
        return cipher_name(chosen.cipher) or cipher_id(chosen.cipher)
    if chosen.group is not None and chosen.group not in ours.groups:
        return group_name(chosen.group) or group_id(chosen.group)
    return None
