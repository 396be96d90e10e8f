"""Real TLS without a wire: our hellos and our handshake against another OpenSSL, the standard library's."""

import ssl
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from functools import cache
from typing import TypeVar

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
from cryptography.x509 import ocsp
from OpenSSL import SSL

from scanner.dialogue import Dialogue, Done, End, NeedData, Send
from scanner.outcome import Outcome, Stage, Verdict
from scanner.tls.exchange import Evidence, exchange
from scanner.tls.flight import ClientCertificate
from scanner.tls.handshake import MAX_BYTES, Handshake, HandshakeDialogue, failure_of, measuring_context, outgoing
from scanner.tls.names import Version, alert_name, cipher_name
from scanner.tls.wire import HEADER_BYTES
from tests.peers.tls_server import Closed, Speaker, TlsServer
from tests.scanner.play import byte_by_byte, play
from tests.scanner.tls.wire import (
    CCS,
    HANDSHAKE,
    HELLO_12,
    alert,
    in_records,
    message,
    read_client_hello,
    record,
    server_hello,
)

T = TypeVar("T")

NAME = "mx.example.org"
CUTS: list[Callable[[bytes], list[bytes]]] = [lambda data: [data], byte_by_byte]
each_cut = pytest.mark.parametrize("cut", CUTS, ids=["whole", "byte by byte"])


@cache
def authority(kind: trustme.KeyType) -> trustme.CA:
    return trustme.CA(key_type=kind)


@cache
def certificate(kind: trustme.KeyType) -> trustme.LeafCert:
    """A leaf behind an intermediate."""
    return authority(kind).create_child_ca(kind).issue_cert(NAME, key_type=kind)


def context(
    *,
    only: ssl.TLSVersion | None = None,
    key: trustme.KeyType = trustme.KeyType.ECDSA,
    ciphers: str | None = None,
    group: str = "prime256v1",
    alpn: tuple[str, ...] = (),
    client_certificate: ssl.VerifyMode = ssl.CERT_NONE,
) -> ssl.SSLContext:
    """A server's context; one group only, so that what was negotiated is known."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate(key).configure_cert(made)
    made.set_ecdh_curve(group)
    if only:
        made.minimum_version = made.maximum_version = only
    if ciphers:
        made.set_ciphers(ciphers)
    if alpn:
        made.set_alpn_protocols(list(alpn))
    authority(key).configure_trust(made)
    made.verify_mode = client_certificate
    return made


def converse(dialogue: Dialogue[T], server: Speaker, cut: Callable[[bytes], list[bytes]] = CUTS[0]) -> T:
    """Let the two speak with each other; what the server says comes in pieces, and after its alert it closes."""
    pieces: list[bytes] = []
    closed = False
    while True:
        match dialogue.next_action():
            case Send(data):
                try:
                    pieces += cut(server.hear(data))
                except Closed as last:
                    pieces += cut(last.last)
                    closed = True
            case NeedData():
                if not pieces:
                    return dialogue.end(End.EOF if closed else End.TIMEOUT)
                dialogue.receive_data(pieces.pop(0))
            case Done(value):
                return value


def shake(
    made: ssl.SSLContext, cut: Callable[[bytes], list[bytes]] = CUTS[0], alpn: tuple[bytes, ...] = ()
) -> Handshake:
    """A full handshake with such a server."""
    return converse(HandshakeDialogue(NAME, after_upgrade=False, alpn=alpn), TlsServer(context=made), cut)


def failed(verdict: Verdict, cause: str, *, partial: bool = False, answered: bool = False, **facts: str) -> Handshake:
    return Handshake(failure=Outcome(verdict, Stage.TLS, cause, **facts), partial=partial, answered=answered)


def broken(detail: str, *, answered: bool = True) -> Handshake:
    return failed(Verdict.HANDSHAKE_FAILED, "broken", answered=answered, detail=detail)


TLS12, TLS13 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
EC, RSA = trustme.KeyType.ECDSA, trustme.KeyType.RSA

NEGOTIATED: dict[str, tuple[ssl.SSLContext, Version, int, int | None]] = {
    "1.3": (context(only=TLS13), Version.TLS1_3, 0x1302, 0x0017),
    "1.3, X25519": (context(only=TLS13, group="X25519"), Version.TLS1_3, 0x1302, 0x001D),
    "1.3, P-384": (context(only=TLS13, group="secp384r1"), Version.TLS1_3, 0x1302, 0x0018),
    "1.2, ECDSA": (context(only=TLS12, ciphers="ECDHE-ECDSA-AES128-GCM-SHA256"), Version.TLS1_2, 0xC02B, 0x0017),
    "1.2, RSA": (context(only=TLS12, key=RSA, ciphers="ECDHE-RSA-AES256-GCM-SHA384"), Version.TLS1_2, 0xC030, 0x0017),
    "1.2, static RSA": (context(only=TLS12, key=RSA, ciphers="AES128-SHA:@SECLEVEL=0"), Version.TLS1_2, 0x002F, None),
    "1.2, ChaCha": (context(only=TLS12, ciphers="ECDHE-ECDSA-CHACHA20-POLY1305"), Version.TLS1_2, 0xCCA9, 0x0017),
    "asks for a client certificate, 1.2": (
        context(only=TLS12, client_certificate=ssl.CERT_OPTIONAL, ciphers="ECDHE-ECDSA-AES128-GCM-SHA256"),
        Version.TLS1_2,
        0xC02B,
        0x0017,
    ),
    "insists on a client certificate, 1.3": (
        context(only=TLS13, client_certificate=ssl.CERT_REQUIRED),
        Version.TLS1_3,
        0x1302,
        0x0017,
    ),
}


@each_cut
@pytest.mark.parametrize(("made", "version", "cipher", "group"), NEGOTIATED.values(), ids=NEGOTIATED)
def test_negotiated(
    made: ssl.SSLContext, version: Version, cipher: int, group: int | None, cut: Callable[[bytes], list[bytes]]
) -> None:
    """Version, suite, group and the chain, leaf first, are what the server is set to."""
    shaken = shake(made, cut)
    assert shaken.failure is None
    assert (shaken.version, shaken.cipher) == (version, cipher)
    assert shaken.group == group or group is None
    assert [b"mx.example.org" in der for der in shaken.chain] == [True, False]
    assert shaken.alpn is None


@each_cut
def test_alpn(cut: Callable[[bytes], list[bytes]]) -> None:
    """What the server picks of what we offer; nothing when nothing is offered."""
    made = context(alpn=("http/1.1",))
    assert shake(made, cut, alpn=(b"h2", b"http/1.1")).alpn == "http/1.1"
    assert shake(made, cut).alpn is None


def test_the_server_gets_our_name() -> None:
    """The name stands in SNI; without a name there is none."""
    names: list[str | None] = []
    made = context()
    made.sni_callback = lambda _connection, name, _context: names.append(name)
    shake(made)
    converse(HandshakeDialogue(None, after_upgrade=False), TlsServer(context=made))
    assert list(dict.fromkeys(names)) == [NAME, None]  # each twice, after a HelloRetryRequest


@each_cut
def test_refused_for_want_of_a_client_certificate(cut: Callable[[bytes], list[bytes]]) -> None:
    """In TLS 1.2 the server's alert ends the handshake, and is the evidence; what was in plaintext is known."""
    shaken = shake(context(only=TLS12, client_certificate=ssl.CERT_REQUIRED), cut)
    assert shaken.client_certificate is ClientCertificate.REQUIRED
    assert [b"mx.example.org" in der for der in shaken.chain] == [True, False]
    expected = failed(Verdict.HANDSHAKE_FAILED, "alert", alert="handshake_failure", answered=True)
    assert replace(shaken, chain=(), client_certificate=None) == expected


@each_cut
@pytest.mark.parametrize("only", [TLS12, TLS13])
@pytest.mark.parametrize(
    ("wanted", "expected"),
    [(ssl.CERT_NONE, ClientCertificate.NONE), (ssl.CERT_OPTIONAL, ClientCertificate.REQUESTED)],
)
def test_client_certificates(
    wanted: ssl.VerifyMode, expected: ClientCertificate, only: ssl.TLSVersion, cut: Callable[[bytes], list[bytes]]
) -> None:
    """A server that asks for one, and does without."""
    shaken = shake(context(only=only, client_certificate=wanted), cut)
    assert (shaken.failure, shaken.client_certificate) == (None, expected)


def test_whether_it_is_required_is_not_told_before_the_end() -> None:
    """In TLS 1.3 the handshake is complete before the server has seen that there is no certificate."""
    shaken = shake(context(only=TLS13, client_certificate=ssl.CERT_REQUIRED))
    assert (shaken.failure, shaken.client_certificate) == (None, ClientCertificate.REQUESTED)


class EndsInstead(TlsServer):
    """Its first flight is a real one; to what the client then says it answers something else."""

    def __init__(self, made: ssl.SSLContext, instead: bytes) -> None:
        super().__init__(context=made)
        self._instead = instead
        self._turns = 0

    def hear(self, data: bytes) -> bytes:
        self._turns += 1
        if self._turns == 1:
            return super().hear(data)
        raise Closed(self._instead)


@pytest.mark.parametrize(
    ("instead", "expected"),
    [
        (alert(2, 116), ClientCertificate.REQUIRED),
        (alert(2, 42), ClientCertificate.REQUIRED),
        (alert(2, 49), ClientCertificate.REQUIRED),
        (alert(2, 51), ClientCertificate.REQUESTED),  # decrypt_error: of our Finished
        (alert(2, 80), ClientCertificate.REQUESTED),
        (b"", ClientCertificate.REQUESTED),
    ],
)
def test_only_an_alert_about_it_tells_that_it_is_required(instead: bytes, expected: ClientCertificate) -> None:
    """Another alert, or FIN, may be about anything."""
    server = EndsInstead(context(only=TLS12, client_certificate=ssl.CERT_REQUIRED), instead)
    assert converse(HandshakeDialogue(NAME, after_upgrade=False), server).client_certificate is expected
    server = EndsInstead(context(only=TLS12), instead)
    assert converse(HandshakeDialogue(NAME, after_upgrade=False), server).client_certificate is ClientCertificate.NONE


TRY_LATER = bytes.fromhex("30030a0103")  # a whole OCSPResponse (RFC 6960 §4.2.1)


@cache
def response_for_leaf() -> bytes:
    """OpenSSL staples what is about its certificate, and nothing else."""
    leaf, issuer = (x509.load_pem_x509_certificate(pem.bytes()) for pem in certificate(EC).cert_chain_pems)
    key = load_pem_private_key(certificate(EC).private_key_pem.bytes(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    now = datetime(2026, 11, 24)
    builder = ocsp.OCSPResponseBuilder().add_response(
        leaf, issuer, hashes.SHA256(), ocsp.OCSPCertStatus.GOOD, now, now, None, None
    )
    signed = builder.responder_id(ocsp.OCSPResponderEncoding.HASH, leaf).sign(key, hashes.SHA256())
    return signed.public_bytes(Encoding.DER)


class Stapling:
    """A server of pyOpenSSL's with a staple."""

    def __init__(self, only: int, staple: bytes) -> None:
        context = SSL.Context(SSL.TLS_SERVER_METHOD)
        leaf = certificate(EC)
        context.use_certificate(x509.load_pem_x509_certificate(leaf.cert_chain_pems[0].bytes()))
        key = load_pem_private_key(leaf.private_key_pem.bytes(), None)
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        context.use_privatekey(key)
        context.set_min_proto_version(only)
        context.set_max_proto_version(only)
        context.set_ocsp_server_callback(lambda _connection, _data: staple)
        self._tls = SSL.Connection(context, None)
        self._tls.set_accept_state()

    def hear(self, data: bytes) -> bytes:
        """What it answers."""
        self._tls.bio_write(data)
        with suppress(SSL.WantReadError):
            self._tls.do_handshake()
        return outgoing(self._tls)


@each_cut
@pytest.mark.parametrize("only", [SSL.TLS1_2_VERSION, SSL.TLS1_3_VERSION])
@pytest.mark.parametrize("staple", [b"", response_for_leaf(), TRY_LATER], ids=["none", "good", "try later"])
def test_staples(staple: bytes, only: int, cut: Callable[[bytes], list[bytes]]) -> None:
    """What is stapled is kept as it is; and a capped handshake asks for nothing."""
    shaken = converse(HandshakeDialogue(NAME, after_upgrade=False), Stapling(only, staple), cut)
    assert (shaken.failure, shaken.staple) == (None, staple)
    capped = HandshakeDialogue(NAME, after_upgrade=False, newest=Version.TLS1_3)
    shaken = converse(capped, Stapling(only, staple), cut)
    assert (shaken.failure, shaken.staple) == (None, None)


def test_a_staple_that_openssl_cannot_read() -> None:
    """It breaks the handshake: a fault of the server's, for which another handshake is made."""

    class Garbled(Stapling):
        def hear(self, data: bytes) -> bytes:
            try:
                return super().hear(data).replace(TRY_LATER, b"abcde")
            except SSL.Error as error:
                raise Closed from error

    shaken = converse(HandshakeDialogue(NAME, after_upgrade=False), Garbled(SSL.TLS1_2_VERSION, TRY_LATER))
    assert shaken.failure is not None
    assert (shaken.failure.verdict, shaken.failure.cause) == (Verdict.HANDSHAKE_FAILED, "broken")
    assert len(shaken.chain) == 1


def test_no_staple_without_a_handshake() -> None:
    """Where it fails, nothing is known of a staple."""
    assert fed(alert(2, 40)).staple is None


@each_cut
def test_text_behind_the_go_ahead(cut: Callable[[bytes], list[bytes]]) -> None:
    """After STARTTLS, text before TLS is kept aside, and the handshake goes on."""

    class Talkative(TlsServer):
        def hear(self, data: bytes) -> bytes:
            text, self.text = self.text, b""
            return text + super().hear(data)

        text = b"250 injected\r\n"

    dialogue = HandshakeDialogue(NAME, after_upgrade=True)
    assert converse(dialogue, Talkative(context=context()), cut).failure is None
    assert dialogue.early == b"250 injected\r\n"


# Raw hellos against the same servers

BOTH = context()
RAW: dict[str, tuple[ssl.SSLContext, Version, Evidence, dict[str, object]]] = {
    "1.2 to 1.2": (context(only=TLS12), Version.TLS1_2, Evidence.SERVER_HELLO, {"version": 0x0303, "cipher": 0xC02C}),
    "1.3 to 1.2": (context(only=TLS12), Version.TLS1_3, Evidence.ALERT, {"alert": 70}),
    "1.1 to 1.2": (context(only=TLS12), Version.TLS1_1, Evidence.ALERT, {"alert": 70}),
    "SSLv3 to 1.2": (context(only=TLS12), Version.SSLV3, Evidence.ALERT, {"alert": 40}),
    "1.2 to 1.3": (context(only=TLS13), Version.TLS1_2, Evidence.ALERT, {"alert": 70}),
    "1.3 to 1.3": (
        context(only=TLS13, group="X25519"),
        Version.TLS1_3,
        Evidence.SERVER_HELLO,
        {"version": 0x0304, "cipher": 0x1302, "group": 0x001D},
    ),
    "1.3 to 1.3 with P-384 only": (
        context(only=TLS13, group="secp384r1"),
        Version.TLS1_3,
        Evidence.HELLO_RETRY_REQUEST,
        {"version": 0x0304, "cipher": 0x1302, "group": 0x0018, "flags": frozenset({"hrr"})},
    ),
    "1.2 to both: the sentinel tells": (
        BOTH,
        Version.TLS1_2,
        Evidence.SERVER_HELLO,
        {"version": 0x0303, "flags": frozenset({"tls13_hint"})},
    ),
    "1.0 to RSA with old suites": (
        context(key=RSA, ciphers="AES128-SHA:@SECLEVEL=0"),
        Version.TLS1_0,
        Evidence.ALERT,
        {"alert": 70},
    ),
    "1.2, static RSA": (
        context(only=TLS12, key=RSA, ciphers="AES256-SHA:@SECLEVEL=0"),
        Version.TLS1_2,
        Evidence.SERVER_HELLO,
        {"cipher": 0x0035},
    ),
}


@each_cut
@pytest.mark.parametrize(("made", "version", "evidence", "facts"), RAW.values(), ids=RAW)
def test_raw_hellos(
    made: ssl.SSLContext,
    version: Version,
    evidence: Evidence,
    facts: dict[str, object],
    cut: Callable[[bytes], list[bytes]],
) -> None:
    """OpenSSL understands our own hellos, and we its answer to them."""
    dialogue = exchange(version, NAME, bytes(range(96)), after_upgrade=False)
    answer = converse(dialogue, TlsServer(context=made), cut)
    assert answer.evidence is evidence
    assert {word: getattr(answer, word) for word in facts} == facts


# What is no handshake


def fed(data: bytes, end: End = End.EOF, *, after_upgrade: bool = False) -> Handshake:
    """What these bytes come to, whole and byte by byte, but for the words."""
    whole, in_pieces = (
        play(HandshakeDialogue(NAME, after_upgrade=after_upgrade), cut(data), end).value for cut in CUTS
    )
    assert whole.failure is not None
    assert in_pieces.failure is not None
    known = ("stage", "cause", "alert")
    assert [getattr(whole.failure, word) for word in known] == [getattr(in_pieces.failure, word) for word in known]
    return whole


NOT_TLS: dict[str, tuple[bytes, Handshake]] = {
    "HTTP": (
        b"HTTP/1.1 400 no\r\n",
        failed(Verdict.PROTOCOL_MISMATCH, "plaintext", hint="http", detail="HTTP/1.1 400 no\\r\\n"),
    ),
    "text": (b"go away\n", failed(Verdict.VIOLATION, "plaintext", detail="go away\\n")),
    "telnet": (b"\xff\xfd\x18", failed(Verdict.PROTOCOL_MISMATCH, "garbage", hint="telnet", detail="\\xff\\xfd\\x18")),
    "SSLv2": (b"\x80\x03\x00\x00\x01", failed(Verdict.VIOLATION, "garbage", detail="\\x80\\x03\\x00\\x00\\x01")),
    "no record": (b"\x16abcdefg", failed(Verdict.VIOLATION, "garbage", detail="\\x16abcdefg")),
    "no version of a record": (b"\x16\x03\x63\x00\x02\x01", failed(Verdict.VIOLATION, "not a TLS record")),
    "an echo": (
        record(HANDSHAKE, message(1, bytes(40)), 0x0301),
        failed(Verdict.PROTOCOL_MISMATCH, "garbage", hint="echo"),
    ),
    "a record too long": (
        b"\x16\x03\x03\xff\xff" + bytes(50),
        failed(Verdict.HANDSHAKE_FAILED, "broken", detail="data length too long; record layer failure"),
    ),
    "nonsense in a record": (
        record(HANDSHAKE, message(99, b"?")),
        failed(Verdict.HANDSHAKE_FAILED, "broken", detail="unexpected message"),
    ),
    "only a CCS, and an alert": (
        CCS + alert(2, 40),
        failed(Verdict.HANDSHAKE_FAILED, "broken", detail="unexpected message"),
    ),
    "SSLv3": (
        record(HANDSHAKE, server_hello(0x0300, 0x0005), 0x0300),
        failed(Verdict.LOCAL_LIMITATION, "tls_library", detail="unsupported protocol", answered=True),
    ),
    "a suite that does not exist": (
        record(HANDSHAKE, server_hello(0x0303, 0xFEFE, b"")),
        broken("unknown cipher returned"),
    ),
    "the suite NULL": (record(HANDSHAKE, server_hello(0x0303, 0x0000, b"")), broken("unknown cipher returned")),
    "a suite of 1.3 in 1.2": (record(HANDSHAKE, server_hello(0x0303, 0x1301, b"")), broken("wrong cipher returned")),
    "a version that does not exist": (record(HANDSHAKE, server_hello(0x0305, 0xC02F)), broken("unsupported protocol")),
    "an SSLv2 in a record of TLS": (record(HANDSHAKE, server_hello(0x0002, 0xC02F)), broken("unsupported protocol")),
    "a compression": (
        record(HANDSHAKE, HELLO_12[:-3] + b"\x01\x00\x00"),
        broken("unsupported compression algorithm"),
    ),
    "text behind a record": (
        record(HANDSHAKE, bytes(4)) + b"hello\r\n",
        broken("wrong version number; record layer failure", answered=False),
    ),
    "another version behind a ServerHello": (
        record(HANDSHAKE, HELLO_12) + record(HANDSHAKE, message(11, bytes(3)), 0x0505),
        broken("wrong version number; record layer failure"),
    ),
    "a ServerHello too long": (
        record(HANDSHAKE, b"\x02\xff\xff\xff"),
        broken("excessive message size", answered=False),
    ),
}


@pytest.mark.parametrize(("data", "expected"), NOT_TLS.values(), ids=NOT_TLS)
def test_not_tls(data: bytes, expected: Handshake) -> None:
    """What is no TLS is never taken for a limit of our library, nor a limit of our library for the server's "no"."""
    assert fed(data) == expected


@pytest.mark.parametrize("number", range(1, 256))
def test_every_alert(number: int) -> None:
    """A fatal alert is told by its name, those too that OpenSSL has no words for."""
    assert fed(alert(2, number)) == failed(Verdict.HANDSHAKE_FAILED, "alert", alert=alert_name(number))


def test_close_notify() -> None:
    """A close_notify in place of a ServerHello is an alert like the others."""
    assert fed(alert(1, 0)) == failed(Verdict.HANDSHAKE_FAILED, "alert", alert="close_notify")


@pytest.mark.parametrize("behind", [b"F", alert(1, 0), alert(2, 40), alert(2, 40)[:-1]])
def test_what_stands_behind_an_alert(behind: bytes) -> None:
    """The alert that ends the handshake is told, whatever comes with it."""
    for warning in (b"", alert(1, 112), alert(1, 209)):
        assert fed(warning + alert(2, 209) + behind) == failed(Verdict.HANDSHAKE_FAILED, "alert", alert="alert_209")


@pytest.mark.parametrize(
    ("end", "verdict"),
    [
        (End.EOF, Verdict.CLOSED),
        (End.RESET, Verdict.RESET),
        (End.TIMEOUT, Verdict.TIMEOUT),
        (End.DEADLINE, Verdict.TARPIT),
    ],
)
@pytest.mark.parametrize(
    "data", [b"", b"\x16\x03", record(HANDSHAKE, HELLO_12)[:40]], ids=["nothing", "a record's head", "half a hello"]
)
def test_ends(data: bytes, end: End, verdict: Verdict) -> None:
    """FIN, RST, silence and slowness, before TLS and in its middle; half an answer is told from none."""
    assert fed(data, end) == failed(verdict, end.value, partial=bool(data))


@pytest.mark.parametrize("only", [TLS12, TLS13])
def test_truncated(only: ssl.TLSVersion) -> None:
    """A real server that falls silent after so many bytes: there is a result, and never a negotiated one."""

    class Failing(TlsServer):
        left = 0

        def hear(self, data: bytes) -> bytes:
            said = super().hear(data)[: self.left]
            self.left -= len(said)
            return said

    made = context(only=only)
    first = len(TlsServer(context=made).hear(play(HandshakeDialogue(NAME, after_upgrade=False), []).sent[0]))
    for left in range(0, first - 16, 23):
        server = Failing(context=made)
        server.left = left
        shaken = converse(HandshakeDialogue(NAME, after_upgrade=False), server)
        assert shaken.answered or left < 200
        assert replace(shaken, chain=(), answered=False) == failed(Verdict.TIMEOUT, "timeout", partial=left > 0)
        assert not shaken.chain or (only is TLS12 and left > sum(map(len, shaken.chain)))


@pytest.mark.parametrize("only", [TLS12, TLS13])
def test_any_byte_changed(only: ssl.TLSVersion) -> None:
    """A real server with one byte of its first flight changed: there is a result, whatever OpenSSL makes of it."""

    class Changing(TlsServer):
        at = 0

        def hear(self, data: bytes) -> bytes:
            said = bytearray(super().hear(data))
            if self.at < len(said):
                said[self.at] ^= 0x55
            self.at = 2**14
            return bytes(said)

    made = context(only=only)
    for at in range(0, 1400, 9):
        server = Changing(context=made)
        server.at = at
        shaken = converse(HandshakeDialogue(NAME, after_upgrade=False), server)
        assert shaken.failure is not None or shaken.chain


# What would cost us too much

ANONYMOUS_DH = 0x0034  # TLS_DH_anon_WITH_AES_128_CBC_SHA


def dh_flight(bits: int, cipher: int = ANONYMOUS_DH) -> bytes:
    """A server's flight with a group of this size, a HelloRequest before it and a warning in its middle."""
    prime = ((1 << bits) - 1).to_bytes((bits + 7) // 8, "big")
    share = b"".join(len(part).to_bytes(2, "big") + part for part in (prime, b"\x02", bytes(len(prime) - 1) + b"\x07"))
    hello = record(HANDSHAKE, message(0, b"") + server_hello(0x0303, cipher)[:20])
    rest = server_hello(0x0303, cipher)[20:] + message(12, share) + message(14, b"")
    return hello + alert(1, 112) + in_records(rest, 700)


@pytest.mark.parametrize("bits", [128, 384, 504, 512, 768])
def test_small_groups(bits: int) -> None:
    """Whatever group OpenSSL finds too small, the server can do it."""
    failure = fed(dh_flight(bits)).failure
    assert failure is not None
    assert (failure.verdict, failure.cause) == (Verdict.LOCAL_LIMITATION, "tls_library")
    assert "too small" in (failure.detail or "")


@pytest.mark.parametrize("bits", [4_104, 8_192, 10_000])
def test_huge_groups(bits: int) -> None:
    """A finite-field group that would keep OpenSSL busy for a good part of a second never reaches it."""
    assert fed(dh_flight(bits)) == failed(Verdict.LIMIT_EXCEEDED, "dh_group", answered=True)


def test_large_groups() -> None:
    """A group of 4,096 bits is answered: OpenSSL goes on with its own share."""
    played = play(HandshakeDialogue(NAME, after_upgrade=False), [dh_flight(4_096)])
    assert [sent[HEADER_BYTES] for sent in played.sent] == [1, 16]  # ClientHello, ClientKeyExchange
    expected = failed(Verdict.CLOSED, "eof", partial=True, answered=True)
    assert played.value == replace(expected, client_certificate=ClientCertificate.NONE)


def test_every_suite_with_a_finite_field_is_known() -> None:
    """What OpenSSL offers with a group of the server's own is told by IANA's name; no suite has a hint before it."""
    sent = play(HandshakeDialogue(NAME, after_upgrade=False), []).sent[0]
    names = [cipher_name(code) or "" for code in read_client_hello(sent).suites]
    finite_field = [name for name in names if "DH" in name and "ECDH" not in name]
    assert len(finite_field) > 30
    assert all(name.startswith("TLS_DH") for name in finite_field)
    assert not [name for name in names if "PSK" in name]


@pytest.mark.parametrize("hello", [HELLO_12, server_hello(0x0303, 0x0033, b"")], ids=["ECDHE", "DHE"])
def test_a_chain_too_long(hello: bytes) -> None:
    """OpenSSL reads no message beyond 100 KB: a cap of ours, and no fault of the server's."""
    chain = record(HANDSHAKE, b"\x0b\x02\x00\x00" + bytes(100))
    expected = failed(Verdict.LIMIT_EXCEEDED, "message_size", detail="excessive message size", answered=True)
    assert fed(record(HANDSHAKE, hello) + chain) == expected


def test_no_renegotiation() -> None:
    """Nothing that a server says inside TLS begins a second handshake."""
    assert measuring_context.__wrapped__().set_options(0) & SSL.OP_NO_RENEGOTIATION


def test_endless_records() -> None:
    """A server that never comes to an end runs into our cap."""
    warnings = alert(1, 112) * 4
    played = play(HandshakeDialogue(NAME, after_upgrade=False), [warnings] * (MAX_BYTES // len(warnings) + 2))
    assert played.value.failure is not None
    assert played.most_held <= MAX_BYTES


@pytest.mark.parametrize(
    ("reasons", "expected"),
    [
        (
            ["tls alert handshake failure"],
            Outcome(Verdict.HANDSHAKE_FAILED, Stage.TLS, "alert", alert="handshake_failure"),
        ),
        (["dh key too small"], Outcome(Verdict.LOCAL_LIMITATION, Stage.TLS, "tls_library", detail="dh key too small")),
        (["bad signature"], Outcome(Verdict.HANDSHAKE_FAILED, Stage.TLS, "broken", detail="bad signature")),
        (
            ["bn lib", "ee key too small"],
            Outcome(Verdict.LOCAL_LIMITATION, Stage.TLS, "tls_library", detail="bn lib; ee key too small"),
        ),
        (
            ["wrong signature type"],
            Outcome(Verdict.HANDSHAKE_FAILED, Stage.TLS, "broken", detail="wrong signature type"),
        ),
        ([], Outcome(Verdict.HANDSHAKE_FAILED, Stage.TLS, "broken")),
    ],
)
def test_failures_of_openssl(reasons: list[str], expected: Outcome) -> None:
    """The server's alert, our library's limit, and a handshake that breaks are three things."""
    assert failure_of(SSL.Error([("SSL routines", "", reason) for reason in reasons]), b"") == expected


@pytest.mark.parametrize(
    ("version", "verdict"),
    [
        (None, Verdict.HANDSHAKE_FAILED),
        (0x0002, Verdict.HANDSHAKE_FAILED),
        (0x0300, Verdict.LOCAL_LIMITATION),
        (0x0301, Verdict.LOCAL_LIMITATION),
        (0x0304, Verdict.HANDSHAKE_FAILED),  # RFC 8446 §4.1.3: a legacy_version is never that of TLS 1.3
    ],
)
def test_a_version_that_our_library_lacks(version: int | None, verdict: Verdict) -> None:
    """A version that exists and that OpenSSL was built without is its limit; any other is the server's fault."""
    error = SSL.Error([("SSL routines", "", "unsupported protocol")])
    assert failure_of(error, b"", version).verdict is verdict


def test_errors_without_a_list() -> None:
    """OpenSSL's errors of the system have no list of reasons."""
    assert failure_of(SSL.SysCallError(-1, "Unexpected EOF"), b"").cause == "broken"
