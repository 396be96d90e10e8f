"""Whole interviews with probes, of servers in memory; and the servers that the probes need.

made = await asked("alpn", lambda: OpensslServer(context), service="smtp")
assert made["alpn"]["protocols"] == ["h2"]
"""

import contextlib
import ssl
from collections.abc import Callable, Iterable
from functools import cache
from typing import Any, TypeVar, cast

import trio
import trustme
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509 import load_pem_x509_certificate
from OpenSSL import SSL

from scanner.conclusion import conclude
from scanner.connection import Connection
from scanner.dialogue import Dialogue, Done, End, NeedData, Send
from scanner.interview import Interview
from scanner.probes import Known, Talked
from scanner.question import Answer, Negotiate, Question, Wanted
from scanner.record import Recorder
from scanner.starttls import SPOKEN
from scanner.tls.exchange import Evidence, HelloAnswer
from scanner.tls.hello import ServerHello
from scanner.tls.names import Version
from scanner.tls.talk import Talk
from targets.services import SERVICES, Mode
from tests.conftest import as_written
from tests.peers.memory import Network, Peer, Turn
from tests.peers.tls_server import HOST, Closed, Speaker, TlsServer
from tests.scanner.recorded import ADDRESS, TIMEOUTS, Behaviour, Upgraded, endpoint_of, honest, said_by
from tests.scanner.transcript import NAMES

T = TypeVar("T")

VERSIONS = (Version.TLS1_0, Version.TLS1_2, Version.TLS1_3)
OLD = (Version.TLS1_0, Version.TLS1_1, Version.TLS1_2)
ALLOW_CLIENT_RENEGOTIATION = 0x100  # SSL_OP_ALLOW_CLIENT_RENEGOTIATION


def server_of(lowest: Version, highest: Version) -> SSL.Context:
    """pyOpenSSL's server of these versions, and of all suites that it has."""
    context, leaf = SSL.Context(SSL.TLS_SERVER_METHOD), _leaf()
    context.set_min_proto_version(lowest.code)
    context.set_max_proto_version(highest.code)
    context.set_cipher_list(b"ALL:@SECLEVEL=0")
    key = load_pem_private_key(leaf.private_key_pem.bytes(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    context.use_privatekey(key)
    context.use_certificate(load_pem_x509_certificate(leaf.cert_chain_pems[0].bytes()))
    context.set_session_id(b"tests")
    return context


@cache
def _leaf() -> trustme.LeafCert:
    return trustme.CA().issue_cert(HOST, ADDRESS)


class Orderly(TlsServer):
    """Answers a close_notify with its own, and FIN."""

    def hear(self, data: bytes) -> bytes:
        """What it answers. Raises Closed at the end."""
        answer = super().hear(data)
        if self.closed_politely:
            with contextlib.suppress(ssl.SSLError):
                self._tls.unwrap()
            raise Closed(answer + self._outgoing.read())
        return answer


class OpensslServer:
    """A server of pyOpenSSL's, which can be set up in more ways than Python's own. It ends with a close_notify."""

    def __init__(self, context: SSL.Context, greeting: bytes = b"", options: int = 0) -> None:
        self._tls = SSL.Connection(context, None)
        self._tls.set_options(options)
        self._tls.set_accept_state()
        self._greeting = greeting
        self._shaken = False

    def hear(self, data: bytes) -> bytes:
        """What it answers. Raises Closed after an alert of its own, and after a close_notify."""
        self._tls.bio_write(data)
        try:
            if not self._shaken:
                self._tls.do_handshake()
                self._shaken = True
                if self._greeting:
                    self._tls.send(self._greeting)
            while self._tls.recv(16_384):
                pass
        except SSL.WantReadError:
            pass
        except SSL.ZeroReturnError:
            with contextlib.suppress(SSL.Error):  # in the middle of a handshake there is nothing to say
                self._tls.shutdown()
            raise Closed(self._said()) from None
        except SSL.Error as error:
            raise Closed(self._said()) from error
        return self._said()

    def _said(self) -> bytes:
        try:
            return self._tls.bio_read(65_536)
        except SSL.WantReadError:
            return b""


class Says:
    """Answers the first that it hears with these bytes, and closes if it is told to."""

    def __init__(self, data: bytes, *, closes: bool = False) -> None:
        self._data = data
        self._closes = closes

    def hear(self, data: bytes) -> bytes:
        """That, once."""
        if self._closes:
            raise Closed(self._data)
        said, self._data = self._data, b""
        return said


class Cut:
    """A server of which the first so many bytes arrive; then the connection ends."""

    def __init__(self, server: Speaker, left: int) -> None:
        self._server = server
        self._left = left

    def hear(self, data: bytes) -> bytes:
        """As far as it arrives."""
        try:
            said = self._server.hear(data)
        except Closed as closed:
            raise Closed(closed.last[: self._left]) from closed
        if len(said) >= self._left:
            raise Closed(said[: self._left])
        self._left -= len(said)
        return said


class Altered:
    """A server of which one byte arrives changed."""

    def __init__(self, server: Speaker, at: int, by: int) -> None:
        self._server = server
        self._at = at
        self._by = by

    def hear(self, data: bytes) -> bytes:
        """What it says, but for that."""
        try:
            return self._alter(self._server.hear(data))
        except Closed as closed:
            raise Closed(self._alter(closed.last)) from closed

    def _alter(self, data: bytes) -> bytes:
        at, self._at = self._at, self._at - len(data)
        return data[:at] + bytes([data[at] ^ self._by]) + data[at + 1 :] if 0 <= at < len(data) else data


def talk_with(dialogue: Dialogue[T], server: Speaker, end: End = End.EOF) -> T:
    """What a dialogue comes to; `end` is how the wire ends when the server closes."""
    pieces: list[bytes] = []
    closed = False
    while True:
        match dialogue.next_action():
            case Send(data):
                if data and not closed:
                    try:
                        pieces.append(server.hear(data))
                    except Closed as last:
                        pieces.append(last.last)
                        closed = True
            case NeedData():
                while pieces and not pieces[0]:
                    del pieces[0]
                if not pieces:
                    return dialogue.end(end if closed else End.TIMEOUT)
                dialogue.receive_data(pieces.pop(0))
            case Done(value):
                return value


async def asked(
    probe: str | Iterable[str],
    begin: Callable[[], Speaker],
    service: str = "https",
    versions: tuple[Version, ...] = VERSIONS,
    besides: Callable[[], Speaker] | None = None,
) -> dict[str, Any]:
    """The record. Each connection meets a server of its own; those of the probes one of `besides`, if it is given."""
    probes = (probe,) if isinstance(probe, str) else tuple(probe)
    endpoint = endpoint_of(SERVICES[service])
    interview, kept = Interview(endpoint, Wanted(versions, probes=probes)), list[Speaker]()
    questions: list[Question] = interview.begin()
    while questions:
        question = questions.pop(0)
        if isinstance(question, Negotiate):  # what more is asked on that connection stands in no transcript here
            question = Negotiate(inquiring=False)
        answer = Answer(question, trio.current_time())
        interview.connections += 1
        chosen = besides if besides and answer.question.aside else begin

        def turns(chosen: Callable[[], Speaker] = chosen) -> Iterable[Turn]:
            kept.append(chosen())  # a session is gone with the server that made it
            return _turns(service, kept[-1])

        network = Network({ADDRESS: [Peer(Behaviour(turns))]})
        await Connection(endpoint, answer, TIMEOUTS, NAMES.ours).ask(network.dial)
        questions += interview.take(answer)
    return as_written(Recorder("0" * 26).endpoint(interview, conclude(interview), trio.current_time()))


def _turns(service: str, server: Speaker) -> list[Turn]:
    found = SERVICES[service]
    if found.mode is Mode.IMPLICIT:
        return [Turn(0, server)]
    assert found.protocol in SPOKEN
    upgraded = Upgraded(found.protocol, cast(TlsServer, server))  # or whatever else hears, where TLS is bare
    return [*said_by(honest(found.protocol)), Turn(0, upgraded)]


def known(*versions: Version, service: str = "https") -> Known:
    """What an interview found out before a probe: these versions."""
    return Known(SERVICES[service], "mx.example.test", versions, {}, None)


def hello(version: Version, extensions: dict[int, bytes] | None = None, compression: int = 0) -> HelloAnswer:
    """The answer to an offer: a ServerHello with these extensions."""
    read = ServerHello(version.code, 0x2F, None, False, frozenset(), version.code, compression, extensions or {})
    return HelloAnswer(Evidence.SERVER_HELLO, version.code, 0x2F, server_hello=read)


def alerted(number: int) -> HelloAnswer:
    """The answer to an offer: an alert."""
    return HelloAnswer(Evidence.ALERT, alert=number)


def came(talks: Iterable[Talk], *found: object) -> list[Talked]:
    """What came of these talks."""
    return [Talked(talk, each, None) for talk, each in zip(talks, found, strict=True)]
