"""What bytes go over: a socket, the packets of another protocol, the inside of TLS. A scan opens its sockets here.

Errors of the operating system are turned into outcomes here and nowhere else; FIN, RST and silence stay three things.

A non-blocking socket with `trio.lowlevel.wait_readable` costs three quarters of what `trio.socket` does, and half of
what `trio.open_tcp_stream` does, per connection; a vigil in place of cancel scopes saves a tenth more.
"""

import errno
import os
import socket
import struct
from collections.abc import Awaitable, Callable
from typing import Protocol

import trio
from OpenSSL import SSL

from scanner.dialogue import End, WireEnded
from scanner.outcome import Outcome, Stage, Verdict
from scanner.starttls.mssql import Framing
from scanner.stopwatch import Stopwatch
from scanner.tls.handshake import alert_inside, outgoing
from scanner.tls.wire import HEADER_BYTES
from scanner.vigil import Ready, Vigil, Waited

RECEIVE_BYTES = 16_384
MAX_RECEIVES = 8_192  # on one connection: bytes that come one by one cost 17 µs each in a handshake
MAX_ENCRYPTED_BYTES = 524_288  # on one connection, after the handshake
# The clock by which Linux tells when bytes came goes by ticks of so many milliseconds; `tcp_info` of its <linux/tcp.h>:
# tcpi_last_data_recv, tcpi_rtt, tcpi_total_retrans.
KERNEL_TICK_MS = 4
_TCP_INFO = struct.Struct("=52xI12xI28xI")


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
