"""One full handshake, through OpenSSL over memory BIOs: what a client of today would get, and the whole chain.

The context is made for measuring, not for protecting: nothing is verified here, every cipher that this OpenSSL has is
offered (`SECLEVEL=0`), and servers without secure renegotiation are let in (RFC 5746), so that an old server is seen
and not refused by us. What this OpenSSL cannot do at all is `local_limitation`, never the server's fault.
"""

from dataclasses import dataclass
from functools import cache

from OpenSSL import SSL, crypto

from scanner.dialogue import LimitExceeded, Script, Send, Stop, Violation, WireEnded, verdict_of
from scanner.hint import hint_of
from scanner.outcome import Outcome, Stage, Verdict
from scanner.tls.dialogue import TlsDialogue
from scanner.tls.names import Version, alert_name, alert_of_openssl, cipher_code_of_openssl, group_code, version_of_code
from scanner.tls.wire import HEADER_BYTES, ContentType, HandshakeType, is_text, starts_record
from scanner.wire_text import printable

MAX_BYTES = 262_144
MAX_CHAIN = 32
BIO_BYTES = 16_384
ALERT_BYTES = HEADER_BYTES + 2
NEWEST_RECORD_MINOR = 4  # records of TLS 1.3 say 3; some servers write 4

_LEGACY_SERVER_CONNECT = 0x4  # SSL_OP_LEGACY_SERVER_CONNECT
_RELEASE_BUFFERS = 0x10  # SSL_MODE_RELEASE_BUFFERS: an idle connection keeps none
_LOCAL_REASONS = (
    "unsupported protocol",
    "no protocols available",
    "wrong version number",  # a record of TLS, which was made sure of before, of a version that OpenSSL lacks
    "no ciphers available",
    "unknown cipher returned",
    "wrong cipher returned",
    "dh key too small",
    "ee key too small",
    "ca key too small",
    "ca md too weak",
    "wrong signature type",
    "unsupported elliptic curve",
    "unknown key exchange type",
    "unsupported",
)


@dataclass(frozen=True, slots=True)
class Handshake:
    """What was negotiated; or `failure`, when nothing was. `chain` is DER, leaf first."""

    version: Version | None = None
    cipher: int | None = None
    cipher_text: str | None = None  # OpenSSL's name
    group: int | None = None
    group_text: str | None = None  # OpenSSL's name
    alpn: str | None = None
    chain: tuple[bytes, ...] = ()
    failure: Outcome | None = None


@cache
def measuring_context(alpn: tuple[bytes, ...] = ()) -> SSL.Context:
    """The context that all handshakes share."""
    context = SSL.Context(SSL.TLS_CLIENT_METHOD)
    context.set_cipher_list(b"ALL:COMPLEMENTOFALL:@SECLEVEL=0")
    context.set_options(_LEGACY_SERVER_CONNECT)
    context.set_mode(_RELEASE_BUFFERS)
    context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
    context.set_verify(SSL.VERIFY_NONE)
    if alpn:
        context.set_alpn_protos(list(alpn))
    return context


class HandshakeDialogue(TlsDialogue[Handshake]):
    """OpenSSL's handshake as a dialogue. After it, `tls` is the connection to speak through."""

    def __init__(self, server_name: str | None, *, after_upgrade: bool, alpn: tuple[bytes, ...] = ()) -> None:
        super().__init__(MAX_BYTES, after_upgrade=after_upgrade)
        self.tls = SSL.Connection(measuring_context(alpn), None)
        self.tls.set_connect_state()
        if server_name is not None:
            self.tls.set_tlsext_host_name(server_name.encode("ascii"))

    def script(self) -> Script[Handshake]:
        """Let OpenSSL speak until it is done."""
        finished = self._step()
        yield Send(outgoing(self.tls))
        yield from self.skip_text()
        if (yield from self._is_echo()):
            return Handshake(failure=Outcome(Verdict.PROTOCOL_MISMATCH, Stage.TLS, "garbage", "echo"))
        tail = b""
        while not finished:
            data = yield from self.read_some()
            tail = (tail + data)[-ALERT_BYTES:]
            self.tls.bio_write(data)
            try:
                finished = self._step()
            except SSL.Error as error:
                yield from self._last_words()
                return Handshake(failure=failure_of(error, tail))
            yield from self._last_words()
        return self._negotiated()

    def stopped(self, stop: Stop) -> Handshake:
        """The wire ended, or something else than TLS came."""
        if data := self.not_tls(stop):
            hint = hint_of(data)
            verdict = Verdict.PROTOCOL_MISMATCH if hint else Verdict.VIOLATION
            kind = "plaintext" if is_text(data) else "garbage"
            return Handshake(failure=Outcome(verdict, Stage.TLS, kind, hint, detail=printable(data)))
        cause = stop.end.value if isinstance(stop, WireEnded) else str(stop) or None
        return Handshake(failure=Outcome(verdict_of(stop), Stage.TLS, cause))

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
        )


def outgoing(tls: SSL.Connection) -> bytes:
    """What OpenSSL wants to send on a connection; empty if nothing."""
    parts: list[bytes] = []
    try:
        while not parts or len(parts[-1]) == BIO_BYTES:
            parts.append(tls.bio_read(BIO_BYTES))
    except SSL.WantReadError:
        pass
    return b"".join(parts)


def failure_of(error: SSL.Error, last_data: bytes) -> Outcome:
    """Whose fault an error of OpenSSL's is: the server's alert, our library's limit, or a handshake that breaks."""
    reasons = [entry[2] for entry in error.args[0]] if error.args and isinstance(error.args[0], list) else []
    detail = "; ".join(filter(None, reasons)) or None
    alert = next(filter(None, map(alert_of_openssl, reasons)), None) if detail else _plaintext_alert(last_data)
    if alert:
        return Outcome(Verdict.HANDSHAKE_FAILED, Stage.TLS, "alert", alert=alert)
    if any(reason.startswith(_LOCAL_REASONS) for reason in reasons):
        return Outcome(Verdict.LOCAL_LIMITATION, Stage.TLS, "tls_library", detail=detail)
    return Outcome(Verdict.HANDSHAKE_FAILED, Stage.TLS, "broken", detail=detail)


def _plaintext_alert(data: bytes) -> str | None:
    """The alert at the end of what came last: OpenSSL has no words for those that are newer than itself."""
    last = data[-ALERT_BYTES:]
    is_alert = len(last) == ALERT_BYTES and last.startswith(b"\x15\x03") and last[3:5] == b"\x00\x02"
    return alert_name(last[6]) if is_alert else None
