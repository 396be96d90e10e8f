"""A ClientHello made to measure: for what a requested question wants to know, where the usual hellos do not do.

    C: ClientHello ──▶ S: ServerHello [▶ Certificate ▶ … as far as it is read on, up to TLS 1.2]

Nothing of it needs a key: what a server chooses stands in its first flight, in plaintext.
"""

from dataclasses import dataclass, field, replace

from scanner.dialogue import Script, Stop
from scanner.tls.exchange import HelloAnswer, TlsExchange
from scanner.tls.hello import (
    TLS1_3,
    Shape,
    alpn_extension,
    code_list,
    groups_of,
    padded,
    server_name_extension,
    shortened,
    signatures_of,
    suites_of,
    x25519_key,
)
from scanner.tls.names import Version
from scanner.tls.wire import ContentType, Extension, HandshakeType, extension, record, u8, u16, vector

MAX_FLIGHT_BYTES = 262_144
MAX_MESSAGES = 16  # behind the ServerHello; five are usual
MAX_KEPT_BYTES = 4_096  # of a message: a list asks hundreds of times, and keeps what each came to until the last
_KEY_BYTES = {0x001D: 32}  # X25519, of which any bytes are a key (RFC 7748 §5)


@dataclass(frozen=True, slots=True)
class Offer:
    """What a hello has in it; what is None is as in the plain hello of the version.

    In TLS 1.3, `shares` are the groups with a key share: X25519, or none, which asks for a HelloRetryRequest. `extra`
    are further extensions, as (number, body); one with the number of a usual one takes its place. `read_on` is the last
    message to wait for behind the ServerHello, up to TLS 1.2.
    """

    version: Version
    suites: tuple[int, ...] | None = None
    groups: tuple[int, ...] | None = None
    signatures: tuple[int, ...] | None = None
    shares: tuple[int, ...] = (0x001D,)
    compression: bytes = b"\x00"
    alpn: tuple[bytes, ...] = ()
    extra: tuple[tuple[int, bytes], ...] = ()
    without: frozenset[int] = field(default_factory=frozenset)  # extensions to leave out
    read_on: HandshakeType | None = None
    named: bool = True  # with SNI, where there is a name
    bare: bool = False  # without any extension, up to TLS 1.2

    @property
    def all_suites(self) -> tuple[int, ...]:
        """What a server may choose from."""
        return suites_of(self.version, Shape.PLAIN) if self.suites is None else self.suites


def offer_hello(offer: Offer, server_name: str | None, entropy: bytes) -> bytes:
    """The record of this ClientHello. `entropy` is 96 bytes: random, session id and key share."""
    body = u16(min(offer.version.code, 0x0303)) + entropy[:32] + b"\x20" + entropy[32:64]
    body += code_list(offer.all_suites) + vector(offer.compression, 1)
    if offer.version is not Version.SSLV3 and not offer.bare:
        body += vector(padded(_extensions(offer, server_name, x25519_key(entropy[64:96])), 4 + len(body) + 2), 2)
    message = u8(HandshakeType.CLIENT_HELLO) + vector(body, 3)
    return record(ContentType.HANDSHAKE, min(offer.version.code, 0x0301), message)


def _extensions(offer: Offer, server_name: str | None, key: bytes) -> bytes:
    groups = groups_of(offer.version, Shape.PLAIN) if offer.groups is None else offer.groups
    bodies: dict[int, bytes] = {
        Extension.EXTENDED_MASTER_SECRET: b"",
        Extension.SUPPORTED_GROUPS: code_list(groups),
        Extension.EC_POINT_FORMATS: b"\x01\x00",
        Extension.SESSION_TICKET: b"",
    }
    if offer.version in (Version.TLS1_2, Version.TLS1_3):
        bodies[Extension.SIGNATURE_ALGORITHMS] = code_list(
            signatures_of(Shape.PLAIN) if offer.signatures is None else offer.signatures
        )
    if offer.version is Version.TLS1_3:
        shares = b"".join(u16(group) + vector(key[: _KEY_BYTES[group]], 2) for group in offer.shares)
        bodies[Extension.SUPPORTED_VERSIONS] = vector(u16(TLS1_3), 1)
        bodies[Extension.PSK_KEY_EXCHANGE_MODES] = b"\x01\x01"
        bodies[Extension.KEY_SHARE] = vector(shares, 2)
    bodies |= dict(offer.extra)
    listed = b"".join(extension(kind, data) for kind, data in bodies.items() if kind not in offer.without)
    name = server_name_extension(server_name) if offer.named else b""
    return name + alpn_extension(offer.alpn) + listed


class OfferExchange(TlsExchange):
    """The answer has the ServerHello, and behind it the one message that was waited for; both without what is long."""

    def __init__(self, offer: Offer, server_name: str | None, entropy: bytes, *, after_upgrade: bool) -> None:
        hello = offer_hello(offer, server_name, entropy)
        super().__init__(hello, offer.version, offer.all_suites, after_upgrade=after_upgrade)
        if offer.read_on is not None:
            self._budget = self.max_message_bytes = MAX_FLIGHT_BYTES
        self._read_on = offer.read_on
        self._answer: HelloAnswer | None = None
        self._messages = 0
        self._behind: tuple[tuple[int, bytes], ...] = ()

    def script(self) -> Script[HelloAnswer]:
        """The first flight, as far as it is wanted."""
        answer = yield from super().script()
        self._answer = replace(answer, server_hello=self.server_hello and shortened(self.server_hello), scts=b"")
        while self._wants_more:
            message = yield from self.read_message()
            if isinstance(message, HelloAnswer) or self._is_last(*message):  # an alert, or the end
                break
        return replace(self._answer, behind=self._behind)

    def stopped(self, stop: Stop) -> HelloAnswer:
        """What stands behind the ServerHello may be cut short."""
        if self._answer is None:
            return super().stopped(stop)
        return replace(self._answer, behind=self._behind)

    @property
    def _wants_more(self) -> bool:
        assert self._answer is not None
        in_plaintext = self._answer.is_hello and (self._answer.version or 0) < TLS1_3
        return self._read_on is not None and in_plaintext and self._messages < MAX_MESSAGES

    def _is_last(self, kind: int, body: bytes) -> bool:
        self._messages += 1
        if kind == self._read_on:
            self._behind = ((kind, body[:MAX_KEPT_BYTES]),)
        return kind in (self._read_on, HandshakeType.SERVER_HELLO_DONE)
