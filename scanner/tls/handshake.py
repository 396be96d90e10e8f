"""One full handshake, through OpenSSL over memory BIOs: what a client of today would get, and the whole chain.

The context is made for measuring, not for protecting: nothing is verified here, every cipher that this OpenSSL has is
offered (`SECLEVEL=0`), and servers without secure renegotiation are let in (RFC 5746), so that an old server is seen
and not refused by us. What this OpenSSL cannot do at all is `local_limitation`, never the server's fault; and what no
server may say is never a limit of ours.
"""

from dataclasses import dataclass, replace
from functools import cache

from cryptography.hazmat.primitives.asymmetric import ec
from OpenSSL import SSL, crypto

from scanner.dialogue import LimitExceeded, Script, Send, Stop, Violation, WireEnded, verdict_of
from scanner.outcome import Outcome, Stage, Verdict
from scanner.tls.dialogue import TlsDialogue
from scanner.tls.flight import MAX_CHAIN, ClientCertificate, Flight
from scanner.tls.names import (
    Version,
    alert_name,
    alert_of_openssl,
    cipher_code_of_openssl,
    group_code,
    version_of_code,
)
from scanner.tls.wire import HEADER_BYTES, ContentType, HandshakeType, is_text, starts_record
from scanner.wire_text import printable

MAX_BYTES = 262_144
BIO_BYTES = 16_384
NEWEST_RECORD_MINOR = 4  # records of TLS 1.3 say 3; some servers write 4

# The order is that of OpenSSL's own default, which leaves out the two of CCM: a server may have nothing else.
TLS13_CIPHERSUITES = (
    b"TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256"
    b":TLS_AES_128_CCM_SHA256:TLS_AES_128_CCM_8_SHA256"
)
_LEGACY_SERVER_CONNECT = 0x4  # SSL_OP_LEGACY_SERVER_CONNECT
_PADDING = 0x10  # SSL_OP_TLSEXT_PADDING: a hello of 256 to 511 bytes hangs an old F5 (RFC 7685 §1)
_RELEASE_BUFFERS = 0x10  # SSL_MODE_RELEASE_BUFFERS: an idle connection keeps none
_STATE_CHANGE = 0x1001  # SSL_CB_CONNECT_LOOP
_READ_CERTIFICATE_REQUEST = b"SSLv3/TLS read server certificate request"  # in TLS 1.3 too
_MESSAGE_TOO_LONG = "excessive message size"
_UNSUPPORTED_VERSION = "unsupported protocol"
_UNREADABLE_STAPLE = "bad_certificate_status_response"  # OpenSSL's own word too, where no such alert came
# Not here, because a server may choose only what it was offered: "unknown cipher returned" and "wrong cipher returned"
# (RFC 5246 §7.4.1.3), "unsupported compression algorithm" (the same), "wrong signature type" (§7.4.3; RFC 8446 §4.4.3;
# SHA-1 is offered, for old servers), "wrong curve" (RFC 8422 §5.4); and "wrong version number", which is of records.
_LOCAL_REASONS = frozenset(
    {
        "no protocols available",
        "no ciphers available",
        "dh key too small",
        "modulus too small",  # of a group below 512 bits
        "ee key too small",
        "ca key too small",
        "ca md too weak",
        "unsupported elliptic curve",
        "unknown key exchange type",
        "unsupported",
    }
)


# How servers say that they want a certificate of the client's, and got none that they like (RFC 8446 §6.2, §4.4.2.4).
_WITHOUT_CERTIFICATE = {
    *("certificate_required", "handshake_failure", "access_denied", "bad_certificate", "no_certificate", "unknown_ca"),
    *("unsupported_certificate", "certificate_unknown", "certificate_expired", "certificate_revoked"),
}


@dataclass(frozen=True, slots=True)
class Handshake:
    """What was negotiated; or `failure`, when nothing was. `chain` is DER, leaf first.

    Of a handshake that failed, `chain` is what had come in plaintext. `staple` is an OCSP response, empty where none
    came, and None where nobody asked. `partial`: the wire ended after TLS had begun; so half an answer is told from
    silence. `answered`: a ServerHello had come before it failed.
    """

    version: Version | None = None
    cipher: int | None = None
    cipher_text: str | None = None  # OpenSSL's name
    group: int | None = None
    group_text: str | None = None  # OpenSSL's name
    alpn: str | None = None
    chain: tuple[bytes, ...] = ()
    client_certificate: ClientCertificate | None = None
    staple: bytes | None = None
    failure: Outcome | None = None
    partial: bool = False
    answered: bool = False

    @property
    def broken(self) -> bool:
        """Did it fail on what the server said in TLS, and not on an alert or a limit of ours?"""
        return self.failure is not None and self.failure.cause == "broken"


@cache
def measuring_context(alpn: tuple[bytes, ...] = (), newest: Version | None = None) -> SSL.Context:
    """The context that all handshakes share.

    The hello is longer than a packet, for it has a hybrid key share (RFC 8446 §4.2.8); with `newest`, the newest
    version to offer, it is short: one group of elliptic curves, and in TLS 1.3 no other.
    """
    context = SSL.Context(SSL.TLS_CLIENT_METHOD)
    context.set_cipher_list(b"ALL:COMPLEMENTOFALL:@SECLEVEL=0")
    context.set_tls13_ciphersuites(TLS13_CIPHERSUITES)
    context.set_options(_LEGACY_SERVER_CONNECT | _PADDING | SSL.OP_NO_RENEGOTIATION)
    context.set_mode(_RELEASE_BUFFERS)
    context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
    context.set_verify(SSL.VERIFY_NONE)
    context.set_info_callback(_note_state)
    context.set_ocsp_client_callback(_note_staple)
    if alpn:
        context.set_alpn_protos(list(alpn))
    if newest:
        context.set_max_proto_version(newest.code)
    if newest is Version.TLS1_3:
        context.set_tmp_ecdh(ec.SECP256R1())
    return context


@dataclass(slots=True)
class _Noted:
    """What OpenSSL tells on the way."""

    requests_certificate: bool = False
    staple: bytes = b""


def _note_state(tls: SSL.Connection, where: int, _value: int) -> None:
    if where == _STATE_CHANGE and tls.get_state_string() == _READ_CERTIFICATE_REQUEST:
        tls.get_app_data().requests_certificate = True


def _note_staple(tls: SSL.Connection, staple: bytes, _data: object) -> bool:
    tls.get_app_data().staple = staple
    return True  # go on, whatever it says


class HandshakeDialogue(TlsDialogue[Handshake]):
    """OpenSSL's handshake as a dialogue. After it, `tls` is the connection to speak through."""

    def __init__(
        self,
        server_name: str | None,
        *,
        after_upgrade: bool,
        alpn: tuple[bytes, ...] = (),
        newest: Version | None = None,
    ) -> None:
        super().__init__(MAX_BYTES, after_upgrade=after_upgrade)
        self.tls = SSL.Connection(measuring_context(alpn, newest), None)
        self.tls.set_connect_state()
        # A response that OpenSSL cannot read breaks the handshake; then a capped one is made, and does without.
        self._asks_for_staple = newest is None
        if self._asks_for_staple:
            self.tls.request_ocsp()
        self._flight, self._noted = Flight(), _Noted()
        self.tls.set_app_data(self._noted)
        if server_name is not None:
            self.tls.set_tlsext_host_name(server_name.encode("ascii"))

    def script(self) -> Script[Handshake]:
        """Let OpenSSL speak until it is done."""
        finished = self._step()
        yield Send(outgoing(self.tls))
        yield from self.skip_text()
        if (yield from self._is_echo()):
            return Handshake(failure=Outcome(Verdict.PROTOCOL_MISMATCH, Stage.TLS, "garbage", "echo"))
        while not finished:
            data = yield from self.read_some()
            self._flight.read(data)
            self.tls.bio_write(data)
            try:
                finished = self._step()
            except SSL.Error as error:
                yield from self._last_words()
                return self._failed(failure_of(error, self._flight.alert, self._flight.version))
            yield from self._last_words()
        return self._negotiated()

    def stopped(self, stop: Stop) -> Handshake:
        """The wire ended, or something else than TLS came."""
        if data := self.not_tls(stop):
            hint = self.hint(data)
            verdict = Verdict.PROTOCOL_MISMATCH if hint else Verdict.VIOLATION
            kind = "plaintext" if is_text(data) else "garbage"
            return Handshake(failure=Outcome(verdict, Stage.TLS, kind, hint, detail=printable(data)))
        cause = stop.end.value if isinstance(stop, WireEnded) else str(stop) or None
        partial = self.began and isinstance(stop, WireEnded)
        return self._failed(Outcome(verdict_of(stop), Stage.TLS, cause), partial=partial)

    def _is_echo(self) -> Script[bool]:
        """Is it our own hello that comes back? Raises Violation for what is no record of TLS: OpenSSL cannot tell."""
        while len(self._buffer) <= HEADER_BYTES and starts_record(self._buffer):
            yield from self.more()
        if not starts_record(self._buffer) or self._buffer[2] > NEWEST_RECORD_MINOR:
            raise Violation("not a TLS record", self.trailing_data)
        return self._buffer[0] == ContentType.HANDSHAKE and self._buffer[HEADER_BYTES] == HandshakeType.CLIENT_HELLO

    def _step(self) -> bool:
        try:
            self.tls.do_handshake()
        except SSL.WantReadError:
            return False
        return True

    def _last_words(self) -> Script[None]:
        if data := outgoing(self.tls):
            yield Send(data)

    def _failed(self, failure: Outcome, *, partial: bool = False) -> Handshake:
        """What was seen in plaintext stays known."""
        asked = self._flight.client_certificate
        if self._noted.requests_certificate:
            asked = ClientCertificate.REQUESTED
        # Behind a ServerHelloDone, an alert answers what the client has sent since.
        if asked is ClientCertificate.REQUESTED and self._flight.whole and failure.alert in _WITHOUT_CERTIFICATE:
            asked = ClientCertificate.REQUIRED
        return Handshake(
            chain=self._flight.chain,
            client_certificate=asked,
            failure=failure,
            partial=partial,
            answered=self._flight.version is not None,
        )

    def _negotiated(self) -> Handshake:
        cipher, group = self.tls.get_cipher_name(), self.tls.get_group_name()
        alpn = self.tls.get_alpn_proto_negotiated()
        chain = self.tls.get_peer_cert_chain() or []
        if len(chain) > MAX_CHAIN:
            raise LimitExceeded
        return Handshake(
            version=version_of_code(self.tls.get_protocol_version()),
            cipher=cipher_code_of_openssl(cipher) if cipher else None,
            cipher_text=cipher,
            group=group_code(group) if group else None,
            group_text=group,
            alpn=printable(alpn) if alpn else None,
            chain=tuple(crypto.dump_certificate(crypto.FILETYPE_ASN1, each) for each in chain),
            client_certificate=ClientCertificate.REQUESTED
            if self._noted.requests_certificate
            else ClientCertificate.NONE,
            staple=self._noted.staple if self._asks_for_staple else None,
        )


def refused_by(made: Handshake, alert: str) -> Handshake:
    """What a handshake of TLS 1.3 was, if this alert is the first thing that the server says behind it.

    The client is done before the server has seen what it said last. Either there was to be a certificate (RFC 8446
    §4.4.2.4), or the handshake was none to the server; what was agreed on in it stays known.
    """
    if made.client_certificate is ClientCertificate.REQUESTED and alert in _WITHOUT_CERTIFICATE:
        return replace(made, client_certificate=ClientCertificate.REQUIRED)
    failure = Outcome(Verdict.HANDSHAKE_FAILED, Stage.TLS, "alert", alert=alert)
    return replace(made, failure=failure, answered=True)


def alert_inside(error: SSL.Error) -> str | None:
    """The alert that OpenSSL met inside TLS; None for anything else that breaks there."""
    return failure_of(error, b"").alert


def outgoing(tls: SSL.Connection) -> bytes:
    """What OpenSSL wants to send on a connection; empty if nothing."""
    parts: list[bytes] = []
    try:
        while not parts or len(parts[-1]) == BIO_BYTES:
            parts.append(tls.bio_read(BIO_BYTES))
    except SSL.WantReadError:
        pass
    return b"".join(parts)


def failure_of(error: SSL.Error, alert_record: bytes, version: int | None = None) -> Outcome:
    """Whose fault an error of OpenSSL's is: the server's alert, our library's limit, or a handshake that breaks.

    `alert_record` is that of an alert in plaintext, empty where none came; `version` that of the ServerHello.
    """
    reasons = [entry[2] for entry in error.args[0]] if error.args and isinstance(error.args[0], list) else []
    detail = "; ".join(filter(None, reasons)) or None
    alert = next(filter(None, map(alert_of_openssl, reasons)), None) if detail else _plaintext_alert(alert_record)
    if alert and (alert != _UNREADABLE_STAPLE or alert_record):
        return Outcome(Verdict.HANDSHAKE_FAILED, Stage.TLS, "alert", alert=alert)
    if version is not None and _MESSAGE_TOO_LONG in reasons:  # a chain: before a ServerHello it would be nonsense
        return Outcome(Verdict.LIMIT_EXCEEDED, Stage.TLS, "message_size", detail=detail)
    if not _LOCAL_REASONS.isdisjoint(reasons) or (_UNSUPPORTED_VERSION in reasons and _is_old(version)):
        return Outcome(Verdict.LOCAL_LIMITATION, Stage.TLS, "tls_library", detail=detail)
    return Outcome(Verdict.HANDSHAKE_FAILED, Stage.TLS, "broken", detail=detail)


def _is_old(version: int | None) -> bool:
    """Is it a version that a ServerHello may name (RFC 8446 §4.1.3) and that a library may have been built without?"""
    return version is not None and Version.SSLV3.code <= version <= Version.TLS1_2.code


def _plaintext_alert(record: bytes) -> str | None:
    """The alert in a record, where there is one: OpenSSL has no words for those that are newer than itself."""
    return alert_name(record[-1]) if record else None
