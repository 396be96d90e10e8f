"""One question, asked on a connection of its own: opens a wire, drives dialogues over it, and closes it politely.

Every wait has the timeout of its stage, and the whole connection has one deadline, so that a server that sends a byte a
second ends too.
"""

import contextlib
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from functools import cache
from typing import TypeVar

from OpenSSL import SSL

from scanner.dialogue import Dialogue, Done, End, LimitExceeded, NeedData, Send, Violation, WireEnded
from scanner.hint import may_be
from scanner.outcome import Stage, Verdict
from scanner.question import Answer, Beside, InjectCommand, Knock, Negotiate, OfferVersion, ReadFirstFlight
from scanner.starttls import SPOKEN, InjectionTest
from scanner.starttls.result import Names, StartTls
from scanner.starttls.words import busy_verdict
from scanner.tls.dialogue import TlsDialogue
from scanner.tls.exchange import Evidence, HelloAnswer, exchange
from scanner.tls.first_flight import FirstFlightExchange
from scanner.tls.flight import ClientCertificate
from scanner.tls.handshake import Handshake, HandshakeDialogue, outgoing, refused_by
from scanner.tls.hello import Shape
from scanner.tls.names import Version
from scanner.tls.shake import ShakeDialogue
from scanner.tls.talk import Whom
from scanner.tls.wire import CLOSE_NOTIFY, ContentType, record
from scanner.vigil import Vigil
from scanner.wire_text import printable
from scanner.wires import ConnectFailed, EncryptedWire, FramedWire, Patience, Wire
from targets import services
from targets.services import Mode
from targets.target import Endpoint

T = TypeVar("T")

REFUSAL_WAIT_S = 2  # for what a server that has asked for a certificate says when it got none
# What is offered by ALPN in implicit mode: PostgreSQL 17 takes no TLS without its name ("SSL Session Encryption").
ALPN: dict[services.Protocol, tuple[bytes, ...]] = {
    services.Protocol.HTTP: (b"h2", b"http/1.1"),
    services.Protocol.POSTGRESQL: (b"postgresql",),
}


@dataclass(frozen=True, slots=True)
class Timeouts:
    """How long one wait may last, by stage, and how long a connection from its first SYN to its close; seconds."""

    connect_s: float = 10
    greeting_s: float = 40  # many servers hold the greeting back for 5 to 30 s, to find out who cannot wait
    reply_s: float = 30
    tls_s: float = 15
    deadline_s: float = 120

    def of(self, stage: Stage) -> float:
        """The timeout of a wait at this stage."""
        match stage:
            case Stage.CONNECT:
                return self.connect_s
            case Stage.GREETING:
                return self.greeting_s
            case Stage.TLS:
                return self.tls_s
            case Stage.CAPABILITIES | Stage.REPLY | Stage.INSIDE:
                return self.reply_s


# After these, whoever is there does not know our words, or does not end its own.
_NO_FAREWELL = (Verdict.PROTOCOL_MISMATCH, Verdict.LIMIT_EXCEEDED)

Dial = Callable[[str, int, float, Patience], Awaitable[Wire]]
OnStage = Callable[[Stage], None]


async def drive(dialogue: Dialogue[T], wire: Wire, timeouts: Timeouts, leave: OnStage = lambda _: None) -> T:
    """The one pump: does what the dialogue says until it is done, or the wire is. `leave` hears of stages passed.

    When a send fails, what the server had already said is still read: it may say why.
    """
    broken: End | None = None
    stage, timeout_s = dialogue.stage, timeouts.of(dialogue.stage)
    while True:
        action = dialogue.next_action()
        if dialogue.stage is not stage:
            leave(stage)
            stage, timeout_s = dialogue.stage, timeouts.of(dialogue.stage)
        try:
            match action:
                case Send(data):
                    if data and not broken:
                        await wire.send(data, timeout_s)
                case NeedData():
                    if not (received := await wire.receive(timeout_s)):
                        return dialogue.end(broken or End.EOF)
                    dialogue.receive_data(received)
                case Done(value):
                    return value
        except WireEnded as ended:
            if isinstance(action, NeedData):
                return dialogue.end(broken or ended.end)
            broken = ended.end
        except (Violation, LimitExceeded) as stop:  # of a wire that reads what passes
            return dialogue.break_off(stop)


class Connection:
    """One question, asked on a connection of its own."""

    def __init__(
        self,
        endpoint: Endpoint,
        answer: Answer,
        timeouts: Timeouts,
        hello_name: str | None,
        vigil: Vigil | None = None,
    ) -> None:
        """To be asked at once: its time begins now.

        `vigil`: one that is kept for the timeouts of many connections. Without it, each wait has its own scope.
        """
        self._endpoint = endpoint
        self._answer = answer
        self._timeouts = timeouts
        self._hello_name = hello_name
        self._patience = Patience(timeouts.deadline_s, vigil or Vigil())

    async def ask(self, dial: Dial) -> None:
        """Open, ask, close; the answer is filled in on the way."""
        address, port, timeout_s = self._endpoint.address, self._endpoint.port, self._timeouts.connect_s
        try:
            wire = await dial(address, port, timeout_s, self._patience)
        except ConnectFailed as failed:
            self._answer.failure = failed.outcome
            return
        try:
            self._mark("connect")
            await self._talk(wire)
        finally:
            wire.close()

    async def _talk(self, wire: Wire) -> None:
        service = self._endpoint.service
        upgraded = service.mode is Mode.STARTTLS and not isinstance(self._answer.question, Knock)
        if upgraded and not await self._upgrade(wire):
            return
        outer = wire  # for the handshake; behind it, TLS is bare
        if upgraded and (framing := SPOKEN[service.protocol].framing):
            outer = FramedWire(wire, framing())
        match self._answer.question:
            case OfferVersion(version, shape):
                alpn = self._alpn(shape)
                hello = exchange(
                    version, self._endpoint.host, os.urandom(96), after_upgrade=upgraded, shape=shape, alpn=alpn
                )
                self._answer.hello = await self._speak_tls(hello, outer)
                self._mark("hello")
                if self._answer.hello.is_hello and self._answer.hello.evidence is not Evidence.SSLV2_SERVER_HELLO:
                    await self._say(outer, _goodbye(version.code))
            case Knock():
                self._answer.hello = await self._say_hello(wire)
            case Negotiate(newest=newest, shape=shape):
                await self._negotiate(wire, outer, upgraded, newest, shape)
            case InjectCommand():
                await self._negotiate(wire, outer, upgraded)
            case ReadFirstFlight(version, shape):
                await self._read_first_flight(outer, upgraded, version, shape)
            case Beside(talk=talk):
                dialogue = talk.begin(Whom(self._endpoint.host, upgraded))
                if isinstance(outer, FramedWire) and isinstance(dialogue, ShakeDialogue):
                    outer.is_bare = dialogue.is_complete
                found = await self._speak_tls(dialogue, outer)
                self._answer.found, self._answer.end = found, dialogue.ended
                if isinstance(found, HelloAnswer) and found.server_hello is not None:
                    await self._say(outer, _goodbye(found.server_hello.version))

    async def _read_first_flight(self, outer: Wire, upgraded: bool, version: Version, shape: Shape) -> None:
        dialogue = FirstFlightExchange(
            version, self._name(shape), os.urandom(96), after_upgrade=upgraded, shape=shape, alpn=self._alpn(shape)
        )
        await self._speak_tls(dialogue, outer)
        self._answer.first_flight = dialogue.seen
        if dialogue.seen:
            await self._say(outer, _goodbye(version.code))

    async def _upgrade(self, wire: Wire) -> bool:
        """The dialogue in plaintext. True when a ClientHello may follow."""
        spoken = SPOKEN[self._endpoint.service.protocol]
        dialogue = spoken.upgrade(self._names(wire))
        dialogue.inquiring = isinstance(self._answer.question, Negotiate) and self._answer.question.inquiring
        if self._injection:
            dialogue.injected = self._injection.injected
        result = await drive(dialogue, wire, self._timeouts, self._left)
        if result.verdict is Verdict.TIMEOUT and result.stage is Stage.GREETING and not result.text:
            result = await self._knock(wire, result)
        if hint := dialogue.misheard():
            text = printable((result.code or "").encode() + dialogue.trailing_data)
            result = StartTls(Verdict.PROTOCOL_MISMATCH, result.stage, hint=hint, text=text)
        self._answer.starttls = result
        if result.go_ahead:
            self._mark("upgrade")
            self._answer.early = dialogue.trailing_data
        elif result.cause is None and result.verdict not in _NO_FAREWELL:  # it answered; a goodbye is in place
            await self._say(wire, spoken.farewell)
        return result.go_ahead

    async def _knock(self, wire: Wire, silence: StartTls) -> StartTls:
        """A server that does not greet may wait for a ClientHello: as it is given up anyway, it gets one.

        A greeting of its own protocol that comes only now is as late as it was; unless it says that it is busy.
        """
        heard = await self._say_hello(wire)
        if (hint := heard.protocol) and not may_be(self._endpoint.service.protocol, hint):
            return replace(silence, verdict=Verdict.PROTOCOL_MISMATCH, cause=None, hint=hint, text=heard.text)
        if busy := busy_verdict(heard.text):
            return replace(silence, verdict=busy, cause=None, text=heard.text)
        return silence

    async def _say_hello(self, wire: Wire) -> HelloAnswer:
        """A ClientHello where nobody has agreed to TLS."""
        hello = exchange(Version.TLS1_2, self._endpoint.host, os.urandom(96), after_upgrade=False)
        return await drive(hello, wire, self._timeouts)

    async def _speak_tls(self, dialogue: TlsDialogue[T], wire: Wire) -> T:
        """Drive it. What stood in front of TLS is kept."""
        value = await drive(dialogue, wire, self._timeouts)
        if isinstance(wire, FramedWire):
            self._answer.early += wire.early
        self._answer.early += dialogue.early
        return value

    async def _negotiate(
        self, wire: Wire, outer: Wire, upgraded: bool, newest: Version | None = None, shape: Shape = Shape.PLAIN
    ) -> None:
        service = self._endpoint.service
        alpn = self._alpn(shape) or (() if upgraded else ALPN.get(service.protocol, ()))
        dialogue = HandshakeDialogue(self._name(shape), after_upgrade=upgraded, alpn=alpn, newest=newest)
        self._answer.handshake = await self._speak_tls(dialogue, outer)
        self._mark("handshake")
        if self._answer.handshake.failure is not None:
            return
        inside = EncryptedWire(wire, dialogue.tls)
        await self._await_refusal(inside, self._answer.handshake)
        if not inside.alert:
            await self._speak_inside(inside, upgraded)
        if inside.alert:
            self._tell_of(inside.alert, alone=inside.is_alert_alone)
        with contextlib.suppress(SSL.Error):  # what broke inside is closed already
            dialogue.tls.shutdown()
        await self._say(wire, outgoing(dialogue.tls))

    async def _speak_inside(self, inside: EncryptedWire, upgraded: bool) -> None:
        """What is to be said behind a handshake."""
        service, names = self._endpoint.service, self._names(inside)
        if self._injection:
            self._answer.injection = await drive(self._injection.proof(names), inside, self._timeouts)
        elif (spoken := SPOKEN.get(service.protocol)) and spoken.within:
            within = spoken.within(names, not upgraded)
            self._answer.inside = await drive(within, inside, self._timeouts)
            if self._answer.inside.stopped is None:
                await self._say(inside, spoken.farewell)

    def _tell_of(self, alert: str, *, alone: bool) -> None:
        """The alert that ended the talk inside, which that took for a reset. `alone`: nothing had come before it.

        In TLS 1.3 such a one tells of the handshake: to the server, it was not over, or no good.
        """
        answer = self._answer
        if answer.handshake and answer.handshake.version is Version.TLS1_3 and alone:
            answer.handshake = refused_by(answer.handshake, alert)
            answer.inside = answer.injection = None
        elif answer.inside and answer.inside.stopped is Verdict.RESET:
            answer.inside = replace(answer.inside, stopped=Verdict.CLOSED, alert=alert)
        elif answer.injection and answer.injection.verdict is Verdict.RESET:
            answer.injection = replace(answer.injection, verdict=Verdict.CLOSED, cause="alert", alert=alert)

    def _name(self, shape: Shape) -> str | None:
        """What to send as SNI."""
        return None if shape is Shape.NO_NAME else self._endpoint.host

    async def _await_refusal(self, inside: EncryptedWire, handshake: Handshake) -> None:
        """Of a server that asked for a certificate, and got none. Before TLS 1.3 it comes in the handshake."""
        asked = handshake.client_certificate is ClientCertificate.REQUESTED and handshake.version is Version.TLS1_3
        if asked and isinstance(self._answer.question, Negotiate):
            await inside.await_alert(min(REFUSAL_WAIT_S, self._timeouts.tls_s))

    def _alpn(self, shape: Shape) -> tuple[bytes, ...]:
        """What to offer where nothing is to be had without ALPN; HTTP's names where the protocol has none for us."""
        usual = ALPN[services.Protocol.HTTP]
        return ALPN.get(self._endpoint.service.protocol, usual) if shape is Shape.ALPN else ()

    @property
    def _injection(self) -> InjectionTest | None:
        """The test for command injection, where it is asked for."""
        if not isinstance(self._answer.question, InjectCommand):
            return None
        return SPOKEN[self._endpoint.service.protocol].injection

    async def _say(self, wire: Wire, data: bytes) -> None:
        """A last word. Nobody needs to hear it."""
        with contextlib.suppress(WireEnded):
            await wire.send(data, 1.0)

    def _names(self, wire: Wire) -> Names:
        """Us by the name given, else by the address literal (RFC 5321 §4.1.3); them by their host, else address."""
        ours = self._hello_name or _literal(wire.local_address)
        return Names(ours, self._endpoint.host or self._endpoint.address)

    def _left(self, stage: Stage) -> None:
        if stage is Stage.GREETING:
            self._mark("greeting")

    def _mark(self, step: str) -> None:
        self._answer.timings_ms[step] = round(self._patience.watch.lap() * 1000)


@cache  # versions are few: two bytes
def _goodbye(version: int) -> bytes:
    """A close_notify."""
    return record(ContentType.ALERT, min(version, 0x0303), CLOSE_NOTIFY)


def _literal(address: str) -> str:
    return f"[IPv6:{address}]" if ":" in address else f"[{address}]"
