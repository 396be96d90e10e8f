"""A TLS server that is a table: exactly these versions, suites and groups, and what it stumbles over.

    table = Table({Version.TLS1_0: RSA_CBC}, above=End.FIN, quirks=(refuses_extensions(End.RST),))
    Network({"192.0.2.1": [Peer(Afresh(table))]})

It reads hellos as a strict server does, and answers them up to the end of the ServerHello's flight. A hello of
OpenSSL's, which is known by its encrypt_then_mac, is handed over to a real server where the table would take it, so
that a full handshake can be made.
"""

import ssl
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from functools import cache, cached_property

import trustme
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
from OpenSSL import SSL

from scanner.tls.key_exchange import FINITE_GROUPS, prime_of
from scanner.tls.names import Version, cipher_name, version_of_code
from tests.peers.memory import Turn
from tests.peers.tls_server import HOST, Closed, Speaker, TlsServer, smtp_inside
from tests.scanner.tls.wire import (
    CCS,
    HANDSHAKE,
    HRR_RANDOM,
    ClientHello,
    Reader,
    extension,
    message,
    read_client_hello,
    record,
    u16,
)

ALERT, APPLICATION_DATA = 21, 23
CERTIFICATE, SERVER_KEY_EXCHANGE, CERTIFICATE_REQUEST, SERVER_HELLO_DONE = 11, 12, 13, 14
SERVER_NAME, GROUPS, SRP, SIGNATURES, ALPN, PADDING, ENCRYPT_THEN_MAC, PWD_CLEAR = 0, 10, 12, 13, 16, 21, 22, 30
VERSIONS, COOKIE, PSK_MODES, KEY_SHARE, RENEGOTIATION_INFO = 43, 44, 45, 51, 0xFF01
RENEGOTIATION_SCSV, FALLBACK_SCSV = 0x00FF, 0x5600
HELLO_REQUEST = bytes(4)

SSL2, SSL3, TLS10, TLS11, TLS12, TLS13 = Version
X25519, P256, P384, SM2_CURVE, X25519MLKEM768 = 0x001D, 0x0017, 0x0018, 0x0029, 0x11EC
GREASE = frozenset(0x0A0A + 0x1010 * number for number in range(16))


def codes(text: str) -> tuple[int, ...]:
    """Code points in hexadecimal."""
    return tuple(int(code, 16) for code in text.split())


# What servers are commonly set up with, strongest first.
TLS13_SUITES = codes("1302 1303 1301")
RSA_AEAD = codes("c030 c02f 009f 009e 009d 009c")
ECDSA_AEAD = codes("c02c c02b cca9")
RSA_CBC = codes("c014 c013 0039 0033 0035 002f")
RSA_OLD = codes("0005 0004 000a")  # RC4 and 3DES: all that IIS 6 has
DHE_RSA = codes("009f 009e 0039 0033")
GOST = codes("ff85 0081")
SM = codes("00c6 00c7")


class Key(Enum):
    """The kind of a certificate's key, and the signature algorithms that can be made with it (RFC 8446 §4.2.3)."""

    RSA = codes("0804 0805 0806 0401 0501 0601 0201")
    ECDSA = codes("0403 0503 0603 0203")
    GOST = codes("0840 0841 eeee efef eded")
    SM2 = codes("0708")  # RFC 8998 §3.2.3
    ML_DSA = codes("0904 0905 0906")


class End(Enum):
    """How a server ends a connection without a word."""

    FIN = "fin"
    RST = "rst"
    SILENCE = "silence"


Says = int | End  # the number of an alert, or an end


@dataclass(frozen=True)
class Offer:
    """What a ClientHello offers. A hello that no version of TLS allows fails the test."""

    hello: ClientHello
    record_bytes: int

    def __post_init__(self) -> None:
        """RFC 8446 §4.1.2, §4.2, §9.2; RFC 6101 §5.6.1.2; RFC 7685 §3."""
        assert 0 in self.hello.compressions
        assert SSL3.code <= self.hello.version <= TLS12.code
        assert len(set(self.hello.suites)) == len(self.hello.suites)
        if self.hello.version == SSL3.code:
            assert self.hello.extensions is None
        assert set(self._data(PADDING) or b"") <= {0}
        if VERSIONS not in self.extensions:
            assert KEY_SHARE not in self.extensions
            return
        assert self.hello.version == TLS12.code
        assert self.extensions >= {GROUPS, SIGNATURES, KEY_SHARE}
        assert [group for group in self.groups or () if group in self.shares] == self.shares

    @property
    def extensions(self) -> set[int]:
        """Their numbers."""
        return set(self.hello.extensions or {})

    @cached_property
    def versions(self) -> list[int]:
        """By supported_versions, or else the highest by its old place."""
        return self._codes(VERSIONS, 1) or [self.hello.version]

    @cached_property
    def groups(self) -> list[int] | None:
        """None where they are not listed."""
        return self._codes(GROUPS, 2)

    @cached_property
    def signatures(self) -> list[int] | None:
        """None where they are not listed."""
        return self._codes(SIGNATURES, 2)

    @cached_property
    def shares(self) -> list[int]:
        """The groups of the key shares."""
        if (data := self._data(KEY_SHARE)) is None:
            return []
        outer, groups = Reader(data), []
        inner = Reader(outer.vector(2))
        outer.end()
        while inner.data:
            groups.append(inner.number(2))
            assert inner.vector(2)
        return groups

    @property
    def greased(self) -> bool:
        """Is any value of RFC 8701 in it?"""
        listed = (self.hello.suites, self.groups or (), self.versions, self.extensions)
        return any(not GREASE.isdisjoint(each) for each in listed)

    @property
    def is_openssl(self) -> bool:
        """Is it the hello of a full handshake?"""
        return ENCRYPT_THEN_MAC in self.extensions

    def _data(self, kind: int) -> bytes | None:
        return (self.hello.extensions or {}).get(kind)

    def _codes(self, kind: int, length_bytes: int) -> list[int] | None:
        if (data := self._data(kind)) is None:
            return None
        reader = Reader(data)
        listed = reader.codes(length_bytes)
        reader.end()
        return listed


@dataclass(frozen=True, slots=True)
class Quirk:
    """A hello that it stumbles over, and what it says to that."""

    stumbles: Callable[[Offer], bool]
    says: Says
    late: bool = False  # when it has found a version that it can do


def refuses_lengths(lowest: int, highest: int, says: Says) -> Quirk:
    """A hello of so many bytes, without the header of its record (RFC 7685 §1: 256 to 511)."""
    return Quirk(lambda offer: lowest <= offer.hello.message_bytes <= highest, says)


def refuses_lengths_modulo(remainders: set[int], says: Says) -> Quirk:
    """A hello whose length leaves one of these, divided by 256."""
    return Quirk(lambda offer: offer.hello.message_bytes % 256 in remainders, says)


def reads_one_packet(says: Says) -> Quirk:
    """A hello that does not arrive at once: of more than a packet takes."""
    return Quirk(lambda offer: offer.record_bytes > 1448, says)


def refuses_many_suites(most: int, says: Says) -> Quirk:
    """More suites than this."""
    return Quirk(lambda offer: len(offer.hello.suites) > most, says)


def refuses_extensions(says: Says) -> Quirk:
    """Any extension."""
    return Quirk(lambda offer: offer.hello.extensions is not None, says)


def refuses_grease(says: Says) -> Quirk:
    """Values that RFC 8701 has a server pass over."""
    return Quirk(lambda offer: offer.greased, says)


def refuses_name(says: Says, *names: str) -> Quirk:
    """Any name; or any but these, and none."""
    if names:
        return Quirk(lambda offer: offer.hello.server_name not in (None, *names), says, late=True)
    return Quirk(lambda offer: offer.hello.server_name is not None, says, late=True)


def needs_name(says: Says, *names: str) -> Quirk:
    """There has to be a name: one of these, or else that of the tests."""
    allowed = names or (HOST,)
    return Quirk(lambda offer: offer.hello.server_name not in allowed, says, late=True)


def needs_extension(kind: int, says: Says, *, late: bool = False) -> Quirk:
    """Without it nothing goes."""
    return Quirk(lambda offer: kind not in offer.extensions, says, late)


def needs_alpn(says: Says) -> Quirk:
    """Without ALPN nothing goes (PostgreSQL 17, servers of HTTP/2 alone)."""
    return needs_extension(ALPN, says, late=True)


def needs_session_id(says: Says) -> Quirk:
    """An empty one is refused, but not in OpenSSL's hello for TLS 1.2 and older, which always has an empty one."""
    return Quirk(lambda offer: not offer.hello.session and not offer.is_openssl, says)


def needs_suite(code: int, says: Says) -> Quirk:
    """Such as TLS_EMPTY_RENEGOTIATION_INFO_SCSV."""
    return Quirk(lambda offer: code not in offer.hello.suites, says)


def needs_signature(code: int, says: Says) -> Quirk:
    """Where signature algorithms are listed, this one has to be among them."""
    return Quirk(lambda offer: offer.signatures is not None and code not in offer.signatures, says)


def signs_nothing_below_tls12(says: Says) -> Quirk:
    """Up to TLS 1.1 it can only do without a signature: with key transport. It finds out once it has chosen."""

    def stumbles(offer: Offer) -> bool:
        names = (cipher_name(code) or "" for code in offer.hello.suites)
        signed = ("TLS_ECDHE_RSA_", "TLS_ECDHE_ECDSA_", "TLS_DHE_RSA_")
        return max(offer.versions) < TLS12.code and any(name.startswith(signed) for name in names)

    return Quirk(stumbles, says, late=True)


@dataclass(frozen=True)
class Table:
    """What a server has, and how it says so."""

    suites: Mapping[Version, tuple[int, ...]]  # in its order; of SSLv2, cipher kinds
    keys: tuple[Key, ...] = (Key.RSA,)
    groups: tuple[int, ...] = (X25519, P256, P384)  # in its order
    own_order: bool = True  # else the client's
    own_group: bool = True  # for DHE, where the client does not list groups in finite fields (RFC 7919 §4)
    prime: int = 2**2048 - 1942289  # of that group
    own_group_order: bool = True  # else the client's
    certificate_curve: int | None = None  # the client has to list it, up to TLS 1.2 (RFC 8422 §5.1)
    names_group: int | None = None  # this one, whatever was offered
    below: Says = 70  # to an offer below its lowest version
    above: Says | None = None  # to one above its highest; None: it answers with that
    nothing: Says = 40  # where nothing is in common
    knows_of_tls13: bool = False  # it reads supported_versions, though it may have no TLS 1.3 (OpenSSL from 1.1.1 on)
    to_sslv2: Says = 70
    refusals: Mapping[Version, Says] = field(
        default_factory=lambda: {SSL3: 40}
    )  # before `below`; SSLv3 has no alert 70
    quirks: tuple[Quirk, ...] = ()
    sentinels: bool = True  # RFC 8446 §4.1.3
    sentinel_of: Version | None = None  # as if this were its highest version, though it has it for others alone
    knows_user: bool = True  # of SRP; else it says so (RFC 5054 §2.5.1.3)
    asks_for_certificate: bool = False
    hands_over: bool = True

    # How it writes
    warnings: tuple[int, ...] = ()  # before all else, each in a record of its own
    record_bytes: int | None = None  # the handshake comes in records of so many bytes
    record_version: int = 0x0303
    one_message_a_record: bool = False
    hello_requests: int = 0  # before the ServerHello
    extra_extensions: bytes = b""  # of the ServerHello
    answers_with: Version | None = None  # whatever was offered
    chooses: int | None = None  # this suite, whatever was offered
    sslv2_padding: int | None = None  # with the header of three bytes
    sslv2_error: int | None = None  # instead of a SERVER-HELLO

    @property
    def versions(self) -> list[Version]:
        """Those of TLS, oldest first."""
        return [version for version in Version if version in self.suites and version is not SSL2]


# Who may be told nothing without a user's name, and by which extension it comes (RFC 5054 §2.5.1, RFC 8492 §4.2).
_USERS = {"_SRP_": SRP, "_ECCPWD_": PWD_CLEAR}
UNKNOWN_PSK_IDENTITY, INAPPROPRIATE_FALLBACK = 115, 86


def _has_no_certificate(name: str) -> bool:
    if "_RSA_PSK_" in name:
        return False
    return any(word in name for word in ("_anon_", "_KRB5_", "_ECCPWD_", "_PSK_", "_SRP_SHA_WITH_"))


class Refused(Exception):  # noqa: N818
    """It says this in place of a ServerHello."""

    def __init__(self, says: Says) -> None:
        super().__init__(says)
        self.says = says


@dataclass(slots=True)
class TableServer:
    """One connection to a server that is this table."""

    table: Table
    heard: bytes = b""
    handed_over: Speaker | None = None
    _answered: bool = field(default=False)

    def hear(self, data: bytes) -> bytes:
        """What it answers. Raises Closed after a fatal alert, and in place of one."""
        if self.handed_over:
            return self.handed_over.hear(data)
        self.heard += data
        if self._answered or len(self.heard) < 5:
            return b""
        is_tls = self.heard[0] == HANDSHAKE
        sslv2_bytes = 2 + int.from_bytes(self.heard[:2], "big") - 0x8000
        if len(self.heard) < (5 + int.from_bytes(self.heard[3:5], "big") if is_tls else sslv2_bytes):
            return b""
        self._answered = True
        try:
            return self._to_tls() if is_tls else self._to_sslv2()
        except Refused as refused:
            return self._refuse(refused.says)

    def _refuse(self, says: Says) -> bytes:
        if says is End.SILENCE:
            return self._warned()
        if isinstance(says, End):
            raise Closed(self._warned(), reset=says is End.RST)
        raise Closed(self._warned() + self._alert(1 if says == 0 else 2, says))

    def _alert(self, level: int, description: int) -> bytes:
        return record(ALERT, bytes([level, description]), self.table.record_version)

    def _warned(self) -> bytes:
        return b"".join(self._alert(1, warning) for warning in self.table.warnings)

    def _to_tls(self) -> bytes:
        table = self.table
        offer = Offer(read_client_hello(self.heard), len(self.heard))
        self._stumble(offer, late=False)
        version = table.answers_with or self._version(offer)
        self._stumble(offer, late=True)
        if FALLBACK_SCSV in offer.hello.suites and version.code < table.versions[-1].code:
            raise Refused(INAPPROPRIATE_FALLBACK)  # RFC 7507 §3
        suite = self._suite(offer, version)
        group = self._group(offer) if version is TLS13 else None
        if offer.is_openssl and table.hands_over and version is not SSL3:
            self.handed_over = _real_server(table)
            return self.handed_over.hear(self.heard)
        messages = [HELLO_REQUEST] * table.hello_requests + self._flight(offer, version, suite, group)
        flight = self._in_records(messages)
        if version is TLS13:
            flight += CCS + record(APPLICATION_DATA, bytes(64))
        return self._warned() + flight

    def _stumble(self, offer: Offer, *, late: bool) -> None:
        for quirk in self.table.quirks:
            if quirk.late == late and quirk.stumbles(offer):
                raise Refused(quirk.says)

    def _version(self, offer: Offer) -> Version:
        """The highest that both have."""
        if not self.table.versions:
            raise Refused(self.table.below)  # it has SSLv2, or nothing
        highest, lowest = self.table.versions[-1], self.table.versions[0]
        offered, knows = [version for version in offer.versions if version not in GREASE], self.table.knows_of_tls13
        if TLS13.code in offered and highest is not TLS13 and not knows:
            offered.append(offer.hello.version)
        if max(offered) > highest.code and self.table.above is not None:
            raise Refused(self.table.above)
        if VERSIONS in offer.extensions and (knows or highest is TLS13):
            common = [version for version in self.table.versions if version.code in offered]
        else:
            common = [version for version in self.table.versions if version.code <= max(offered)]
        if common:
            return common[-1]
        otherwise = self.table.below if max(offered) < lowest.code else self.table.above or 70
        asked = version_of_code(max(offered))
        raise Refused(self.table.refusals.get(asked, otherwise) if asked else otherwise)

    def _suite(self, offer: Offer, version: Version) -> int:
        ours = self.table.suites.get(version, ())
        if self.table.chooses is not None:
            return self.table.chooses
        usable = [code for code in ours if code in offer.hello.suites and self._is_usable(offer, version, code)]
        if not usable:
            raise Refused(self.table.nothing)
        chosen = usable[0] if self.table.own_order else next(code for code in offer.hello.suites if code in usable)
        users = {word: kind for word, kind in _USERS.items() if word in (cipher_name(chosen) or "")}
        if any(kind not in offer.extensions for kind in users.values()) or (users and not self.table.knows_user):
            raise Refused(UNKNOWN_PSK_IDENTITY)
        return chosen

    def _is_usable(self, offer: Offer, version: Version, code: int) -> bool:
        name = cipher_name(code) or ""
        if _has_no_certificate(name):
            return True
        key = Key.ECDSA if "_ECDSA_" in name else Key.GOST if "GOST" in (name or "GOST") else Key.RSA
        keys = self.table.keys if version is TLS13 else [each for each in self.table.keys if each is key]
        if version.code >= TLS12.code:
            listed = offer.signatures if offer.signatures is not None else codes("0201 0203")
            keys = [each for each in keys if each is Key.GOST or not set(each.value).isdisjoint(listed)]
        if not keys:
            return False
        if name.startswith("TLS_ECDHE_"):
            if offer.groups is None:
                return True
            curves = set(self.table.groups) - FINITE_GROUPS
            listed_curve = self.table.certificate_curve in (None, *offer.groups)
            return self.table.names_group is not None or (listed_curve and not curves.isdisjoint(offer.groups))
        if name.startswith("TLS_DHE_") and not self.table.own_group:
            listed_groups = FINITE_GROUPS.intersection(offer.groups or ())
            return not listed_groups or not listed_groups.isdisjoint(self.table.groups)
        return True

    def _group(self, offer: Offer) -> int:
        """Its first that the client lists; a HelloRetryRequest asks for one that was not shared."""
        if self.table.names_group is not None:
            return self.table.names_group
        common = self._common_groups(offer)
        if not common:
            raise Refused(self.table.nothing)
        return next((group for group in common if group in offer.shares), common[0])

    def _common_groups(self, offer: Offer) -> list[int]:
        ours, theirs = self.table.groups, offer.groups or ()
        first, second = (ours, theirs) if self.table.own_group_order else (theirs, ours)
        return [group for group in first if group in second]

    def _key_exchange(self, offer: Offer, suite: int) -> list[bytes]:
        """A ServerKeyExchange: a curve by its number (RFC 8422 §5.4), or a prime (RFC 5246 §7.4.3); no real key."""
        name = cipher_name(suite) or ""
        if name.startswith(("TLS_ECDHE_", "TLS_ECDH_anon")):
            curves = [group for group in self._common_groups(offer) if group not in FINITE_GROUPS]
            curve = self.table.names_group or (curves[0] if offer.groups is not None else self.table.groups[0])
            return [message(SERVER_KEY_EXCHANGE, b"\x03" + u16(curve) + b"\x41" + bytes(65) + u16(0))]
        if name.startswith(("TLS_DHE_", "TLS_DH_anon")):
            named = [group for group in self._common_groups(offer) if group in FINITE_GROUPS]
            prime = self.table.prime if self.table.own_group or not named else prime_of(named[0])
            parameters = prime.to_bytes((prime.bit_length() + 7) // 8, "big"), b"\x02", b"\x04"
            return [message(SERVER_KEY_EXCHANGE, b"".join(u16(len(each)) + each for each in parameters) + u16(0))]
        return []

    def _flight(self, offer: Offer, version: Version, suite: int, group: int | None) -> list[bytes]:
        hello = offer.hello
        if version is TLS13 and group is not None:
            retry = group not in offer.shares
            share = u16(group) if retry else u16(group) + u16(32) + b"k" * 32
            listed = extension(VERSIONS, u16(TLS13.code)) + extension(KEY_SHARE, share)
            listed += extension(COOKIE, u16(8) + b"a cookie") if retry else b""
            random = HRR_RANDOM if retry else b"r" * 32
            return [_server_hello(0x0303, random, hello.session, suite, listed + self.table.extra_extensions)]
        listed = extension(RENEGOTIATION_INFO, b"\x00") if RENEGOTIATION_SCSV in hello.suites else b""
        listed += self.table.extra_extensions
        without = hello.extensions is None
        messages = [_server_hello(version.code, self._random(version), b"s" * 32, suite, b"" if without else listed)]
        if not _has_no_certificate(cipher_name(suite) or ""):
            chain = b"".join(len(der).to_bytes(3, "big") + der for der in _chain(self.table.keys[0]))
            messages.append(message(CERTIFICATE, len(chain).to_bytes(3, "big") + chain))
        messages += self._key_exchange(offer, suite)
        if self.table.asks_for_certificate:
            signatures = u16(4) + u16(0x0401) + u16(0x0403) if version is TLS12 else b""
            messages.append(message(CERTIFICATE_REQUEST, b"\x02\x01\x40" + signatures + u16(0)))
        return [*messages, message(SERVER_HELLO_DONE, b"")]

    def _random(self, version: Version) -> bytes:
        highest = self.table.sentinel_of or self.table.versions[-1]
        if not self.table.sentinels or highest.code < TLS12.code or version is highest:
            return b"r" * 32
        return b"r" * 24 + b"DOWNGRD" + (b"\x01" if version is TLS12 else b"\x00")

    def _in_records(self, messages: list[bytes]) -> bytes:
        size, version = self.table.record_bytes, self.table.record_version
        if self.table.one_message_a_record:
            return b"".join(record(HANDSHAKE, each, version) for each in messages)
        data = b"".join(messages)
        size = size or 2**14
        return b"".join(record(HANDSHAKE, data[at : at + size], version) for at in range(0, len(data), size))

    def _to_sslv2(self) -> bytes:
        """A SERVER-HELLO with the cipher kinds of both, an ERROR, or whatever is said to SSLv2."""
        table = self.table
        if SSL2 not in table.suites:
            raise Refused(table.to_sslv2)
        if table.sslv2_error is not None:
            raise Closed(self._sslv2_record(b"\x00" + u16(table.sslv2_error)))
        reader = Reader(self.heard[2:])
        assert (reader.number(1), reader.number(2)) == (1, SSL2.code)
        kinds_bytes, session_bytes, challenge_bytes = reader.number(2), reader.number(2), reader.number(2)
        assert (kinds_bytes % 3, session_bytes) == (0, 0)
        assert 16 <= challenge_bytes <= 32
        offered = [reader.number(3) for _ in range(kinds_bytes // 3)]
        reader.take(challenge_bytes)
        reader.end()
        kinds = b"".join(kind.to_bytes(3, "big") for kind in table.suites[SSL2] if kind in offered)
        (certificate, *_), connection = _chain(Key.RSA), bytes(16)
        lengths = u16(len(certificate)) + u16(len(kinds)) + u16(len(connection))
        return self._sslv2_record(b"\x04\x00\x01" + u16(SSL2.code) + lengths + certificate + kinds + connection)

    def _sslv2_record(self, body: bytes) -> bytes:
        padding = self.table.sslv2_padding
        if padding is None:
            return u16(0x8000 | len(body)) + body
        return u16(len(body) + padding) + bytes([padding]) + body + bytes(padding)


@dataclass(frozen=True, slots=True)
class Afresh:
    """The turns of a peer by which each connection meets a server of its own, behind what comes before TLS."""

    table: Table
    before: tuple[Turn, ...] = ()

    def __iter__(self) -> Iterator[Turn]:
        """What one connection meets."""
        return iter((*self.before, Turn(0.01, TableServer(self.table))))


def _server_hello(version: int, random: bytes, session: bytes, suite: int, extensions: bytes) -> bytes:
    body = u16(version) + random + bytes([len(session)]) + session + u16(suite) + b"\x00"
    return message(2, body + (u16(len(extensions)) + extensions if extensions else b""))


# --- Real servers, for a full handshake -------------------------------------------------------------------------------


@cache
def _certificate(key: Key) -> trustme.LeafCert:
    kind = trustme.KeyType.ECDSA if key is Key.ECDSA else trustme.KeyType.RSA
    return trustme.CA().issue_cert(HOST, "192.0.2.1", key_type=kind)


@cache
def _chain(key: Key) -> tuple[bytes, ...]:
    """DER, leaf first."""
    pems = (blob.bytes() for blob in _certificate(key).cert_chain_pems)
    return tuple(x509.load_pem_x509_certificate(pem).public_bytes(Encoding.DER) for pem in pems)


def _real_server(table: Table) -> Speaker:
    of_tls = [version for version in table.versions if version is not SSL3]
    if X25519MLKEM768 in table.groups:
        return HybridServer(of_tls[0], of_tls[-1], table.keys[0])
    return TlsServer(smtp_inside, context=context_of(of_tls[0], of_tls[-1], table.keys, table.asks_for_certificate))


@cache
def context_of(
    lowest: Version, highest: Version, keys: tuple[Key, ...] = (Key.RSA,), asks_for_certificate: bool = False
) -> ssl.SSLContext:
    """OpenSSL's server for all versions from one to another, and all suites that it has."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    for key in keys:
        _certificate(key).configure_cert(context)
    context.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings(action="ignore"):  # old versions are deprecated
        context.minimum_version, context.maximum_version = ssl.TLSVersion(lowest.code), ssl.TLSVersion(highest.code)
    context.verify_mode = ssl.CERT_OPTIONAL if asks_for_certificate else ssl.CERT_NONE
    if asks_for_certificate:
        trustme.CA().configure_trust(context)
    return context


class HybridServer:
    """pyOpenSSL's server, whose OpenSSL knows X25519MLKEM768, and prefers it."""

    def __init__(self, lowest: Version, highest: Version, key: Key) -> None:
        context = SSL.Context(SSL.TLS_SERVER_METHOD)
        context.set_min_proto_version(lowest.code)
        context.set_max_proto_version(highest.code)
        context.set_cipher_list(b"ALL:@SECLEVEL=0")
        key_of_leaf = load_pem_private_key(_certificate(key).private_key_pem.bytes(), None)
        assert isinstance(key_of_leaf, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey)
        context.use_privatekey(key_of_leaf)
        context.use_certificate(x509.load_der_x509_certificate(_chain(key)[0]))
        self._tls = SSL.Connection(context, None)
        self._tls.set_accept_state()

    def hear(self, data: bytes) -> bytes:
        """What it answers."""
        self._tls.bio_write(data)
        try:
            self._tls.do_handshake()
            while said := self._tls.recv(16_384):
                self._tls.send(smtp_inside(said))
        except SSL.Error:
            pass
        try:
            return self._tls.bio_read(65_536)
        except SSL.WantReadError:
            return b""
