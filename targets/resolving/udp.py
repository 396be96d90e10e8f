"""Questions to one name server over UDP: a few sockets that many questions share.

A socket is connected, so that the kernel drops what comes from elsewhere and tells of a port where nobody listens;
what it lets pass counts only with the id and the question of somebody who waits (RFC 5452 §9.1), and all else is
dropped while the waiting goes on, until its deadline.

There is no task for the reading. Of those who wait on a socket, one reads for all, and when it leaves, with its answer
or without, another takes its place. A socket lives as long as somebody waits on it, and takes QUESTIONS at most while
another may be opened; so nothing has to be closed at the end, and ports change.

**Against spoofing** (RFC 5452): the port is the kernel's choice among some 28,000, the id is random, and one question
is never under way twice (Resolver), so one forged datagram hits a question with the chance that it would have if the
question had a socket of its own: about 1 in 1.8 billion. What sharing gives away is that somebody who finds out a port
otherwise has the other questions on it, and only their ids, for as long as it lives: seconds. With a resolver on this
machine there is no path to spoof on; for one far away, a validating resolver here is the remedy.
"""

import os
import socket
from ipaddress import ip_address

import trio

from targets.resolving.question import Question
from targets.resolving.reply import MalformedError, Reply, is_reply_to, read_reply
from targets.target import Address

SOCKETS = 8  # open at once, of one server
QUESTIONS = 64  # of one socket in its life
MAX_BYTES = 4_096  # of a datagram; EDNS offers less
AT_ONCE = 64  # datagrams that one reading takes, before others run
BUSY_S = 0.01


class Datagrams:
    """The sockets to one server."""

    def __init__(self, address: Address, port: int) -> None:
        self._address = address
        self._peer = (str(address), port)
        self._family = socket.AF_INET6 if address.version == 6 else socket.AF_INET
        self._open: list[_Port] = []
        self.is_own = True if address.is_loopback else None  # is it of this machine? None: there was no socket yet

    async def exchange(self, question: Question, deadline: float, *, edns: bool, checking_disabled: bool) -> Reply:
        """The first reply that can be read, until this moment of trio's clock.

        Raises OSError where the socket cannot be had or nobody listens at its other end, and when the time is over
        MalformedError, if something came, or trio.TooSlowError.
        """
        port = self._port()
        try:
            return await port.exchange(_Waiting(question, deadline), edns=edns, checking_disabled=checking_disabled)
        finally:
            if port.is_idle:
                self._open.remove(port)
                port.close()

    def _port(self) -> "_Port":
        newest = self._open[-1] if self._open else None
        if newest is None or (newest.questions >= QUESTIONS and len(self._open) < SOCKETS):
            newest = _Port(self._connected())
            self._open.append(newest)
        return newest

    def _connected(self) -> socket.socket:
        sock = socket.socket(self._family, socket.SOCK_DGRAM)
        try:
            sock.setblocking(False)
            sock.connect(self._peer)
            if self.is_own is None:
                self.is_own = ip_address(sock.getsockname()[0]) == self._address
        except BaseException:
            sock.close()
            raise
        return sock


class _Waiting:
    """Somebody who waits for the reply to a question."""

    __slots__ = ("deadline", "malformed", "outcome", "question", "task")

    def __init__(self, question: Question, deadline: float) -> None:
        self.question = question
        self.deadline = deadline
        self.outcome: Reply | Exception | None = None
        self.malformed: MalformedError | None = None
        self.task: trio.lowlevel.Task | None = None

    async def sleep(self) -> None:
        """Until there is an outcome, or somebody has to read."""
        self.task = trio.lowlevel.current_task()
        await trio.lowlevel.wait_task_rescheduled(self._abort)

    def wake(self, outcome: Reply | Exception | None = None) -> None:
        """Go on: with this, or to read."""
        self.outcome = outcome
        if self.task is not None:
            task, self.task = self.task, None
            trio.lowlevel.reschedule(task)

    def _abort(self, _: object) -> trio.lowlevel.Abort:
        self.task = None
        return trio.lowlevel.Abort.SUCCEEDED


class _Port:
    """One socket, and who waits for what comes in on it, by id.

    Where somebody waits, one of them reads, or has been woken to do so. Only the reader has a timer, for the first
    deadline of all: a timer for each question would be a tenth of what it costs.
    """

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._waiting: dict[int, _Waiting] = {}
        self._reading: trio.CancelScope | None = None
        self._users = 0
        self.questions = 0

    @property
    def is_idle(self) -> bool:
        return not self._users

    def close(self) -> None:
        self._socket.close()

    async def exchange(self, waiting: _Waiting, *, edns: bool, checking_disabled: bool) -> Reply:
        number = self._free_number()
        self._waiting[number] = waiting
        self._users += 1
        self.questions += 1
        try:
            await self._send(waiting, waiting.question.query(number, edns=edns, checking_disabled=checking_disabled))
            while waiting.outcome is None:
                if self._reading is None:
                    await self._read()
                else:
                    if waiting.deadline < self._reading.deadline:
                        self._reading.deadline = waiting.deadline
                    await waiting.sleep()
        finally:
            self._users -= 1
            if self._waiting.get(number) is waiting:
                del self._waiting[number]
            self._hand_over()
        if isinstance(waiting.outcome, Reply):
            return waiting.outcome
        raise waiting.outcome

    def _free_number(self) -> int:
        while (number := int.from_bytes(os.urandom(2), "big")) in self._waiting:
            pass
        return number

    async def _send(self, waiting: _Waiting, query: bytes) -> None:
        while waiting.outcome is None:
            try:
                self._socket.send(query)
                return
            except BlockingIOError:
                await trio.sleep(BUSY_S)
                self._expire()
            except ConnectionRefusedError as error:  # of a question before this one: the kernel tells it once
                self._fail(error)

    async def _read(self) -> None:
        """Wait for what comes, until the first deadline, and take it."""
        self._reading = trio.CancelScope(deadline=min(each.deadline for each in self._waiting.values()))
        try:
            with self._reading as reading:
                await trio.lowlevel.wait_readable(self._socket)
        finally:
            self._reading = None
        if reading.cancelled_caught:
            self._expire()
            return
        try:
            for _ in range(AT_ONCE):
                self._take(self._socket.recv(MAX_BYTES))
        except BlockingIOError:
            pass
        except OSError as error:  # ICMP: nobody listens, or there is no way
            self._fail(error)

    def _take(self, wire: bytes) -> None:
        number = int.from_bytes(wire[:2], "big")
        waiting = self._waiting.get(number)
        if waiting is None or not is_reply_to(wire, waiting.question):
            return
        try:
            reply = read_reply(wire, waiting.question)
        except MalformedError as error:
            waiting.malformed = error
            return
        del self._waiting[number]
        waiting.wake(reply)

    def _expire(self) -> None:
        now = trio.current_time()
        for number, waiting in list(self._waiting.items()):
            if waiting.deadline <= now:
                del self._waiting[number]
                waiting.wake(waiting.malformed or trio.TooSlowError())

    def _fail(self, error: OSError) -> None:
        for waiting in self._waiting.values():
            waiting.wake(error)
        self._waiting.clear()
        if self._reading is not None:
            self._reading.cancel()  # who reads is among them

    def _hand_over(self) -> None:
        """Whoever leaves lets another read: the one that has waited longest."""
        if self._reading is None and self._waiting:
            next(iter(self._waiting.values())).wake()
