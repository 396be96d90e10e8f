"""The only room with sockets: opens a connection, drives dialogues over it, and closes it politely.

Errors of the operating system and of trio are turned into outcomes here and nowhere else; FIN, RST and silence stay
three things. Every wait has the timeout of its stage, and the whole connection has one deadline, so that a server
that sends a byte a second ends too.

A non-blocking socket with `trio.lowlevel.wait_readable` costs three quarters of what `trio.socket` does, and half of
what `trio.open_tcp_stream` does, per connection; a vigil in place of cancel scopes saves a tenth more.
"""

import contextlib
import errno
import os
import socket
import struct
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from functools import cache
from typing import Protocol, TypeVar

import trio
from OpenSSL import SSL

from scanner.dialogue import Dialogue, Done, End, LimitExceeded, NeedData, Send, Violation, WireEnded
from scanner.hint import may_be
from scanner.outcome import Outcome, Stage, Verdict
from scanner.question import Answer, Beside, InjectCommand, Knock, Negotiate, OfferVersion, ReadFirstFlight
from scanner.starttls import SPOKEN, InjectionTest
from scanner.starttls.mssql import Framing
from scanner.starttls.result import Names, StartTls
from scanner.starttls.words import busy_verdict
from scanner.stopwatch import Stopwatch
from scanner.tls.dialogue import TlsDialogue
from scanner.tls.exchange import Evidence, HelloAnswer, exchange
from scanner.tls.first_flight import FirstFlightExchange
from scanner.tls.flight import ClientCertificate
from scanner.tls.handshake import Handshake, HandshakeDialogue, alert_inside, outgoing, refused_by
from scanner.tls.hello import Shape
from scanner.tls.names import Version
from scanner.tls.shake import ShakeDialogue
from scanner.tls.talk import Whom
from scanner.tls.wire import CLOSE_NOTIFY, HEADER_BYTES, ContentType, record
from scanner.vigil import Ready, Vigil, Waited
from scanner.wire_text import printable
from targets import services
from targets.services import Mode
from targets.target import Endpoint

T = TypeVar("T")

RECEIVE_BYTES = 16_384
MAX_RECEIVES = 8_192  # on one connection: bytes that come one by one cost 17 µs each in a handshake
MAX_ENCRYPTED_BYTES = 524_288  # on one connection, after the handshake
# The clock by which Linux tells when bytes came goes by ticks of so many milliseconds; `tcp_info` of its <linux/tcp.h>:
# tcpi_last_data_recv, tcpi_rtt, tcpi_total_retrans.
KERNEL_TICK_MS = 4
_TCP_INFO = struct.Struct("=52xI12xI28xI")
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


class Wire(Protocol):
    """Bytes in, bytes out. Both raise WireEnded for a reset and for silence; FIN is an empty `receive`."""

    @property
    def local_address(self) -> str:
        """Our own address on this connection."""

    async def send(self, data: bytes, timeout_s: float) -> None:
        """Send all of it."""

    async def receive(self, timeout_s: float) -> bytes:
        """What comes next; b"" after FIN."""

    def close(self) -> None:
        """Let go of it at once."""


class ConnectFailed(Exception):  # noqa: N818
    """There is no connection; `outcome` says why."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome)
        self.outcome = outcome


class Patience:
    """The time of one connection: how long all of it may take, and how long its peer has taken."""

    __slots__ = ("_vigil", "begun", "deadline", "watch")

    def __init__(self, deadline_s: float, vigil: Vigil) -> None:
        self.begun = trio.current_time()
        self.deadline = self.begun + deadline_s
        self.watch = Stopwatch(self.begun)
        self._vigil = vigil

    def wait(self, ready: Ready, on: socket.socket, timeout_s: float) -> Awaitable[Waited]:
        """Until it is ready, for so many seconds, up to the deadline."""
        return self._vigil.wait(ready, on, timeout_s, self.deadline)


class SocketWire:
    """A TCP connection."""

    def __init__(self, connected: socket.socket, patience: Patience) -> None:
        self._socket = connected
        self._patience = patience
        self._heard = False  # has anything come since we last spoke?
        self._received = 0  # how often something came

    @property
    def local_address(self) -> str:
        """Our own address on this connection."""
        return str(self._socket.getsockname()[0])

    async def send(self, data: bytes, timeout_s: float) -> None:
        """Send all of it; waits only when the peer does not take it."""
        self._heard = False
        self._patience.watch.asked(trio.current_time())
        while data:
            try:
                data = data[self._socket.send(data) :]
            except BlockingIOError:
                await self._wait(trio.lowlevel.wait_writable, timeout_s)
            except OSError as error:
                raise WireEnded(_end_of(error)) from error

    async def receive(self, timeout_s: float) -> bytes:
        """What comes next; b"" after FIN."""
        while True:
            await self._wait(trio.lowlevel.wait_readable, timeout_s)
            try:
                data = self._socket.recv(RECEIVE_BYTES)
            except BlockingIOError:
                continue
            except OSError as error:
                self._patience.watch.heard(trio.current_time())
                raise WireEnded(_end_of(error)) from error
            self._patience.watch.heard(trio.current_time() - (_late_s(self._socket) if data else 0))
            self._heard = True
            self._received += 1
            if self._received > MAX_RECEIVES:
                raise WireEnded(End.CAP)
            return data

    async def _wait(self, ready: Ready, timeout_s: float) -> None:
        waited = await self._patience.wait(ready, self._socket, timeout_s)
        if waited is not Waited.READY:
            self._patience.watch.heard(trio.current_time())  # for so long it was silent
            tarpit = self._heard and waited is Waited.DEADLINE
            raise WireEnded(End.DEADLINE if tarpit else End.TIMEOUT)

    def close(self) -> None:
        """Let go of it at once."""
        self._socket.close()


class FramedWire:
    """A wire whose bytes go in another protocol's packets. Raises what breaks those, once all before it is read."""

    def __init__(self, wire: Wire, framing: Framing) -> None:
        self._wire = wire
        self._framing = framing
        self.is_bare: Callable[[], bool] = lambda: False  # has what goes in packets come to its end?

    @property
    def early(self) -> bytes:
        """What stood in front of the first packet."""
        return self._framing.early

    @property
    def local_address(self) -> str:
        """Our own address on this connection."""
        return self._wire.local_address

    async def send(self, data: bytes, timeout_s: float) -> None:
        """Send all of it, wrapped."""
        await self._wire.send(data if self.is_bare() else self._framing.wrap(data), timeout_s)

    async def receive(self, timeout_s: float) -> bytes:
        """What comes next, unwrapped; b"" after FIN."""
        if self.is_bare():
            return await self._wire.receive(timeout_s)
        while self._framing.stopped is None:
            try:
                data = await self._wire.receive(timeout_s)
            except WireEnded as ended:
                if foreign := self._framing.end():
                    raise foreign from ended
                raise
            if payload := self._framing.feed(data):
                return payload
            if not data:
                if foreign := self._framing.end():
                    raise foreign
                return b""
        raise self._framing.stopped

    def close(self) -> None:
        """Let go of it at once."""
        self._wire.close()


class EncryptedWire:
    """The inside of a TLS connection, with the same two methods."""

    def __init__(self, wire: Wire, tls: SSL.Connection) -> None:
        self._wire = wire
        self._tls = tls
        self._budget = MAX_ENCRYPTED_BYTES
        self._end: End | None = None  # how the wire ended, where nobody has been told
        self._header, self._taken = b"", 0  # of the first record; how many bytes of records there were
        self._heard = False  # was something said?
        self.alert: str | None = None  # the one that ended it

    @property
    def local_address(self) -> str:
        """Our own address on this connection."""
        return self._wire.local_address

    async def send(self, data: bytes, timeout_s: float) -> None:
        """Send all of it, encrypted."""
        try:
            while data:
                data = data[self._tls.send(data) :]
        except SSL.Error as error:
            raise WireEnded(End.RESET) from error
        await self._wire.send(outgoing(self._tls), timeout_s)

    async def receive(self, timeout_s: float) -> bytes:
        """What comes next, decrypted; b"" after close_notify or FIN."""
        if self._end:
            raise WireEnded(self._end)
        while True:
            try:
                data = self._tls.recv(RECEIVE_BYTES)
                self._heard = True
                return data
            except SSL.WantReadError:
                pass
            except SSL.ZeroReturnError:
                return b""
            except SSL.Error as error:
                self.alert = alert_inside(error)
                raise WireEnded(End.RESET) from error
            if not (data := await self._wire.receive(timeout_s)):
                return b""
            self._budget -= len(data)
            if self._budget < 0:  # tickets, key updates, empty records: what a dialogue does not see has a cap too
                raise WireEnded(End.CAP)
            self._take(data)

    @property
    def is_alert_alone(self) -> bool:
        """Was an alert all that came? In TLS 1.3 a server sends tickets once the handshake is over to it, if any.

        What it says may have come in the same segment as the end of its handshake, and so before what is taken here.
        """
        return self.alert is not None and self._taken == self._first_bytes and not self._heard

    @property
    def _first_bytes(self) -> int:
        """The length of the first record, as far as it is known."""
        return HEADER_BYTES + int.from_bytes(self._header[3:], "big")

    def _take(self, data: bytes) -> None:
        self._header = (self._header + data[:HEADER_BYTES])[:HEADER_BYTES]
        self._taken += len(data)
        self._tls.bio_write(data)

    async def await_alert(self, timeout_s: float) -> None:
        """Is the first record inside TLS an alert? Then it is in `alert`.

        In TLS 1.3 the client is done before the server has seen, say, that there is no certificate. Whatever else it
        says, and silence, is left for `receive`.
        """
        until = trio.current_time() + timeout_s
        while self._taken < self._first_bytes:
            try:
                if not (data := await self._wire.receive(until - trio.current_time())):
                    return
            except WireEnded as ended:
                self._end = ended.end if ended.end is End.RESET else None
                return
            self._take(data)
        try:
            self._tls.recv(1, socket.MSG_PEEK)
        except (SSL.WantReadError, SSL.ZeroReturnError):
            return
        except SSL.Error as error:
            self._end = End.RESET
            self.alert = alert_inside(error)

    def close(self) -> None:
        """Let go of it at once."""
        self._wire.close()


async def dial(address: str, port: int, timeout_s: float, patience: Patience) -> SocketWire:
    """Open a TCP connection. Raises ConnectFailed."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        opened = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    except OSError as error:
        raise ConnectFailed(outcome_of(error)) from error
    try:
        code = opened.connect_ex((address, port))
        if code == errno.EINPROGRESS:
            waited = await patience.wait(trio.lowlevel.wait_writable, opened, timeout_s)
            is_ready = waited is Waited.READY
            code = opened.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) if is_ready else errno.ETIMEDOUT
        if code:
            raise ConnectFailed(outcome_of(OSError(code, os.strerror(code))))
    except BaseException:
        opened.close()
        raise
    took_s = _connect_s(opened, trio.current_time() - patience.begun)
    patience.watch.heard(patience.begun + took_s)
    return SocketWire(opened, patience)


def _connect_s(connected: socket.socket, most_s: float) -> float:
    """How long the way to the peer and back took its SYN: the kernel knows, whoever looks after it, and when.

    It takes no such time of a SYN that was sent again; then, since when the connection has been there.
    """
    late_ms, rtt_us, sent_again = _tcp_info(connected)
    if rtt_us and not sent_again:
        return min(rtt_us / 1_000_000, most_s)
    return max(0.0, most_s - late_ms / 1000)


def _late_s(readable: socket.socket) -> float:
    """How long its last bytes have been here already, in seconds."""
    late_ms = _tcp_info(readable)[0]
    return late_ms / 1000 if late_ms > KERNEL_TICK_MS else 0.0


def _tcp_info(connected: socket.socket) -> tuple[int, int, int]:
    """Milliseconds since something came, microseconds of a round trip, segments sent again; 0 where nobody knows."""
    try:
        return _TCP_INFO.unpack(connected.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO.size))
    except (OSError, struct.error):  # reset; or no Linux
        return 0, 0, 0


_NOT_CONNECTED = {
    errno.ECONNREFUSED: "refused",
    errno.ECONNRESET: "refused",
    errno.ETIMEDOUT: "timeout",
    errno.ENETUNREACH: "no_route",
    errno.EHOSTUNREACH: "no_route",
    errno.EHOSTDOWN: "no_route",
    errno.EACCES: "prohibited",
    errno.EPERM: "prohibited",
}
_OUR_LIMITS = {
    errno.EMFILE: "no_descriptors",
    errno.ENFILE: "no_descriptors",
    errno.EADDRNOTAVAIL: "no_ports",
    errno.EAGAIN: "no_ports",
    errno.ENOBUFS: "no_memory",
    errno.ENOMEM: "no_memory",
    errno.EAFNOSUPPORT: "no_address_family",
}


def outcome_of(error: OSError) -> Outcome:
    """Why there is no connection, and whose fault that is."""
    if cause := _NOT_CONNECTED.get(error.errno or 0):
        return Outcome(Verdict.UNREACHABLE, Stage.CONNECT, cause)
    cause = _OUR_LIMITS.get(error.errno or 0, "os_error")
    return Outcome(Verdict.LOCAL_LIMITATION, Stage.CONNECT, cause, detail=error.strerror)


def _end_of(error: OSError) -> End:
    return End.TIMEOUT if error.errno == errno.ETIMEDOUT else End.RESET


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


def source_addresses() -> list[str]:
    """Our own addresses towards the Internet. Connecting a UDP socket sends no packet; it only asks for the route."""
    addresses = []
    for family, elsewhere in ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1")):
        try:
            with socket.socket(family, socket.SOCK_DGRAM) as probe:
                probe.connect((elsewhere, 9))
                addresses.append(str(probe.getsockname()[0]))
        except OSError:
            continue  # no route in this family
    return addresses
