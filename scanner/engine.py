"""The engine alone knows time and number: one nursery, the permits, the clock, cancellation, and the last net.

    intake ──▶ Spread ──(turn)──▶ Interview.begin ──▶ Schedule ──(permit)──▶ a task: one question, one connection
                                                       ▲  ▲                      │
                                       (pause) ──▶ look│  └── more questions ◀── Interview.take(answer)
                                          ▲      again                           │ over
                                          └──────────── worth another look? ◀────┘ ──▶ record

An endpoint in flight is an interview and its questions in the schedule, not a task: what waits for a permit costs some
hundred bytes, and no file descriptor. What waits for a later look, or for an address whose server spoke of load, takes
no place among those in flight either. Answers, and what looks came to, are seen to by one task, many in a row. A bug in
one task becomes a record with `status: error`, and the scan goes on.
"""

import heapq
import time
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field, replace
from math import inf

import structlog
import trio

from scanner.back_off import BackOff
from scanner.conclusion import Conclusion, conclude
from scanner.interview import Interview
from scanner.limits import Limits
from scanner.looks import Look, Pause, pause_after
from scanner.outcome import Flag, Verdict
from scanner.pace import Learnt, Pace
from scanner.question import Answer, Question, Wanted
from scanner.schedule import Queue, Schedule, Waits
from scanner.signs import may_be_sign
from scanner.spread import Spread
from scanner.wire_text import printable
from targets.prefixes import Prefixes
from targets.target import Endpoint

GRACE_S = 10  # how long connections in flight may go on after a stop
AT_ONCE = 32  # looks that are over: so many are finished before others run, in a moment without answers
MOST_OVER, MOST_AT_ONCE = 256, 256  # so many wait for such a moment; so many more are finished before others run

Ask = Callable[[Endpoint, Answer], Awaitable[None]]
OnOver = Callable[[Interview, Conclusion, float], None]

log = structlog.get_logger()


@dataclass(slots=True)
class Tally:
    """What the engine has done so far."""

    taken: int = 0  # endpoints
    over: int = 0
    waiting: int = 0  # for their turn, for a later look, or for an address that was slowed down
    unfinished: int = 0  # they have no record: stopped before their first answer, or lost to a bug
    given_up: int = 0  # of those that are over: they would have been looked at again
    connections: int = 0
    wakes_at: float = inf  # when the next of those that wait goes on, by trio's clock

    @property
    def in_flight(self) -> int:
        """Endpoints that are being looked at."""
        return self.taken - self.over - self.unfinished - self.waiting


def wall_clock() -> float:
    """Seconds since 1970."""
    return time.time()


class Engine:
    """Runs interviews within limits. `ask` fills in an answer; `on_over` hears of each interview that is over."""

    def __init__(
        self,
        ask: Ask,
        on_over: OnOver,
        wanted: Wanted,
        limits: Limits,
        clock: Callable[[], float] = wall_clock,
        *,
        retries: int = 0,
        prefixes: Prefixes | None = None,
    ) -> None:
        """`prefixes`: what is one network."""
        self._ask = ask
        self._on_over = on_over
        self._wanted = wanted
        self._retries = retries
        self._most = limits.endpoints or inf
        self._most_waiting = limits.deferred or inf
        self._pace = Pace(limits, prefixes)
        self._schedule: Schedule[tuple[Interview, Question]] = Schedule(limits, self._pace)
        self._clock = clock
        self._interviews: set[Interview] = set()
        self._aside: set[Interview] = set()  # those of them that wait for an address that was slowed down
        self._spread = Spread(limits, self._pace)
        self._back_off = BackOff(self._schedule, self._pace, trio.current_time, retries=retries)
        self._waiting: list[_Waiting] = []  # a heap
        self._asked: deque[tuple[Interview, Answer, float]] = deque()  # what came of connections, and when
        self._over: deque[tuple[Interview, float]] = deque()  # those of whom a look is over, and since when
        self._news = trio.lowlevel.ParkingLot()  # of either
        self._changed = trio.lowlevel.ParkingLot()  # of those who wait for an end
        self._alarm = trio.CancelScope()
        self._nursery: trio.Nursery | None = None
        self._intake = trio.CancelScope()
        self.stopped = False
        self.tally = Tally()

    async def run(self, intake: Callable[["Engine"], Awaitable[None]]) -> None:
        """Run `intake`, which hands in endpoints with `submit`, until it returns and every interview is over."""
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            nursery.start_soon(self._wake)
            nursery.start_soon(self._see_to_answers)
            with self._intake:
                await intake(self)
            while self._interviews or self._waiting or self._spread.held:
                await self._changed.park()
            nursery.cancel_scope.cancel()
        self._nursery = None  # a signal may come later still
        self._give_up()

    async def submit(self, endpoint: Endpoint) -> None:
        """Take an endpoint; waits while no more than those that were taken is of any use."""
        while not self._spread.has_room(places=(places := self._has_places())):
            await self._changed.park()
        now = trio.current_time()
        self.tally.taken += 1
        if places and self._spread.admit(endpoint, now):
            self._begin(endpoint, now)
        else:
            self._spread.add(endpoint)
            self.tally.waiting += 1
        self._start_due(now)

    def waits(self) -> Waits:
        """How many wait for what, just now. Takes some milliseconds."""
        permits = self._schedule.waits(trio.current_time())
        return replace(permits, later_look=len(self._waiting), window=self._spread.held)

    def queues(self) -> list[Queue]:
        """What waits for each address, just now. Takes some milliseconds."""
        return self._schedule.queues(trio.current_time())

    def held(self) -> Counter[str]:
        """How many endpoints are not begun, by network."""
        return self._spread.held_by_network()

    def learnt(self) -> Learnt:
        """What was learnt of strain."""
        return self._pace.learnt()

    def stop(self) -> None:
        """Begin nothing new: endpoints without a connection are dropped, the others have `GRACE_S` to end.

        Those that wait for a later look are over: what is known of them is handed over at once.
        """
        self.stopped = True
        self._intake.cancel()
        self._finish_soon(waiting.interview for waiting in self._wake_up(inf))
        for interview in [each for each in self._interviews if not each.connections]:
            self._drop(interview)
        self._drop_held()
        self._schedule.keep(lambda job: job[0] in self._interviews)
        if self._nursery is not None:
            self._nursery.cancel_scope.deadline = trio.current_time() + GRACE_S
        self._announce()

    def abort(self) -> None:
        """End now, without the grace of a stop: connections are cut, and what is known is handed over."""
        self.stop()
        if self._nursery is not None:
            self._nursery.cancel_scope.cancel()

    def _has_places(self) -> bool:
        """May another endpoint be in flight?"""
        return len(self._interviews) - len(self._aside) < self._most

    def _begin_due(self, now: float) -> None:
        """Begin the endpoints whose turn it is, while there are places."""
        while self._has_places() and (endpoint := self._spread.next(now)):
            self.tally.waiting -= 1
            self._begin(endpoint, now)

    def _begin(self, endpoint: Endpoint, now: float) -> None:
        interview = Interview(endpoint, self._wanted)
        self._interviews.add(interview)
        self._queue(interview, interview.begin(), now)

    def _queue(self, interview: Interview, questions: list[Question], now: float) -> None:
        address = interview.endpoint.address
        for question in questions:
            begun = interview.connections > 0
            self._schedule.push(address, (interview, question), now, begun=begun)
        if questions and self._schedule.is_slow(address):
            self._set_aside([interview])

    def _start_due(self, now: float) -> None:
        """Begin every endpoint that has its place, start every question that has its permits, and set the alarm."""
        assert self._nursery is not None
        if self._spread.held:
            self._begin_due(now)
        while job := self._schedule.pop(now):
            if self._aside:
                self._bring_back(job[0])
            self._nursery.start_soon(self._question, *job)
        set_to = self.tally.wakes_at
        if self._wake_at() != set_to:  # to set it costs ten times the comparison
            self._alarm.deadline = self.tally.wakes_at

    def _wake_at(self) -> float:
        self.tally.wakes_at = min(self._schedule.wake_at(), self._waiting[0].until if self._waiting else inf)
        return self.tally.wakes_at

    async def _wake(self) -> None:
        """Questions and looks that wait for a moment, and not for another's end, start here."""
        while True:
            with trio.CancelScope(deadline=self._wake_at()) as self._alarm:
                await trio.sleep_forever()
            now = trio.current_time()
            for waiting in self._wake_up(now):
                self._look_again(waiting, now)
            self._start_due(now)

    async def _question(self, interview: Interview, question: Question) -> None:
        """One question, one connection: the supervised task."""
        answer = Answer(question, self._clock())
        if self._goes_on(interview):
            interview.connections += 1
            self.tally.connections += 1
            try:
                await self._ask(interview.endpoint, answer)
            except Exception as error:  # a bug of ours
                _note_bug(interview, error)
        self._asked.append((interview, answer, self._clock()))
        self._news.unpark()

    async def _see_to_answers(self) -> None:
        """Answers first, for permits wait for them; what looks came to is seen in between, a few at a time.

        Each of both in a row takes half of the CPU that it takes among connections, where its code is in no cache. But
        a look that may show strain is seen to before its permit goes to another.
        """
        while True:
            any_came = self._take_answers()
            too_many = min(len(self._over) - MOST_OVER, MOST_AT_ONCE)
            self._finish_some(max(too_many, 0 if any_came else AT_ONCE))
            if self._asked or self._over:
                await trio.lowlevel.checkpoint()
            else:
                await self._news.park()

    def _take_answers(self) -> bool:
        """All that came; was there any?"""
        if not self._asked:
            return False
        now = trio.current_time()
        while self._asked:
            self._take(*self._asked.popleft(), now)
        self._start_due(now)
        return True

    def _take(self, interview: Interview, answer: Answer, ended: float, now: float) -> None:
        """What came of a connection, whose permit is free again once all is heard that may speak against it."""
        address = interview.endpoint.address
        at_once = False
        try:
            if self._goes_on(interview):
                if self._back_off.hear_answer(interview, answer):
                    self._slowed(address)
                if questions := interview.take(answer):
                    self._queue(interview, questions, now)
                at_once = interview.over and may_be_sign(interview.looks, interview.answers)
        except Exception as error:  # a bug of ours
            _note_bug(interview, error)
        if at_once:
            self._finish(interview, ended)
            self._announce()
        elif interview.over:
            self._over.append((interview, ended))
        self._schedule.done(address, now)

    def _goes_on(self, interview: Interview) -> bool:
        return interview.error is None and interview in self._interviews

    def _slowed(self, address: str) -> None:
        """An address was slowed down: what waits for it takes no place meanwhile."""
        self._set_aside(job[0] for job in self._schedule.waiting(address))

    def _set_aside(self, interviews: Iterable[Interview]) -> None:
        """They wait for an address that was slowed down, and take no place meanwhile; that has a bound, too."""
        for interview in interviews:
            if interview not in self._aside and len(self._aside) < self._most_waiting:
                self._aside.add(interview)
                self.tally.waiting += 1
        self._announce()

    def _bring_back(self, interview: Interview) -> None:
        """Its turn has come, or it is over."""
        if interview in self._aside:
            self._aside.remove(interview)
            self.tally.waiting -= 1

    def _finish_soon(self, interviews: Iterable[Interview]) -> None:
        ended = self._clock()
        self._over.extend((interview, ended) for interview in interviews)
        self._news.unpark()

    def _finish_some(self, most: int) -> None:
        """Those of whom a look has been over for longest."""
        some = min(most, len(self._over))
        if not some:
            return
        for _ in range(some):
            self._finish(*self._over.popleft())
        self._announce()
        self._start_due(trio.current_time())

    def _finish(self, interview: Interview, ended: float) -> None:
        """A look is over: so is the interview, unless it is to be looked at again later."""
        if interview not in self._interviews:
            return
        if not self._hand_over(interview, ended) and not self._hand_over(interview, ended):
            self._drop(interview)

    def _hand_over(self, interview: Interview, ended: float) -> bool:
        """Let it wait, or become a record. False after a bug of ours: what caused it is gone, for another try."""
        try:
            conclusion = conclude(interview)
            self._hear_look(interview, conclusion.look)
            if not self._defer(interview, conclusion):
                self._on_over(interview, conclusion, ended)
                self.tally.over += 1
        except Exception as error:
            _note_bug(interview, error)
            interview.answers.clear()
            interview.asides.clear()
            return False
        self._leave(interview)
        return True

    def _hear_look(self, interview: Interview, look: Look | None) -> None:
        """Unless a stop has ended it."""
        if look and not self.stopped and self._back_off.hear_look(interview, look):
            self._slowed(interview.endpoint.address)

    def _leave(self, interview: Interview) -> None:
        """It is in flight no more."""
        self._interviews.discard(interview)
        self._bring_back(interview)
        self._spread.over(interview.endpoint)

    def _defer(self, interview: Interview, conclusion: Conclusion) -> bool:
        """Let it wait for a later look, where that is worth it and there is room."""
        look = conclusion.look
        if interview.error or look is None:
            return False
        pause = pause_after(look, interview.looks, self._retries)
        if pause is None:
            return False
        over = look.verdict is Verdict.RATE_LIMITED and self._back_off.is_out_of_patience(interview.endpoint.address)
        dropped = pause.too_long or over or len(self._waiting) >= self._most_waiting
        if self.stopped or dropped:
            if not self.stopped:
                conclusion.flags.add(Flag.DEFERRED_DROPPED)
            self.tally.given_up += 1
            return False
        until = trio.current_time() + pause.seconds
        heapq.heappush(self._waiting, _Waiting(until, self.tally.connections, interview, look, pause))
        self.tally.waiting += 1
        return True

    def _wake_up(self, now: float) -> list["_Waiting"]:
        """Those whose pause is over are in flight again."""
        woken = []
        while self._waiting and self._waiting[0].until <= now:
            woken.append(heapq.heappop(self._waiting))
            self._interviews.add(woken[-1].interview)
            self._spread.again(woken[-1].interview.endpoint)
            self.tally.waiting -= 1
        return woken

    def _look_again(self, waiting: "_Waiting", now: float) -> None:
        interview = waiting.interview
        if waiting.pause.interval_s:
            self._schedule.slow_down(interview.endpoint.address, waiting.pause.interval_s, now)
        try:
            self._queue(interview, interview.look_again(waiting.look), now)
        except Exception as error:  # a bug of ours
            _note_bug(interview, error)
            self._finish_soon([interview])

    def _drop(self, interview: Interview) -> None:
        self._leave(interview)
        self.tally.unfinished += 1

    def _drop_held(self) -> None:
        """What was not begun is left to a later run."""
        held = self._spread.clear()
        self.tally.waiting -= held
        self.tally.unfinished += held

    def _give_up(self) -> None:
        """The time of a stop is over: what is known of an endpoint is written, where anything is."""
        self._drop_held()
        now = trio.current_time()
        while self._asked:
            self._take(*self._asked.popleft(), now)
        while self._over:
            self._finish(*self._over.popleft())
        for interview in list(self._interviews):
            interview.fall_back()
            if interview.answers:
                self._finish(interview, self._clock())
            else:
                self._drop(interview)

    def _announce(self) -> None:
        self._changed.unpark_all()


@dataclass(frozen=True, slots=True, order=True)
class _Waiting:
    """An interview that waits for its next look."""

    until: float
    tie: int  # no two of one moment are compared any further
    interview: Interview = field(compare=False)
    look: Look = field(compare=False)
    pause: Pause = field(compare=False)


def _note_bug(interview: Interview, error: Exception) -> None:
    log.error("internal error", endpoint=interview.endpoint.id, exc_info=error)
    interview.error = printable(f"{type(error).__name__}: {error}".encode(errors="backslashreplace"))
