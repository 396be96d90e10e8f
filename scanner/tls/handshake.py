"""One full handshake, through OpenSSL over memory BIOs: what a client of today would get, and the whole chain.

The context is made for measuring, not for protecting: nothing is verified here, every cipher that this OpenSSL has is
offered (`SECLEVEL=0`), and servers without secure renegotiation are let in (RFC 5746), so that an old server is seen
and not refused by us. What this OpenSSL cannot do at all is `local_limitation`, never the server's fault; and what no
server may say is never a limit of ours.
"""

from dataclasses import dataclass
from functools import cache

from OpenSSL import SSL, crypto

from scanner.dialogue import LimitExceeded, Script, Send, Stop, Violation, WireEnded, verdict_of
from scanner.outcome import Outcome, Stage, Verdict
from scanner.tls.dialogue import TlsDialogue
from scanner.tls.names import (
    Version,
    alert_name,
    alert_of_openssl,
    cipher_code_of_openssl,
    cipher_name,
    group_code,
    version_of_code,
)
from scanner.tls.wire import CLOSE_NOTIFY, HEADER_BYTES, ContentType, HandshakeType, is_text, starts_record
from scanner.wire_text import printable

MAX_BYTES = 262_144
MAX_CHAIN = 32
BIO_BYTES = 16_384
ALERT_BYTES = HEADER_BYTES + 2
NEWEST_RECORD_MINOR = 4  # records of TLS 1.3 say 3; some servers write 4

MAX_GROUP_BYTES = 512  # of 10,000 bits, the most that OpenSSL takes, the two powers last 0.7 s; of 4,096, 30 ms

_LEGACY_SERVER_CONNECT = 0x4  # SSL_OP_LEGACY_SERVER_CONNECT
_RELEASE_BUFFERS = 0x10  # SSL_MODE_RELEASE_BUFFERS: an idle connection keeps none
_MESSAGE_HEADER_BYTES = 4
_SERVER_KEY_EXCHANGE = 12
_FATAL = 2
_MESSAGE_TOO_LONG = "excessive message size"
_UNSUPPORTED_VERSION = "unsupported protocol"
# Not here, because a server may choose only what it was offered: "unknown cipher returned" and "wrong cipher returned"
# (RFC 5246 §7.4.1.3), "unsupported compression algorithm" (the same), "wrong signature type" (§7.4.3; RFC 8446 §4.4.3;
# SHA-1 is offered, for old servers), "wrong curve" (RFC 8422 §5.4); and "wrong version number", which is of records.
_LOCAL_REASONS = frozenset(
    {
        "no protocols available",
        "no ciphers available",
        "dh key too small",
        "ee key too small",
        "ca key too small",
        "ca md too weak",
        "unsupported elliptic curve",
        "unknown key exchange type",
        "unsupported",
    }
)


@dataclass(frozen=True, slots=True)
class Handshake:
    """What was negotiated; or `failure`, when nothing was. `chain` is DER, leaf first.

    `partial`: the wire ended after TLS had begun; so half an answer is told from silence.
    """

    version: Version | None = None
    cipher: int | None = None
    cipher_text: str | None = None  # OpenSSL's name
    group: int | None = None
    group_text: str | None = None  # OpenSSL's name
    alpn: str | None = None
    chain: tuple[bytes, ...] = ()
    failure: Outcome | None = None
    partial: bool = False

    @property
    def broken(self) -> bool:
        """Did it fail on what the server said in TLS, and not on an alert or a limit of ours?"""
        return self.failure is not None and self.failure.cause == "broken"


@cache
def measuring_context(alpn: tuple[bytes, ...] = ()) -> SSL.Context:
    """The context that all handshakes share."""
    context = SSL.Context(SSL.TLS_CLIENT_METHOD)
    context.set_cipher_list(b"ALL:COMPLEMENTOFALL:@SECLEVEL=0")
    context.set_options(_LEGACY_SERVER_CONNECT | SSL.OP_NO_RENEGOTIATION)
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
        self._flight = _Flight()
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
                return Handshake(failure=failure_of(error, self._flight.alert, self._flight.version))
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
        return Handshake(failure=Outcome(verdict_of(stop), Stage.TLS, cause), partial=partial)

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


class _Flight:
    """Reads along in what a server says in the clear, up to what OpenSSL does not tell or does not bound."""

    def __init__(self) -> None:
        self.version: int | None = None  # of the ServerHello
        self.alert = b""  # the record of the one that ends it; of several that do not, the last
        self._records = bytearray()
        self._messages = bytearray()
        self._over = self._ended = False

    def read(self, data: bytes) -> None:
        """Before OpenSSL does. Raises LimitExceeded for a finite-field group that would keep it busy for long."""
        self._records += data
        while record := _first(self._records, HEADER_BYTES, 3):
            if record[0] == ContentType.HANDSHAKE and not self._over:
                self._messages += record[HEADER_BYTES:]
            elif record[0] == ContentType.ALERT and len(record) == ALERT_BYTES and not self._ended:
                self.alert = record
                self._ended = record[HEADER_BYTES] == _FATAL or record[HEADER_BYTES:] == CLOSE_NOTIFY
        while not self._over and (message := _first(self._messages, _MESSAGE_HEADER_BYTES, 1)):
            self._read_message(message[0], message[_MESSAGE_HEADER_BYTES:])

    def _read_message(self, kind: int, body: bytes) -> None:
        number = int.from_bytes(body[:2], "big")
        if kind == HandshakeType.SERVER_HELLO and len(body) > 34:
            self.version = number
            suite_at = 35 + body[34]  # behind the version, the random and the session
            suite = cipher_name(int.from_bytes(body[suite_at : suite_at + 2], "big"))
            self._over = suite is None or not suite.startswith("TLS_DH")  # DHE or anonymous
        elif kind == _SERVER_KEY_EXCHANGE and self.version is not None:
            if number > MAX_GROUP_BYTES:
                raise LimitExceeded("dh_group")
            self._over = True


def _first(buffer: bytearray, header_bytes: int, length_at: int) -> bytes:
    """Takes the first whole record or message off a buffer; empty when there is none yet."""
    end = header_bytes + int.from_bytes(buffer[length_at:header_bytes], "big")
    if len(buffer) < end:
        return b""
    taken = bytes(buffer[:end])
    del buffer[:end]
    return taken


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
    if alert:
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
