"""The ten ClientHellos of JARM, byte for byte, and how their answers are read.

JARM (Althouse, Smart, Nunnally, Brady: "Easily Identify Malicious Servers on the Internet with JARM", 2020) has no
other specification than the program that was published with it. What is odd in its hellos is kept, for a fingerprint
can be compared only where the hellos are the same: key shares below TLS 1.3, `spdy/3` and `h2` that never part, and a
hello of TLS 1.1 that is called "middle out" and is not. One thing is not: where the program has but an address, it
names that in SNI, which RFC 6066 §3 forbids; then ours has no SNI.
"""

from dataclasses import dataclass
from enum import StrEnum

from scanner.dialogue import Violation
from scanner.tls.exchange import Evidence, HelloAnswer, TlsExchange
from scanner.tls.hello import (
    MalformedHelloError,
    ServerHello,
    code_list,
    read_extensions,
    server_name_extension,
    shortened,
    x25519_key,
)
from scanner.tls.names import Version
from scanner.tls.wire import ContentType, Extension, HandshakeType, extension, record, u8, u16, vector

# In the order of the specification: finite fields, elliptic curves with ECDSA and with RSA, RSA alone.
_CODES = (
    "0016 0033 0067 c09e c0a2 009e 0039 006b c09f c0a3 009f 0045 00be 0088 00c4 009a "
    "c008 c009 c023 c0ac c0ae c02b c00a c024 c0ad c0af c02c c072 c073 cca9 1302 1301 cc14 "
    "c007 c012 c013 c027 c02f c014 c028 c030 c060 c061 c076 c077 cca8 1305 1304 1303 cc13 c011 "
    "000a 002f 003c c09c c0a0 009c 0035 003d c09d c0a1 009d 0041 00ba 0084 00c0 0007 0004 0005"
)
_SUITES = tuple(int(code, 16) for code in _CODES.split())
_TLS13_SUITES = range(0x1301, 0x1306)
_GROUPS = (0x001D, 0x0017, 0x0018, 0x0019)
_SIGNATURES = (0x0403, 0x0804, 0x0401, 0x0503, 0x0805, 0x0501, 0x0806, 0x0601, 0x0201)
# `spdy/3` and `h2` stay in this order when the list is turned round.
_ALPN = ((b"http/0.9",), (b"http/1.0",), (b"http/1.1",), (b"spdy/1",), (b"spdy/2",), (b"spdy/3", b"h2"))
_RARE_ALPN = ((b"http/0.9",), (b"http/1.0",), (b"spdy/1",), (b"spdy/2",), (b"spdy/3",))
_ALPN_END = ((b"h2c",), (b"hq",))
_X25519 = 0x001D


class Order(StrEnum):
    """In which order a hello has the suites."""

    FORWARD = "forward"
    REVERSE = "reverse"
    TOP_HALF = "top_half"  # the first half, the middle one first
    BOTTOM_HALF = "bottom_half"  # the second half, without the middle one
    MIDDLE_OUT = "middle_out"  # the middle one, then from either side of it in turn


@dataclass(frozen=True, slots=True)
class JarmHello:
    """One of the ten. `versions`: those of `supported_versions`, which is left out where there is none."""

    name: str
    version: Version
    order: Order
    versions: tuple[int, ...] = ()
    backward: bool = False  # are the lists of ALPN and of versions turned round?
    rare_alpn: bool = False  # without http/1.1 and h2
    greased: bool = False
    without_tls13_suites: bool = False

    @property
    def suites(self) -> tuple[int, ...]:
        """What a server may choose from, in order."""
        dropped = _TLS13_SUITES if self.without_tls13_suites else ()
        return _in_order(tuple(code for code in _SUITES if code not in dropped), self.order)


_UP_TO_1_2 = (0x0301, 0x0302, 0x0303)
_UP_TO_1_3 = (*_UP_TO_1_2, 0x0304)

HELLOS = (
    JarmHello("tls1_2_forward", Version.TLS1_2, Order.FORWARD, _UP_TO_1_2, backward=True),
    JarmHello("tls1_2_reverse", Version.TLS1_2, Order.REVERSE, _UP_TO_1_2),
    JarmHello("tls1_2_top_half", Version.TLS1_2, Order.TOP_HALF),
    JarmHello("tls1_2_bottom_half", Version.TLS1_2, Order.BOTTOM_HALF, rare_alpn=True),
    JarmHello("tls1_2_middle_out", Version.TLS1_2, Order.MIDDLE_OUT, backward=True, rare_alpn=True, greased=True),
    JarmHello("tls1_1_middle_out", Version.TLS1_1, Order.FORWARD),
    JarmHello("tls1_3_forward", Version.TLS1_3, Order.FORWARD, _UP_TO_1_3, backward=True),
    JarmHello("tls1_3_reverse", Version.TLS1_3, Order.REVERSE, _UP_TO_1_3),
    JarmHello("tls1_3_invalid", Version.TLS1_3, Order.FORWARD, _UP_TO_1_3, without_tls13_suites=True),
    JarmHello("tls1_3_middle_out", Version.TLS1_3, Order.MIDDLE_OUT, _UP_TO_1_3, backward=True, greased=True),
)


def _in_order(codes: tuple[int, ...], order: Order) -> tuple[int, ...]:
    middle = len(codes) // 2  # of 69, the one that has as many before it as behind
    match order:
        case Order.FORWARD:
            return codes
        case Order.REVERSE:
            return codes[::-1]
        case Order.TOP_HALF:
            return codes[middle::-1]
        case Order.BOTTOM_HALF:
            return codes[middle + 1 :]
        case Order.MIDDLE_OUT:
            pairs = zip(codes[middle + 1 :], codes[:middle][::-1], strict=True)
            return (codes[middle], *(code for pair in pairs for code in pair))


def jarm_client_hello(hello: JarmHello, server_name: str | None, entropy: bytes) -> bytes:
    """The record of this ClientHello. `entropy` is 96 bytes: random, session id and key share.

    Which GREASE values (RFC 8701) stand in it is for the client to choose: one, in every place.
    """
    grease = 0x0A0A + 0x1010 * (entropy[0] % 16) if hello.greased else None
    body = u16(min(hello.version.code, 0x0303)) + entropy[:32] + b"\x20" + entropy[32:64]
    body += code_list(hello.suites if grease is None else (grease, *hello.suites)) + b"\x01\x00"
    body += vector(_extensions(hello, server_name, x25519_key(entropy[64:96]), grease), 2)
    message = u8(HandshakeType.CLIENT_HELLO) + vector(body, 3)
    version = 0x0301 if hello.version is Version.TLS1_3 else hello.version.code
    return record(ContentType.HANDSHAKE, version, message)


def _extensions(hello: JarmHello, server_name: str | None, key: bytes, grease: int | None) -> bytes:
    turn = -1 if hello.backward else 1
    greased = (grease,) if grease is not None else ()
    alpn = (*(_RARE_ALPN if hello.rare_alpn else _ALPN), *_ALPN_END)[::turn]
    shares = b"".join(u16(code) + vector(b"\x00", 2) for code in greased) + u16(_X25519) + vector(key, 2)
    data = b"".join(extension(code, b"") for code in greased)
    data += server_name_extension(server_name)
    data += extension(Extension.EXTENDED_MASTER_SECRET, b"")
    data += extension(Extension.MAX_FRAGMENT_LENGTH, b"\x01")  # 512 bytes
    data += extension(Extension.RENEGOTIATION_INFO, b"\x00")
    data += extension(Extension.SUPPORTED_GROUPS, code_list(_GROUPS))
    data += extension(Extension.EC_POINT_FORMATS, b"\x01\x00")
    data += extension(Extension.SESSION_TICKET, b"")
    data += extension(Extension.ALPN, vector(b"".join(vector(name, 1) for names in alpn for name in names), 2))
    data += extension(Extension.SIGNATURE_ALGORITHMS, code_list(_SIGNATURES))
    data += extension(Extension.KEY_SHARE, vector(shares, 2))
    data += extension(Extension.PSK_KEY_EXCHANGE_MODES, b"\x01\x01")
    if hello.versions:
        versions = b"".join(map(u16, (*greased, *hello.versions[::turn])))
        data += extension(Extension.SUPPORTED_VERSIONS, vector(versions, 1))
    return data


class JarmExchange(TlsExchange):
    """The answer has the ServerHello as it stands, be it allowed in answer to this hello or not."""

    def __init__(self, hello: JarmHello, server_name: str | None, entropy: bytes, *, after_upgrade: bool) -> None:
        said = jarm_client_hello(hello, server_name, entropy)
        super().__init__(said, hello.version, hello.suites, after_upgrade=after_upgrade)

    def _judge(self, kind: int, body: bytes) -> HelloAnswer:
        """Of the first record, JARM reads no more than whether it is a ServerHello: an alert stands for a refusal."""
        if self.warning is not None:
            return HelloAnswer(Evidence.ALERT, alert=self.warning)
        if kind != HandshakeType.SERVER_HELLO:
            return super()._judge(kind, body)
        try:
            hello = shortened(_read(body))
        except MalformedHelloError as error:
            raise Violation(str(error)) from error
        return HelloAnswer(Evidence.SERVER_HELLO, version=hello.version, cipher=hello.cipher, server_hello=hello)


def _read(body: bytes) -> ServerHello:
    """A ServerHello that no rule is applied to but that of its form: an odd choice is what a fingerprint lives on."""
    if len(body) < 38 or 35 + body[34] + 3 > len(body) or body[0] != 3 or body[1] > 4:
        raise MalformedHelloError("a ServerHello that ends in its middle, or of no version of TLS")
    position = 35 + body[34]
    version = int.from_bytes(body[:2], "big")
    return ServerHello(
        version=version,
        legacy_version=version,
        cipher=int.from_bytes(body[position : position + 2], "big"),
        compression=body[position + 2],
        extensions=read_extensions(body[position + 3 :]),
        group=None,
        retry=False,
        flags=frozenset(),
    )
