"""Hellos of our own: what a version is asked with, and how the answer is read.

A version is probed by one ClientHello that offers it and nothing above it. Up to TLS 1.2 the version stands in
`client_version`, and no `supported_versions` is sent (RFC 8446 §4.2.1); TLS 1.3 is offered by `supported_versions`
alone, with suites of TLS 1.2 beside its own, so that an older server can answer with what it speaks instead of
"no common cipher". SSLv3 has no extensions (RFC 6101). SSLv2 is another language: `sslv2.py`.
"""

from dataclasses import dataclass

from scanner.tls.names import Version
from scanner.tls.wire import ContentType, Extension, HandshakeType, extension, record, u8, u16, vector

ENTROPY_BYTES = 96  # random, session id, key share
TLS1_3 = 0x0304

# RFC 8446 §4.1.3: a HelloRetryRequest is a ServerHello with this random (SHA-256 of "HelloRetryRequest").
HELLO_RETRY_REQUEST = bytes.fromhex("cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c")
# RFC 8446 §4.1.3: the end of the random when a server could have done TLS 1.3 (01), or TLS 1.2 (00).
SENTINELS = {bytes.fromhex("444f574e47524401"): "tls13_hint", bytes.fromhex("444f574e47524400"): "tls12_hint"}


def _codes(text: str) -> tuple[int, ...]:
    return tuple(int(code, 16) for code in text.split())


_TLS13_SUITES = _codes("1301 1302 1303 1304 1305 00c6 00c7 c0b4 c0b5")
# Strongest first, so that a server that follows the client's order shows its best. The last lines are what only
# broken servers still choose; without them such a server would look as if it did not speak the version at all.
_AEAD_SUITES = _codes("c02b c02f c02c c030 cca9 cca8 c0ac c0ad 009e 009f ccaa 00a2 00a3 009c 009d c09c c09d")
_SHA2_SUITES = _codes("c023 c027 c024 c028 0067 006b 0040 006a 003c 003d 003b 00a6 00a7 006c 006d")
_OLD_SUITES = _codes(
    "c009 c013 c00a c014 0033 0039 0032 0038 002f 0035 0045 0088 0044 0087 0041 0084 0096 009a 0007 "  # AES … IDEA
    "c004 c00e c005 c00f "  # static ECDH
    "c008 c012 0016 0013 000a c003 c00d c007 c011 0005 0004 "  # 3DES, RC4
    "0015 0012 0009 0064 0062 0014 0011 0008 0006 0003 "  # DES, EXPORT
    "c018 c019 0034 003a 001b 0018 c006 c010 0002 0001"  # anonymous, NULL
)
_RENEGOTIATION_SCSV = (0x00FF,)  # RFC 5746 §3.3; some servers want to see it

# What SSLv3 could name: nothing with elliptic curves, which need extensions, and nothing after RFC 5246's time.
_SSLV3_SUITES = tuple(code for code in _OLD_SUITES if code < 0x0100)

SUITES: dict[Version, tuple[int, ...]] = {
    Version.SSLV3: _SSLV3_SUITES + _RENEGOTIATION_SCSV,
    Version.TLS1_0: _OLD_SUITES + _RENEGOTIATION_SCSV,
    Version.TLS1_1: _OLD_SUITES + _RENEGOTIATION_SCSV,
    Version.TLS1_2: _AEAD_SUITES + _SHA2_SUITES + _OLD_SUITES + _RENEGOTIATION_SCSV,
    Version.TLS1_3: _TLS13_SUITES + _AEAD_SUITES + _SHA2_SUITES[:4] + _OLD_SUITES[:10] + _RENEGOTIATION_SCSV,
}
_OFFERED = {version: frozenset(suites) for version, suites in SUITES.items()}
_FAMILY = frozenset({*range(0x1300, 0x1400), *_TLS13_SUITES})  # what TLS 1.3 can have, and nothing else

X25519 = 0x001D
_TLS13_GROUPS = _codes("001d 0017 0018 0019 001e 0100 0101 0102 0103 0104")
# RFC 8446 §4.2.7 forbids these beside an offer of TLS 1.3, and tlslite-ng insists on it.
_OLD_GROUPS = _codes("001a 001b 001c 0016 0015 0013 000e 000b")
_SIGNATURE_ALGORITHMS = _codes(
    "0403 0804 0401 0503 0805 0501 0806 0601 0603 0809 080a 080b 0807 0808 0301 0303 0201 0203 0202 0402 0502"
)


def _list(codes: tuple[int, ...]) -> bytes:
    return vector(b"".join(map(u16, codes)), 2)


def _common_extensions(groups: tuple[int, ...]) -> bytes:
    return (
        extension(Extension.EXTENDED_MASTER_SECRET, b"")
        + extension(Extension.SUPPORTED_GROUPS, _list(groups))
        + extension(Extension.EC_POINT_FORMATS, b"\x01\x00")
        + extension(Extension.SESSION_TICKET, b"")
    )


_COMMON = _common_extensions(_TLS13_GROUPS + _OLD_GROUPS)
_SIGNATURES = extension(Extension.SIGNATURE_ALGORITHMS, _list(_SIGNATURE_ALGORITHMS))
_TLS13_EXTENSIONS = (
    extension(Extension.SUPPORTED_VERSIONS, b"\x02\x03\x04")
    + extension(Extension.PSK_KEY_EXCHANGE_MODES, b"\x01\x01")
    + u16(Extension.KEY_SHARE)
    + b"\x00\x26\x00\x24"
    + u16(X25519)
    + b"\x00\x20"  # the key itself comes last: any 32 bytes are an X25519 key (RFC 7748 §5)
)
_EXTENSIONS: dict[Version, bytes] = {
    Version.TLS1_0: _COMMON,
    Version.TLS1_1: _COMMON,
    Version.TLS1_2: _COMMON + _SIGNATURES,
    Version.TLS1_3: _common_extensions(_TLS13_GROUPS) + _SIGNATURES + _TLS13_EXTENSIONS,
}
_MIDDLES: dict[Version, bytes] = {  # from the end of the session id to the end of the compression methods
    version: _list(suites) + b"\x01\x00" for version, suites in SUITES.items()
}


def client_hello(version: Version, server_name: str | None, entropy: bytes) -> bytes:
    """The record of a ClientHello that offers `version` (SSLv3 to TLS 1.3) and nothing above it.

    `entropy` is 96 bytes: random, session id and key share. The session id is never empty, because some servers
    insist on one (and RFC 8446 §D.4 asks for it).
    """
    legacy = min(version.code, 0x0303)
    body = u16(legacy) + entropy[:32] + b"\x20" + entropy[32:64] + _MIDDLES[version]
    if version is not Version.SSLV3:
        extensions = server_name_extension(server_name) + _EXTENSIONS[version]
        if version is Version.TLS1_3:
            extensions += entropy[64:96]
        body += vector(_padded(extensions, 4 + len(body) + 2), 2)
    message = u8(HandshakeType.CLIENT_HELLO) + vector(body, 3)
    return record(ContentType.HANDSHAKE, min(version.code, 0x0301), message)


def server_name_extension(server_name: str | None) -> bytes:
    """SNI (RFC 6066 §3); nothing for an address, which may not stand there."""
    if server_name is None:
        return b""
    return extension(Extension.SERVER_NAME, vector(b"\x00" + vector(server_name.encode("ascii"), 2), 2))


def _padded(extensions: bytes, rest_bytes: int) -> bytes:
    """Padding (RFC 7685): a message of 256 to 511 bytes hangs an old F5, and some lengths hang others."""
    length = rest_bytes + len(extensions)
    if length < 256 or (length >= 512 and length % 256 not in (10, 14)):
        return extensions
    missing = 512 - length if length < 512 else 5  # 4 would make a 14 of a 10
    return extensions + extension(Extension.PADDING, bytes(max(0, missing - 4)))


@dataclass(frozen=True, slots=True)
class ServerHello:
    """A ServerHello as it stands on the wire; numbers without a name are kept as numbers."""

    version: int  # the one that was chosen: of `supported_versions` where it is there
    cipher: int
    group: int | None  # of the key share, TLS 1.3 only
    retry: bool  # is it a HelloRetryRequest?
    flags: frozenset[str]


class MalformedHelloError(ValueError):
    """The message is not a ServerHello, or not one that may answer this hello: it says nothing about any version."""


def read_server_hello(body: bytes, offered: Version) -> ServerHello:
    """Read the body of a ServerHello (RFC 8446 §4.1.3, RFC 5246 §7.4.1.3). Raises MalformedHelloError."""
    if len(body) < 38 or 35 + body[34] + 3 > len(body):
        raise MalformedHelloError("a ServerHello that ends in its middle")
    if body[0] != 3 or body[34] > 32:
        raise MalformedHelloError("a version or a session id that no version of TLS has")
    random, position = body[2:34], 35 + body[34]
    cipher, compression = int.from_bytes(body[position : position + 2], "big"), body[position + 2]
    extensions = _extensions(body[position + 3 :])
    version = _chosen_version(body[1], extensions.get(Extension.SUPPORTED_VERSIONS), offered)
    if version <= TLS1_3 and (cipher in _FAMILY) != (version == TLS1_3):
        raise MalformedHelloError("a suite of another version")  # RFC 8446 §B.4: neither can have the other's
    retry = random == HELLO_RETRY_REQUEST
    if retry and version != TLS1_3:
        raise MalformedHelloError("a HelloRetryRequest of another version")
    flags = {hint} if version < TLS1_3 and (hint := SENTINELS.get(random[24:])) else set()
    if cipher not in _OFFERED[offered]:
        flags.add("unoffered_cipher")
    if compression or (version >= TLS1_3 and body[1] != 3):  # null alone was offered; legacy_version is 0x0303
        flags.add("violation")
    share = extensions.get(Extension.KEY_SHARE)
    group = int.from_bytes(share[:2], "big") if share and len(share) >= 2 else None
    return ServerHello(version, cipher, group, retry, frozenset(flags))


def _chosen_version(legacy_minor: int, chosen: bytes | None, offered: Version) -> int:
    """The version of a ServerHello, from its old place and its new one (RFC 8446 §4.2.1)."""
    if chosen is None:
        if legacy_minor > 3:
            raise MalformedHelloError("a version that only supported_versions can name")
        return 0x0300 + legacy_minor
    version = int.from_bytes(chosen, "big")
    if offered is not Version.TLS1_3 or len(chosen) != 2 or version < TLS1_3:
        raise MalformedHelloError("supported_versions that were not asked for")
    return version


def _extensions(data: bytes) -> dict[int, bytes]:
    """The extensions of a hello by their number; none at all where there is no list (before TLS 1.2 it is optional)."""
    if not data:
        return {}
    end = 2 + int.from_bytes(data[:2], "big")
    if end != len(data):
        raise MalformedHelloError("extensions that do not fill the message")
    found: dict[int, bytes] = {}
    position = 2
    while position < end:
        length = int.from_bytes(data[position + 2 : position + 4], "big")
        if position + 4 + length > end:
            raise MalformedHelloError("an extension that ends in its middle")
        kind = int.from_bytes(data[position : position + 2], "big")
        if kind in found:  # RFC 8446 §4.2
            raise MalformedHelloError("an extension twice")
        found[kind] = data[position + 4 : position + 4 + length]
        position += 4 + length
    return found
