r"""One version, asked with one raw hello: a dialogue that ends with the first thing that decides.

    C: ClientHello ──▶ S: [text, after STARTTLS] ▶ [warning alerts] ▶ ServerHello | HelloRetryRequest | fatal alert

A HelloRequest may stand anywhere before the ServerHello, and is passed over (RFC 5246 §7.4.1.1).

Nothing of it needs a key, so nothing of it depends on what the local TLS library still speaks.
"""

from abc import ABC
from collections.abc import Container
from dataclasses import dataclass, replace
from enum import StrEnum

from scanner.dialogue import End, LimitExceeded, Script, Send, Stop, Violation, WireEnded
from scanner.tls import sslv2
from scanner.tls.dialogue import TlsDialogue
from scanner.tls.hello import MalformedHelloError, ServerHello, Shape, client_hello, offered_suites, read_server_hello
from scanner.tls.names import Version
from scanner.tls.scts import MAX_LIST_BYTES
from scanner.tls.wire import (
    HEADER_BYTES,
    MAX_FRAGMENT_BYTES,
    ContentType,
    Extension,
    HandshakeType,
    is_text,
    starts_record,
)
from scanner.wire_text import printable

MAX_BYTES = 65_536
MAX_RECORDS = 1_024  # a ServerHello may come in a record for each of its bytes
MAX_HELLO_BYTES = 16_384
WARNING, CLOSE_NOTIFY = 1, 0
HELLO_REQUEST_BYTES = 4  # all zero: type 0, and empty


class Evidence(StrEnum):
    """What a verdict on a version rests on."""

    SERVER_HELLO = "server_hello"
    HELLO_RETRY_REQUEST = "hello_retry_request"
    ALERT = "alert"
    LOWER_VERSION = "lower_version"
    HIGHER_VERSION = "higher_version"
    CLOSED = "closed"
    RESET = "reset"
    TIMEOUT = "timeout"
    PLAINTEXT = "plaintext"
    GARBAGE = "garbage"
    SSLV2_SERVER_HELLO = "sslv2_server_hello"
    SSLV2_ERROR = "sslv2_error"
    IMPLIED = "implied"
    NOT_REACHED = "not_reached"


_END_EVIDENCE = {
    End.EOF: Evidence.CLOSED,
    End.RESET: Evidence.RESET,
    End.TIMEOUT: Evidence.TIMEOUT,
    End.DEADLINE: Evidence.TIMEOUT,
    End.CAP: Evidence.GARBAGE,
}
HELLOS = {
    Evidence.SERVER_HELLO,
    Evidence.HELLO_RETRY_REQUEST,
    Evidence.LOWER_VERSION,
    Evidence.HIGHER_VERSION,
    Evidence.SSLV2_SERVER_HELLO,
}
TLS_ANSWERS = {*HELLOS, Evidence.ALERT, Evidence.SSLV2_ERROR}


@dataclass(frozen=True, slots=True)
class HelloAnswer:
    """What came in answer to a hello; numbers are code points."""

    evidence: Evidence
    version: int | None = None
    cipher: int | None = None
    group: int | None = None
    alert: int | None = None
    error: int | None = None  # of an SSLv2 ERROR
    hint: str | None = None
    text: str | None = None
    tarpit: bool = False  # bytes kept coming until the deadline of the connection
    partial: bool = False  # the wire ended after TLS had begun: half an answer, which is not silence
    flags: frozenset[str] = frozenset()
    kinds: tuple[int, ...] = ()  # of ciphers: those that an SSLv2 server has of ours
    certificate: bytes = b""  # DER, of an SSLv2 server
    scts: bytes = b""  # a list of them (RFC 6962 §3.3), as it stands in the ServerHello
    server_hello: ServerHello | None = None  # where an Offer asked (`offer.py`)
    behind: tuple[tuple[int, bytes], ...] = ()  # (type, body) of the message that an Offer waits for

    @property
    def speaks_tls(self) -> bool:
        """Did a TLS or SSL record come back?"""
        return self.evidence in TLS_ANSWERS

    @property
    def protocol(self) -> str | None:
        """What is spoken here, as far as the answer tells."""
        return "tls" if self.speaks_tls else self.hint

    @property
    def malformed(self) -> bool:
        """Did a TLS record come back that no version allows here, and that is not our own hello?"""
        return self.evidence is Evidence.GARBAGE and "violation" in self.flags and self.hint is None

    @property
    def is_hello(self) -> bool:
        """Did a hello come back? Then the endpoint answers hellos: the control of a "no" from silence."""
        return self.evidence in HELLOS


class HelloExchange(TlsDialogue[HelloAnswer], ABC):
    """What the exchanges of all versions share: the hello, alerts, and how they are stopped."""

    def __init__(self, hello: bytes, *, after_upgrade: bool) -> None:
        super().__init__(MAX_BYTES, after_upgrade=after_upgrade)
        self.hello = hello
        self.messages = b""  # of the handshake, from the first that may decide on
        self.warning: int | None = None
        self._half_alert = b""

    def stopped(self, stop: Stop) -> HelloAnswer:
        """Silence, FIN, RST, text or garbage; after warnings and nothing else, the last is what there is to know."""
        tarpit = isinstance(stop, WireEnded) and stop.end is End.DEADLINE
        if self._only_warned(stop):
            return HelloAnswer(Evidence.ALERT, alert=self.warning, tarpit=tarpit)
        data = self.not_tls(stop)
        if not data:
            if isinstance(stop, WireEnded):
                return HelloAnswer(_END_EVIDENCE[stop.end], tarpit=tarpit, partial=self.began)
            return HelloAnswer(Evidence.GARBAGE, flags=frozenset({"violation"}))
        kind = Evidence.PLAINTEXT if is_text(data) and not self.began else Evidence.GARBAGE
        return HelloAnswer(kind, hint=self.hint(data, self.hello), text=printable(data))

    def read_record(self) -> Script[tuple[int, bytes]]:
        """(content type, fragment) of the next record. Its version is to be ignored (RFC 8446 §5.1)."""
        while len(self._buffer) < HEADER_BYTES:
            if self._buffer and not starts_record(self._buffer):
                raise Violation("not a TLS record", self.trailing_data)
            yield from self.more()
        if not starts_record(self._buffer):
            raise Violation("not a TLS record", self.trailing_data)
        content, length = self._buffer[0], int.from_bytes(self._buffer[3:5], "big")
        if length > MAX_FRAGMENT_BYTES or not (length or content == ContentType.APPLICATION_DATA):
            raise Violation("a record of a length that no version allows", self.trailing_data)
        whole = yield from self.read_exactly(HEADER_BYTES + length)
        return content, whole[HEADER_BYTES:]

    def read_alert(self, fragment: bytes) -> HelloAnswer | None:
        """The alert that decides; None for a warning, after which a server may still go on.

        Before TLS 1.3 several may share a record, and one may come in two (RFC 5246 §6.2.1).
        """
        alerts = self._half_alert + fragment
        whole = len(alerts) // 2 * 2
        for at in range(0, whole, 2):
            level, description = alerts[at], alerts[at + 1]
            if level != WARNING or description == CLOSE_NOTIFY:
                return HelloAnswer(Evidence.ALERT, alert=description)
            self.warning = description
        self._half_alert = alerts[whole:]
        return None

    def _only_warned(self, stop: Stop) -> bool:
        if self.warning is None or self.messages or isinstance(stop, Violation):
            return False
        return isinstance(stop, LimitExceeded) or not self._buffer  # at our cap, what is unread does not matter


class TlsExchange(HelloExchange):
    """SSLv3 to TLS 1.3: `hello` offers `version` and these suites."""

    def __init__(self, hello: bytes, version: Version, suites: Container[int], *, after_upgrade: bool) -> None:
        super().__init__(hello, after_upgrade=after_upgrade)
        self.version = version
        self.suites = suites
        self.max_message_bytes = MAX_HELLO_BYTES
        self.server_hello: ServerHello | None = None
        self._records = 0

    def script(self) -> Script[HelloAnswer]:
        """See the diagram at the head of the module."""
        yield Send(self.hello)
        yield from self.skip_text()
        message = yield from self.read_message()
        return message if isinstance(message, HelloAnswer) else self._judge(*message)

    def read_message(self) -> Script[HelloAnswer | tuple[int, bytes]]:
        """(type, body) of the next handshake message; or the alert that ends it."""
        while not (message := _first_message(self.messages, self.max_message_bytes)):
            self._records += 1
            if self._records > MAX_RECORDS:
                raise LimitExceeded
            content, fragment = yield from self.read_record()
            if content == ContentType.ALERT:
                if answer := self.read_alert(fragment):
                    return answer
            elif content == ContentType.HANDSHAKE:
                self.messages += fragment
                if not self.messages[0]:
                    self.messages = _without_hello_requests(self.messages)
            elif content != ContentType.CHANGE_CIPHER_SPEC:
                raise Violation("application data before a ServerHello")
        self.messages = self.messages[4 + len(message[1]) :]
        return message

    def _judge(self, kind: int, body: bytes) -> HelloAnswer:
        if kind == HandshakeType.CLIENT_HELLO:
            return HelloAnswer(Evidence.GARBAGE, hint="echo", flags=frozenset({"violation"}))
        if kind != HandshakeType.SERVER_HELLO:
            raise Violation("a handshake message before the ServerHello")
        try:
            hello = self.server_hello = read_server_hello(body, self.version, self.suites)
        except MalformedHelloError as error:
            raise Violation(str(error)) from error
        answer = HelloAnswer(
            Evidence.SERVER_HELLO, version=hello.version, cipher=hello.cipher, group=hello.group, flags=hello.flags
        )
        if scts := hello.extensions.get(Extension.SIGNED_CERTIFICATE_TIMESTAMP):
            answer = replace(answer, scts=scts[:MAX_LIST_BYTES])
        if hello.version < self.version.code:
            return replace(answer, evidence=Evidence.LOWER_VERSION)
        if hello.version > self.version.code:
            return replace(answer, evidence=Evidence.HIGHER_VERSION, flags=answer.flags | {"violation"})
        if hello.retry:
            return replace(answer, evidence=Evidence.HELLO_RETRY_REQUEST, flags=answer.flags | {"hrr"})
        return answer


class Sslv2Exchange(HelloExchange):
    """SSLv2; a server that speaks TLS answers with a TLS alert, or closes."""

    def __init__(self, entropy: bytes, *, after_upgrade: bool) -> None:
        super().__init__(sslv2.client_hello(entropy), after_upgrade=after_upgrade)

    def script(self) -> Script[HelloAnswer]:
        """A SERVER-HELLO, an ERROR, or an alert of TLS."""
        yield Send(self.hello)
        yield from self.skip_text()
        while True:
            while len(self._buffer) < 3:
                yield from self.more()
            if not starts_record(self._buffer):
                return (yield from self._sslv2_answer())
            if answer := (yield from self._tls_answer()):
                return answer

    def _tls_answer(self) -> Script[HelloAnswer | None]:
        content, fragment = yield from self.read_record()
        if content != ContentType.ALERT:
            raise Violation("TLS, and not an alert, in answer to SSLv2")
        return self.read_alert(fragment)

    def _sslv2_answer(self) -> Script[HelloAnswer]:
        header_bytes, length, padding = sslv2.header(bytes(self._buffer[:3]))
        while len(self._buffer) <= header_bytes:
            yield from self.more()
        seen = self.trailing_data
        if length < 3 + padding or seen[header_bytes] not in (sslv2.ERROR, sslv2.SERVER_HELLO):
            raise Violation("not a message of SSLv2", seen)
        message = (yield from self.read_exactly(header_bytes + length))[header_bytes : header_bytes + length - padding]
        if message[0] == sslv2.ERROR:
            return HelloAnswer(Evidence.SSLV2_ERROR, error=int.from_bytes(message[1:3], "big"))
        hello = sslv2.read_server_hello(message)
        if hello is None or hello.version != Version.SSLV2.code:
            raise Violation("not a SERVER-HELLO", seen)
        flags = set() if hello.ciphers else {"no_ciphers"}
        if not set(hello.ciphers) <= set(sslv2.CIPHER_KINDS):
            flags.add("unoffered_cipher")
        return HelloAnswer(
            Evidence.SSLV2_SERVER_HELLO,
            version=hello.version,
            cipher=hello.ciphers[0] if hello.ciphers else None,
            kinds=hello.ciphers,
            certificate=hello.certificate,
            flags=frozenset(flags),
        )


def exchange(
    version: Version,
    server_name: str | None,
    entropy: bytes,
    *,
    after_upgrade: bool,
    shape: Shape = Shape.PLAIN,
    alpn: tuple[bytes, ...] = (),
) -> HelloExchange:
    """The dialogue that asks for this version with a hello of this shape; SSLv2 has but one."""
    if version is Version.SSLV2:
        return Sslv2Exchange(entropy, after_upgrade=after_upgrade)
    hello = client_hello(version, server_name, entropy, shape, alpn)
    return TlsExchange(hello, version, offered_suites(version, shape), after_upgrade=after_upgrade)


def _without_hello_requests(data: bytes) -> bytes:
    zeros = len(data) - len(data.lstrip(b"\x00"))
    return data[zeros - zeros % HELLO_REQUEST_BYTES :]


def _first_message(data: bytes, most: int) -> tuple[int, bytes] | None:
    """(type, body) of the first handshake message, once it is whole."""
    if len(data) < 4:
        return None
    length = int.from_bytes(data[1:4], "big")
    if length > most:
        raise Violation("a message that is too long")
    return (data[0], data[4 : 4 + length]) if len(data) >= 4 + length else None
