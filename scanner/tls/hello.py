"""Hellos of our own: what a version is asked with, and how the answer is read.

A version is probed by one ClientHello that offers it and nothing above it. Up to TLS 1.2 the version stands in
`client_version`, and no `supported_versions` is sent (RFC 8446 §4.2.1); TLS 1.3 is offered by `supported_versions`
alone, with suites of TLS 1.2 beside its own, so that an older server can answer with what it speaks instead of
"no common cipher". SSLv3 has no extensions (RFC 6101). SSLv2 is another language: `sslv2.py`.

The plain hello offers all that a server might want. A server that stumbles over it is asked again with another shape,
which leaves out what it may have stumbled over.
"""

from collections.abc import Container, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import cache

from scanner.tls.names import Version
from scanner.tls.strength import weaknesses
from scanner.tls.suites import (
    RENEGOTIATION_SCSV,
    TLS13_SUITES,
    rests_on_certificate,
    suite_name,
    suites_there_are,
    wants_user,
)
from scanner.tls.wire import ContentType, Extension, HandshakeType, extension, record, u8, u16, vector

ENTROPY_BYTES = 96  # random, session id, key share
TLS1_3 = 0x0304

# RFC 8446 §4.1.3: a HelloRetryRequest is a ServerHello with this random (SHA-256 of "HelloRetryRequest").
HELLO_RETRY_REQUEST = bytes.fromhex("cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c")
# RFC 8446 §4.1.3: the end of the random when a server could have done TLS 1.3 (01), or TLS 1.2 (00).
SENTINELS = {bytes.fromhex("444f574e47524401"): "tls13_hint", bytes.fromhex("444f574e47524400"): "tls12_hint"}


MAX_EXTENSIONS = 64  # of a ServerHello, which may answer those of ours (RFC 8446 §4.2): twenty at the most
MAX_KEPT_EXTENSION_BYTES = 258  # one name of ALPN; of all others it is enough to know that they are there


def _codes(text: str) -> tuple[int, ...]:
    return tuple(int(code, 16) for code in text.split())


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
# GOST: those of drafts, never registered, which are all that many servers there have; and those of RFC 9189.
_OLD_GOST_SUITES = _codes("0081 ff85")
_GOST_SUITES = _codes("c100 c101 c102") + _OLD_GOST_SUITES
_RENEGOTIATION_SCSV = (RENEGOTIATION_SCSV,)  # RFC 5746 §3.3; some servers want to see it
# For a server below TLS 1.3 that would have nothing in common with its hello: what is the only choice of some.
_LAST_RESORT_SUITES = _codes("000a c012 0016 0005 0004") + _GOST_SUITES

# That of SSLv3 has elliptic curves too, for OpenSSL up to 1.0.2 took them there, without any extension, as it took
# pre-shared keys and Kerberos. So an alert 40 to it is the end of the matter: there is no other set to ask with.
_LAST_OF_SSLV3 = _codes(
    "0030 0031 0036 0037 0010 000d 0017 0019 001a c016 c017 "  # static DH, anonymous
    "008c 008d 008b 008a 0090 0091 008f 008e 0094 0095 0093 0092 "  # pre-shared keys
    "001f 001e 0020 0021 0023 0022 0024 0025"  # Kerberos
)
SUITES: dict[Version, tuple[int, ...]] = {
    Version.SSLV3: _OLD_SUITES + _LAST_OF_SSLV3 + _RENEGOTIATION_SCSV,
    Version.TLS1_0: _OLD_SUITES + _OLD_GOST_SUITES + _RENEGOTIATION_SCSV,
    Version.TLS1_1: _OLD_SUITES + _OLD_GOST_SUITES + _RENEGOTIATION_SCSV,
    Version.TLS1_2: _AEAD_SUITES + _SHA2_SUITES + _OLD_SUITES + _GOST_SUITES + _RENEGOTIATION_SCSV,
    Version.TLS1_3: (
        *(*TLS13_SUITES, *_AEAD_SUITES, *_SHA2_SUITES[:4], *_OLD_SUITES[:10], *_LAST_RESORT_SUITES),
        *_RENEGOTIATION_SCSV,
    ),
}
_FAMILY = frozenset({*range(0x1300, 0x1400), *TLS13_SUITES})  # what TLS 1.3 can have, and nothing else

# RFC 8701: values that a server must pass over. One of each kind stands in the plain hello of TLS 1.3.
_GREASE = 0x2A2A
_GREASE_EXTENSION = u16(0x4A4A) + b"\x00\x00"

X25519 = 0x001D
_TLS13_GROUPS = _codes("001d 0017 0018 0019 001e 0100 0101 0102 0103 0104")
# RFC 8446 §4.2.7 forbids these beside an offer of TLS 1.3, and tlslite-ng insists on it.
_OLD_GROUPS = _codes("001a 001b 001c 0016 0015 0013 000e 000b")
_SIGNATURE_ALGORITHMS = _codes(
    "0403 0804 0401 0503 0805 0501 0806 0601 0603 0809 080a 080b 0807 0808 0301 0303 0201 0203 0202 0402 0502"
)


def code_list(codes: tuple[int, ...]) -> bytes:
    """Code points of two bytes each, behind their length."""
    return vector(b"".join(map(u16, codes)), 2)


def _common_extensions(groups: tuple[int, ...]) -> bytes:
    return (
        extension(Extension.EXTENDED_MASTER_SECRET, b"")
        + extension(Extension.SUPPORTED_GROUPS, code_list(groups))
        + extension(Extension.EC_POINT_FORMATS, b"\x01\x00")
        + extension(Extension.SESSION_TICKET, b"")
    )


class Shape(StrEnum):
    """What a hello offers besides its version. The words stand in the records."""

    PLAIN = "plain"
    SMALL = "small"  # a dozen suites and no extension that can be spared: under 256 bytes for a name of 50
    NO_EXTENSIONS = "no_extensions"  # not for TLS 1.3, which is one
    NO_NAME = "no_name"
    NO_GREASE = "no_grease"  # TLS 1.3
    RSA = "rsa"  # server certificates with such a key alone; below TLS 1.2, key exchange with it as well
    ECDSA = "ecdsa"
    OTHER_SUITES = "other_suites"  # up to TLS 1.2: those that the plain hello has not, and a few others (`suites_of`)
    SHARED_SECRET = "shared_secret"  # up to TLS 1.2: of those, the ones with pre-shared keys, SRP, Kerberos or nothing
    OTHER_GROUPS = "other_groups"  # TLS 1.3: those that the plain hello has not, hybrid ones first; and signatures
    ALPN = "alpn"  # with the name of the protocol that is spoken inside


# What nearly every server has one of, each kind of key exchange and of key; by version, oldest first.
_SMALL_SUITES: dict[Version, tuple[int, ...]] = {
    Version.SSLV3: _codes("000a 0005 0004 002f 0035 0016 0013 0033 0009 0003"),
    Version.TLS1_0: _codes("c013 c014 c009 c00a 0033 0039 002f 0035 0032 000a 0005"),
    Version.TLS1_1: _codes("c013 c014 c009 c00a 0033 0039 002f 0035 0032 000a 0005"),
    Version.TLS1_2: _codes("c02f c030 c02b c02c 009e 009f 009c c013 c014 002f 0035 000a"),
    Version.TLS1_3: _codes("1301 1302 1303 c02f c02b 009e 009c c013 002f 000a"),  # and some for a server below it
}
_OTHER_GROUPS = _codes("11ec 11eb 11ed 0200 0201 0202 001f 0020 0021 0022 0023 0024 0025 0026 0027 0028 0029")
_FINITE_GROUPS = frozenset(_codes("0100 0101 0102 0103 0104"))
_SMALL_GROUPS = _codes("001d 0017 0018")
_SMALL_SIGNATURES = _codes("0403 0804 0401 0503 0805 0806 0201")
_OF_KEY = {Shape.RSA: ("_RSA_WITH",), Shape.ECDSA: ("_ECDSA_WITH",)}
_KEY_TRANSPORT = ("TLS_RSA_",)
_IN_FINITE_FIELDS = ("TLS_DH_", "TLS_DHE_")
# No server is known that has them, and more than 128 in a hello are too many for some: EXPORT with Kerberos, and new
# ciphers for certificates with a static key of Diffie-Hellman, or with one of DSA.
_LEFT_OUT = ("_KRB5_EXPORT_",)
_LEFT_OUT_OF_TLS12 = tuple(
    f"TLS_{kind}_WITH_{cipher}_"
    for kind in ("DH_DSS", "DH_RSA", "DHE_DSS", "ECDH_ECDSA", "ECDH_RSA")
    for cipher in ("ARIA", "CAMELLIA")
)
# RFC 5054 §2.8.1, RFC 8492 §4.2: a name in plaintext, behind its length. Nobody is called so; it is no login, for
# nothing is said in it that needs a password, but without it a server may not choose such a suite.
_USER = vector(b"tlsweep", 1)
_USER_EXTENSIONS = ((int(Extension.SRP), _USER), (int(Extension.PWD_CLEAR), _USER))
_SIGNATURES_OF_KEY = {
    Shape.RSA: _codes("0804 0805 0806 0809 080a 080b 0401 0501 0601 0301 0201"),
    Shape.ECDSA: _codes("0403 0503 0603 0303 0203"),
    # ML-DSA, SM2 (RFC 8998), GOST (RFC 9367), curves of Brainpool (RFC 8734): what a server may have no other than.
    Shape.OTHER_GROUPS: _SIGNATURE_ALGORITHMS
    + _codes("0904 0905 0906 0708 0709 070a 070b 070c 070d 070e 070f 081a 081b 081c"),
}


@dataclass(frozen=True, slots=True)
class _Template:
    """A hello but for what differs from one to the next: the random, the session id, the name and the key."""

    middle: bytes  # from the end of the session id to the end of the compression methods
    extensions: bytes | None  # but for the name, the key and the padding; None where there are none
    named: bool
    key: bool  # does a key share for X25519 end it?


@cache
def _template(version: Version, shape: Shape) -> _Template:
    suites, tls13 = suites_of(version, shape), version is Version.TLS1_3
    greased = tls13 and shape in (Shape.PLAIN, Shape.NO_NAME, Shape.ALPN)
    key = tls13 and shape is not Shape.OTHER_GROUPS
    extensions = None
    if version is not Version.SSLV3 and shape is not Shape.NO_EXTENSIONS:
        extensions = _extensions_of(version, shape, greased=greased, key=key)
    listed = (_GREASE, *suites) if greased else suites
    named = extensions is not None and shape is not Shape.NO_NAME
    return _Template(code_list(listed) + b"\x01\x00", extensions, named, key)


@cache
def offered_suites(version: Version, shape: Shape) -> frozenset[int]:
    """What a server may choose from, in answer to a hello of this shape."""
    return frozenset(suites_of(version, shape))


def suites_of(version: Version, shape: Shape) -> tuple[int, ...]:
    """What a hello of this shape offers, but for GREASE."""
    if shape is Shape.SMALL:
        return _SMALL_SUITES[version] + _RENEGOTIATION_SCSV
    if shape is Shape.NO_EXTENSIONS:  # nothing could pad it, so it has to stay under 256 bytes
        return tuple(code for code in SUITES[version] if code not in _GOST_SUITES)
    kinds = _OF_KEY.get(shape)
    if version in (Version.SSLV3, Version.TLS1_3):
        return SUITES[version]
    if shape in (Shape.OTHER_SUITES, Shape.SHARED_SECRET):
        return _beside_plain(version, shape) + _RENEGOTIATION_SCSV
    if kinds is None:
        return SUITES[version]
    if shape is Shape.RSA and version is not Version.TLS1_2:
        # Its signatures are MD5 with SHA-1, or SHA-1, and a server that makes none of these may still do without.
        kinds = _KEY_TRANSPORT
    return (*(code for code in SUITES[version] if _is_of(code, kinds)), *_RENEGOTIATION_SCSV)


@cache
def _beside_plain(version: Version, shape: Shape) -> tuple[int, ...]:
    """The suites that the plain hello has not.

    In TLS 1.2 they are too many for one hello: those that rest on no certificate alone have their own. The others have
    with them what takes another list of groups (`groups_of`). Below, there is room for all, and for those that need no
    signature.
    """
    others = [suite for suite in suites_there_are(version) if suite not in SUITES[version]]
    others = [suite for suite in others if not _is_of(suite, _LEFT_OUT)]
    again: tuple[str, ...] = ()  # of those that it has
    if shape is Shape.SHARED_SECRET:
        others = [suite for suite in others if not rests_on_certificate(suite)]
    elif version is Version.TLS1_2:
        again = _IN_FINITE_FIELDS
        others = [suite for suite in others if rests_on_certificate(suite) and not _is_of(suite, _LEFT_OUT_OF_TLS12)]
    else:
        again = _KEY_TRANSPORT
    offered = [*(suite for suite in SUITES[version] if _is_of(suite, again)), *others]
    # Strong ones first, as in the plain hello; and what wants a user last, for with such a suite a server may say that
    # it knows nobody of that name, and look no further.
    return tuple(sorted(offered, key=lambda suite: (wants_user(suite), bool(weaknesses(suite)))))


def _is_of(suite: int, kinds: tuple[str, ...]) -> bool:
    return any(kind in suite_name(suite) for kind in kinds)


def groups_of(version: Version, shape: Shape) -> tuple[int, ...]:
    """The groups of a hello of this shape, but for GREASE."""
    match shape:
        case Shape.SMALL:
            return _SMALL_GROUPS
        case Shape.OTHER_SUITES if version is Version.TLS1_2:
            # A server with a finite field of its own may not use it where others are listed (RFC 7919 §4).
            return tuple(group for group in _TLS13_GROUPS + _OLD_GROUPS if group not in _FINITE_GROUPS)
        case Shape.OTHER_GROUPS:
            return _OTHER_GROUPS
        case _:
            return _TLS13_GROUPS if version is Version.TLS1_3 else _TLS13_GROUPS + _OLD_GROUPS


def extensions_for(version: Version, shape: Shape) -> tuple[tuple[int, bytes], ...]:
    """What the suites of such a hello need besides: (number, body)."""
    return _USER_EXTENSIONS if any(map(wants_user, suites_of(version, shape))) else ()


def signatures_of(shape: Shape) -> tuple[int, ...]:
    """The signature algorithms of a hello of this shape."""
    return _SIGNATURES_OF_KEY.get(shape, _SMALL_SIGNATURES if shape is Shape.SMALL else _SIGNATURE_ALGORITHMS)


def _extensions_of(version: Version, shape: Shape, *, greased: bool, key: bool) -> bytes:
    groups = groups_of(version, shape)
    if shape is Shape.SMALL:
        data = extension(Extension.SUPPORTED_GROUPS, code_list(groups))
        data += extension(Extension.EC_POINT_FORMATS, b"\x01\x00")
    else:
        data = _common_extensions((_GREASE, *groups) if greased else groups)
    data += b"".join(extension(kind, body) for kind, body in extensions_for(version, shape))
    if version is Version.TLS1_2 and shape is Shape.PLAIN:  # in TLS 1.3 they would come encrypted
        data += extension(Extension.SIGNED_CERTIFICATE_TIMESTAMP, b"")
    if version in (Version.TLS1_2, Version.TLS1_3):
        data += extension(Extension.SIGNATURE_ALGORITHMS, code_list(signatures_of(shape)))
    if version is Version.TLS1_3:
        versions = (_GREASE, TLS1_3) if greased else (TLS1_3,)
        data += extension(Extension.SUPPORTED_VERSIONS, vector(b"".join(map(u16, versions)), 1))
        data += extension(Extension.PSK_KEY_EXCHANGE_MODES, b"\x01\x01")
        if greased:
            data += _GREASE_EXTENSION
        # The key itself comes last.
        share = u16(X25519) + b"\x00\x20" if key else b""
        length = len(share) + 32 if key else 0
        data += u16(Extension.KEY_SHARE) + u16(length + 2) + u16(length) + share
    return data


def client_hello(
    version: Version, server_name: str | None, entropy: bytes, shape: Shape = Shape.PLAIN, alpn: tuple[bytes, ...] = ()
) -> bytes:
    """The record of a ClientHello that offers `version` (SSLv3 to TLS 1.3) and nothing above it.

    `entropy` is 96 bytes: random, session id and key share. The session id is never empty, because some servers
    insist on one (and RFC 8446 §D.4 asks for it).
    """
    template = _template(version, shape)
    body = u16(min(version.code, 0x0303)) + entropy[:32] + b"\x20" + entropy[32:64] + template.middle
    if template.extensions is not None:
        extensions = server_name_extension(server_name) if template.named else b""
        extensions += alpn_extension(alpn) + template.extensions
        if template.key:
            extensions += x25519_key(entropy[64:96])
        extensions = padded(extensions, 4 + len(body) + 2)
        body += vector(extensions, 2)
    message = u8(HandshakeType.CLIENT_HELLO) + vector(body, 3)
    return record(ContentType.HANDSHAKE, min(version.code, 0x0301), message)


def x25519_key(entropy: bytes) -> bytes:
    """A public key of X25519: any 32 bytes are one (RFC 7748 §5).

    Its highest bit has no meaning and is to be ignored; but wolfSSL 5 takes no key that has it.
    """
    return entropy[:31] + bytes([entropy[31] & 0x7F])


def alpn_extension(names: tuple[bytes, ...]) -> bytes:
    """ALPN (RFC 7301 §3.1); nothing without names."""
    if not names:
        return b""
    return extension(Extension.ALPN, vector(b"".join(vector(name, 1) for name in names), 2))


def server_name_extension(server_name: str | None) -> bytes:
    """SNI (RFC 6066 §3); nothing for an address, which may not stand there."""
    if server_name is None:
        return b""
    return extension(Extension.SERVER_NAME, vector(b"\x00" + vector(server_name.encode("ascii"), 2), 2))


def padded(extensions: bytes, rest_bytes: int) -> bytes:
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
    legacy_version: int = field(default=0, compare=False)  # the one in its old place
    compression: int = field(default=0, compare=False)
    extensions: Mapping[int, bytes] = field(default_factory=dict, compare=False)  # in their order


class MalformedHelloError(ValueError):
    """The message is not a ServerHello, or not one that may answer this hello: it says nothing about any version."""


def read_server_hello(body: bytes, offered: Version, suites: Container[int] | None = None) -> ServerHello:
    """Read the body of a ServerHello (RFC 8446 §4.1.3, RFC 5246 §7.4.1.3). Raises MalformedHelloError.

    `offered`, and `suites`, which are those of the plain hello unless others are named: what it may choose from.
    """
    if len(body) < 38 or 35 + body[34] + 3 > len(body):
        raise MalformedHelloError("a ServerHello that ends in its middle")
    if body[0] != 3 or body[34] > 32:
        raise MalformedHelloError("a version or a session id that no version of TLS has")
    random, position = body[2:34], 35 + body[34]
    cipher, compression = int.from_bytes(body[position : position + 2], "big"), body[position + 2]
    extensions = read_extensions(body[position + 3 :])
    version = _chosen_version(body[1], extensions.get(Extension.SUPPORTED_VERSIONS), offered)
    if version <= TLS1_3 and (cipher in _FAMILY) != (version == TLS1_3):
        raise MalformedHelloError("a suite of another version")  # RFC 8446 §B.4: neither can have the other's
    retry = random == HELLO_RETRY_REQUEST
    if retry and version != TLS1_3:
        raise MalformedHelloError("a HelloRetryRequest of another version")
    flags = {hint} if version < TLS1_3 and (hint := SENTINELS.get(random[24:])) else set()
    if cipher not in (offered_suites(offered, Shape.PLAIN) if suites is None else suites):
        flags.add("unoffered_cipher")
    if compression or (version >= TLS1_3 and body[1] != 3):  # null alone was offered; legacy_version is 0x0303
        flags.add("violation")
    share = extensions.get(Extension.KEY_SHARE)
    group = int.from_bytes(share[:2], "big") if share and len(share) >= 2 else None
    return ServerHello(
        version=version,
        legacy_version=0x0300 + body[1],
        cipher=cipher,
        compression=compression,
        extensions=extensions,
        group=group,
        retry=retry,
        flags=frozenset(flags),
    )


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


def shortened(hello: ServerHello) -> ServerHello:
    """The same to keep beside hundreds of others: of each extension no more than a name of ALPN takes."""
    return replace(hello, extensions={kind: body[:MAX_KEPT_EXTENSION_BYTES] for kind, body in hello.extensions.items()})


def read_extensions(data: bytes) -> dict[int, bytes]:
    """The extensions of a ServerHello by their number, in their order; none where there is no list, which is optional
    before TLS 1.3. Raises MalformedHelloError.
    """
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
        if len(found) == MAX_EXTENSIONS:
            raise MalformedHelloError("more extensions than anybody has asked for")
        if kind in found:  # RFC 8446 §4.2
            raise MalformedHelloError("an extension twice")
        found[kind] = data[position + 4 : position + 4 + length]
        position += 4 + length
    return found
