"""Workers: processes with an engine each, among which a run deals its endpoints, and which may die.

    submit ──▶ hand of the worker that the network falls to ──▶ its pipe ──▶ worker
                 ▲  what it had in hand, when it dies                           │ records, tallies
                 └────────────── another takes its place ◀── half a line, EOF ──┴──▶ the run

Each worker has its own hand (`dealing.py`), pipes and tasks, so that none waits for another. A worker that says nothing
for a minute hangs, and is killed. Where none can be started, again and again, the run stops.
"""

import signal
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from math import inf
from typing import Any

import orjson
import structlog
import trio

from scanner.children import Child, Start, start_process
from scanner.conclusion import conclude
from scanner.crew import Closely
from scanner.dealing import MOST_DEATHS, Hand
from scanner.engine import GRACE_S, OnOver, wall_clock
from scanner.errand import ABORT, END, STATE, STOP, Errand, endpoint_line, errand_line, read_report, tlsa_line
from scanner.interview import Interview
from scanner.outcome import Stage
from scanner.pace import Learnt
from scanner.pipe import Outbox, PipeClosed, lines_of
from scanner.record import Record
from scanner.scribe import TlsaOf
from scanner.standing import Standing
from scanner.traffic import CUT_OFF
from targets.prefixes import worker_of
from targets.target import Endpoint

GATHER_S = 0.02
SILENCE_S = 60.0  # a worker speaks four times a second
SECOND_HEARING_S = 1.0  # what came while we were stopped ourselves is read first
LATE_S = 1.0  # after the grace of a stop, for what a worker has still to say
LAST_WORDS_S = 0.7  # after an abort
MOST_FAILURES = 3  # of starts, one after the other
PAUSE_S = 0.5  # and between them
MOST_FRUITLESS = 20  # lives without a record, one after the other; to find out who kills takes no more than a dozen

OnRecord = Callable[[Endpoint, Record, bytes], None]
OnCertificate = Callable[[Record, bytes], None]

log = structlog.get_logger()


class _Link:
    """The place of a worker: what it has to know, what it has in hand, and the one that is there now, if any."""

    def __init__(self, errand: Errand, born: Start | None) -> None:
        self.errand = errand
        self.born = born  # the first worker, if it is there already
        self.hand = Hand()
        self.is_wanted = trio.Event()
        self.child: Child | None = None
        self.outbox: Outbox | None = None
        self.heard_at = -inf
        self.standing = Standing()  # of the worker that is there
        self.learnt = Learnt()
        self.reported_at = -inf
        self.records = 0
        self.recorded_connections = 0
        self.before = Standing()  # of those that are not there any more, all together
        self.learnt_before = Learnt()
        self.spoke = False
        self.end_was_said = False
        self.is_over = False
        self.changed = trio.lowlevel.ParkingLot()  # of those who wait for room

    def begin(self, child: Child) -> Outbox:
        """A worker is there, which knows nothing; what it is told goes through this."""
        self.child = child
        self.outbox = outbox = Outbox(child.incoming, GATHER_S)
        self.heard_at = trio.current_time()
        self.spoke = self.end_was_said = self.is_over = False
        self.records = 0
        outbox.put(errand_line(self.errand))
        return outbox

    def end(self) -> None:
        """It is not there any more. What became of the last connections of one that died, nobody knows."""
        self.child = self.outbox = None
        connections = max(self.standing.connections, self.recorded_connections)
        known = self.standing.answered + sum(sum(kinds.values()) for kinds in self.standing.errors.values())
        lost = {Stage.CONNECT.value: {CUT_OFF: connections - known}} if connections > known else {}
        over = replace(self.standing, connections=connections, open=0, waiting=0, waits={}, next_look_s=None)
        self.before += over + Standing(errors=lost)
        self.recorded_connections = 0
        self.learnt_before += self.learnt
        self.standing, self.learnt = Standing(), Learnt()

    def standing_at(self, now: float) -> Standing:
        """Of all that have been there, with what waits here."""
        next_look_s = self.standing.next_look_s
        if next_look_s is not None:
            next_look_s = max(0.0, next_look_s - (now - self.reported_at))
        return self.before + replace(
            self.standing, waiting=self.standing.waiting + self.hand.waiting, next_look_s=next_look_s
        )

    def say(self, line: bytes) -> None:
        """An order, behind nothing but what was sent."""
        self.is_wanted.set()
        if self.outbox:
            self.outbox.put(line)
            self.outbox.hurry()


class Workers:
    """So many workers as there are errands. A `Crew`."""

    def __init__(
        self,
        errands: Sequence[Errand],
        tlsa_of: TlsaOf,
        on_record: OnRecord,
        on_certificate: OnCertificate,
        on_over: OnOver,
        *,
        first: Iterable[Start] = (),
        start: Start = start_process,
        silence_s: float = SILENCE_S,
    ) -> None:
        """`on_record` hears of each endpoint once: its record, which is also a line; or `on_over`, if it is given up.

        `on_certificate` hears of a certificate before the first endpoint that has it, and may do so several times.
        `first`: workers that are there already, for as many places as that is; `start` begins all others.
        """
        there = iter(first)
        self._links = [_Link(errand, next(there, None)) for errand in errands]
        self._config = errands[0].config
        self._tlsa_of = tlsa_of
        self._on_record = on_record
        self._on_certificate = on_certificate
        self._on_over = on_over
        self._start = start
        self._silence_s = silence_s
        self._intake = trio.CancelScope()
        self._nursery: trio.Nursery | None = None
        self._is_end = False
        self._order: bytes | None = None  # the last one to all of them
        self._taken = self._recorded = self._unfinished = 0
        self.stopped = False

    async def run(self, intake: Callable[["Workers"], Awaitable[None]]) -> None:
        """Run `intake`, which hands in endpoints with `submit`, until it returns and every endpoint is over."""
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            for link in self._links:
                nursery.start_soon(self._keep, link)
            with self._intake:
                await intake(self)
            self._is_end = True
            for link in self._links:
                link.is_wanted.set()
                self._feed(link)
        self._nursery = None
        self._unfinished = self._taken - self._recorded

    async def submit(self, endpoint: Endpoint) -> None:
        """Take an endpoint; waits while too many wait for the worker that it falls to."""
        link = self._link_of(endpoint)
        while not link.hand.has_room:
            await link.changed.park()
        link.hand.deal(endpoint)
        self._taken += 1
        link.is_wanted.set()
        self._feed(link)

    def learn(self, endpoint: Endpoint) -> None:
        """The TLSA records of an endpoint are known now; it may be with a worker already."""
        link = self._link_of(endpoint)
        if link.outbox and link.hand.holds(endpoint.id) and (tlsa := self._tlsa_of(endpoint)):
            link.outbox.put(tlsa_line(endpoint, tlsa))

    def stop(self) -> None:
        """As `Engine.stop`; a worker that dies from now on has no successor."""
        self._give_all(STOP, GRACE_S + LATE_S)

    def abort(self) -> None:
        """As `Engine.abort`."""
        self._give_all(ABORT, LAST_WORDS_S)

    def pause(self) -> None:
        """Whoever pauses us by Ctrl-Z wants no more connections: workers, which do not hear of it, are stopped, too."""
        self._signal_all(signal.SIGSTOP)

    def go_on(self) -> None:
        """After a pause, in which nobody could say anything."""
        for link in self._links:
            link.heard_at = trio.current_time()
        self._signal_all(signal.SIGCONT)

    def standing(self) -> Standing:
        """As of an engine; but what waits, and what connections come to, is a second old."""
        now = trio.current_time()
        together = sum((link.standing_at(now) for link in self._links), Standing())
        done = self._recorded + self._unfinished
        waiting = min(together.waiting, self._taken - done)
        return replace(
            together,
            taken=self._taken,
            recorded=self._recorded,
            unfinished=self._unfinished,
            waiting=waiting,
            in_flight=self._taken - done - waiting,
        )

    def learnt(self) -> Learnt:
        """As of an engine."""
        return sum((link.learnt_before + link.learnt for link in self._links), Learnt())

    def look_closely(self, most: int) -> Closely:
        """Nothing of it is known here: each worker prints it itself."""
        for link in self._links:
            if link.outbox:
                link.say(STATE)
        return [], Counter(), []

    def _give_all(self, order: bytes, patience_s: float) -> None:
        self.stopped = True
        self._order = order
        self._intake.cancel()
        for link in self._links:
            self._unfinished += link.hand.drop_waiting()
            link.say(order)
        if self._nursery is not None:
            self._nursery.cancel_scope.deadline = trio.current_time() + patience_s

    def _signal_all(self, number: signal.Signals) -> None:
        for link in self._links:
            if link.child:
                link.child.send_signal(number)

    def _link_of(self, endpoint: Endpoint) -> _Link:
        network = self._config.prefixes.network_of(endpoint.address)
        return self._links[worker_of(network, len(self._links))]

    def _feed(self, link: _Link) -> None:
        """Send a worker what it has room for, and when that was all, that it was."""
        if link.outbox is None or self.stopped:
            return
        while endpoint := link.hand.next():
            link.outbox.put(endpoint_line(endpoint, self._tlsa_of(endpoint)))
        if self._is_end and not link.hand.waiting and not link.end_was_said:
            link.end_was_said = True
            link.say(END)
        link.changed.unpark_all()

    async def _keep(self, link: _Link) -> None:
        """Have a worker there, as long as there is something to do."""
        await link.is_wanted.wait()
        failures = fruitless = 0
        while not self.stopped and (link.hand.outstanding or not self._is_end):
            how = await self._one_life(link)
            if link.is_over or self.stopped:
                return
            fruitless = 0 if link.records else fruitless + 1
            if link.spoke:
                failures = 0
                log.error("a worker died, and what it had in hand is begun again", how=how, in_hand=link.hand.in_hand)
                for endpoint in link.hand.died():
                    self._condemn(endpoint)
            else:
                failures += 1
                log.warning("a worker could not be started", how=how)
                link.hand.take_back()
            if failures >= MOST_FAILURES or fruitless >= MOST_FRUITLESS:
                log.error("workers cannot be started or kept alive, and so the run stops", how=how)
                self.stop()
            elif failures:
                await trio.sleep(failures * PAUSE_S)

    async def _one_life(self, link: _Link) -> str:
        """From the start of a worker to its end; how it died, if it did."""
        link.spoke = link.is_over = False
        start, link.born = link.born or self._start, None
        try:
            async with start() as child:
                await self._hear_out(link, child)
                return "" if link.is_over else await self._ending(child)
        except OSError as error:
            return str(error)
        finally:
            link.end()

    async def _ending(self, child: Child) -> str:
        """Of one whose output has ended."""
        with trio.move_on_after(SECOND_HEARING_S):
            return await child.wait()
        return "its output was closed"

    async def _hear_out(self, link: _Link, child: Child) -> None:
        """All that a worker says, to its end."""
        outbox = link.begin(child)
        if self._order:
            link.say(self._order)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_send, outbox)
            nursery.start_soon(self._watch, link, child)
            self._feed(link)
            async for lines in lines_of(child.outgoing):
                link.heard_at = trio.current_time()
                for line in lines:
                    self._hear(link, line)
                self._feed(link)
            nursery.cancel_scope.cancel()

    async def _watch(self, link: _Link, child: Child) -> None:
        """Kill a worker that hangs."""
        while True:
            await trio.sleep_until(link.heard_at + self._silence_s)
            await trio.sleep(SECOND_HEARING_S)
            if trio.current_time() >= link.heard_at + self._silence_s:
                log.error("a worker hangs, and is killed", silent_s=round(trio.current_time() - link.heard_at))
                child.send_signal(signal.SIGKILL)
                return

    def _hear(self, link: _Link, line: bytes) -> None:
        message: dict[str, Any] = orjson.loads(line)
        match message["type"]:
            case "endpoint":
                if endpoint := link.hand.over(message["id"]):
                    link.records += 1
                    link.recorded_connections += message["connections"]
                    self._recorded += 1
                    self._on_record(endpoint, message, line)
            case "certificate":
                self._on_certificate(message, line)
            case "begun":
                link.spoke = True
                link.hand.has_begun(message["count"])
            case "report":
                link.standing, link.learnt = read_report(message)
                link.reported_at = trio.current_time()
            case "log":
                said = message["said"]
                getattr(log, message["level"])(said.pop("event"), **said)
            case "over":
                link.is_over = True
            case other:
                raise ValueError(other)

    def _condemn(self, endpoint: Endpoint) -> None:
        """It has its record, as after a bug of ours: another worker may not survive it either."""
        interview = Interview(endpoint, self._config.wanted)
        interview.error = f"{MOST_DEATHS} workers or more died while they had it in hand"
        log.error("given up", endpoint=endpoint.id, why=interview.error)
        self._recorded += 1
        self._on_over(interview, conclude(interview), wall_clock())


async def _send(outbox: Outbox) -> None:
    with suppress(PipeClosed):  # it is dead, as will be heard
        await outbox.run()
