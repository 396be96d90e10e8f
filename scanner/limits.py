"""Who may open a connection now: permits in total, per second, per address, and per second and address.

Pure: times are handed in (seconds of any steady clock). A job that waits is an entry in a queue; it holds no task and
no file descriptor. Jobs of one address leave in the order in which they came, and addresses take turns; but what goes
on with something begun goes first, so that endpoints end one by one, and not all at the end.

    push ──▶ lane of its address ──▶ ready   (a permit of the address is free, and its pause is over)
                     ▲                 │ pop  (a permit of the whole is free)
                     └─── cooling ◀────┴──▶ in flight ──▶ done
"""

import heapq
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import islice
from math import inf
from typing import Generic, TypeVar

Job = TypeVar("Job")

# Connections may leave this much ahead of an even pace in total: a timer is not exact to the millisecond.
BURST_S = 0.02


@dataclass(frozen=True, slots=True)
class Limits:
    """At most this much at once and a second; 0 is no limit."""

    endpoints: int = 20_000
    connections: int = 1_000
    rate: float = 1_000
    per_address: int = 1
    per_address_rate: float = 1
    per_network_rate: float = 20
    deferred: int = 50_000  # endpoints that wait for a later look


class _Lane(Generic[Job]):
    """What waits for one address."""

    __slots__ = ("active", "address", "begun", "interval_s", "not_before", "queued", "waiting")

    def __init__(self, address: str, interval_s: float) -> None:
        self.address = address
        self.interval_s = interval_s
        self.waiting: deque[Job] = deque()
        self.begun = 0  # how many at its front belong to what was begun already
        self.active = 0
        self.not_before = -inf
        self.queued = False  # in `ready` or in `cooling`

    def keep(self, wanted: Callable[[Job], bool]) -> int:
        """Drop every other job; how many."""
        before = len(self.waiting)
        self.begun = sum(map(wanted, islice(self.waiting, self.begun)))
        self.waiting = deque(filter(wanted, self.waiting))
        return before - len(self.waiting)


class Schedule(Generic[Job]):
    """The queue of all jobs, and the permits."""

    def __init__(self, limits: Limits) -> None:
        self._connections = limits.connections or inf
        self._interval_s = 1 / limits.rate if limits.rate else 0.0
        self._per_address = limits.per_address or inf
        self._pause_s = 1 / limits.per_address_rate if limits.per_address_rate else 0.0
        self._lanes: dict[str, _Lane[Job]] = {}
        self._ready: deque[_Lane[Job]] = deque()
        self._ready_begun: deque[_Lane[Job]] = deque()
        self._cooling: list[tuple[float, int, _Lane[Job]]] = []
        self._pushed = 0  # breaks ties in the heap
        self._next_start = -inf  # when the next connection is due at an even pace
        self.in_flight = 0

    def push(self, address: str, job: Job, now: float, *, begun: bool = False) -> None:
        """Queue a job for an address. One that goes on with what was `begun` goes before all that is new."""
        lane = self._lanes.get(address)
        if lane is None:
            lane = self._lanes[address] = _Lane(address, self._pause_s)
        if begun:
            lane.waiting.insert(lane.begun, job)
            lane.begun += 1
        else:
            lane.waiting.append(job)
        self._settle(lane, now)

    def slow_down(self, address: str, interval_s: float, until: float = -inf) -> None:
        """Leave an address alone `until` then, and from then on so many seconds between connections, at least.

        That lasts for as long as something waits for it.
        """
        lane = self._lanes.setdefault(address, _Lane(address, self._pause_s))
        lane.interval_s = max(lane.interval_s, interval_s)
        lane.not_before = max(lane.not_before, until)

    def is_slow(self, address: str) -> bool:
        """Was it slowed down, and something waits for it since?"""
        lane = self._lanes.get(address)
        return lane is not None and lane.interval_s > self._pause_s

    def waiting(self, address: str) -> Iterable[Job]:
        """The jobs that wait for an address."""
        lane = self._lanes.get(address)
        return lane.waiting if lane else ()

    def withdraw(self, address: str, wanted: Callable[[Job], bool]) -> int:
        """Drop those of the jobs of one address that are not wanted any more; how many."""
        lane = self._lanes.get(address)
        return lane.keep(wanted) if lane else 0

    def pop(self, now: float) -> Job | None:
        """A job that may start now, with its permits; None if there is none. Give them back with `done`."""
        self._thaw(now)
        if self.in_flight >= self._connections or now < self._next_start - BURST_S:
            return None
        lane = self._next_ready(now)
        if lane is None:
            return None
        lane.active += 1
        lane.not_before = now + lane.interval_s
        self.in_flight += 1
        self._next_start = max(self._next_start, now) + self._interval_s
        job = lane.waiting.popleft()
        lane.begun = max(0, lane.begun - 1)
        self._settle(lane, now)
        return job

    def done(self, address: str, now: float) -> None:
        """A job that was popped for this address is over."""
        lane = self._lanes[address]
        lane.active -= 1
        self.in_flight -= 1
        self._settle(lane, now)

    def keep(self, wanted: Callable[[Job], bool]) -> None:
        """Drop every waiting job that is not wanted any more."""
        for lane in self._lanes.values():
            lane.keep(wanted)
        ready = [*self._ready_begun, *self._ready]
        self._ready_begun.clear()
        self._ready.clear()
        for lane in ready:
            lane.queued = False
            self._settle(lane, inf)  # whoever is ready has no pause before it

    def wake_at(self) -> float:
        """When `pop` may have something again without a `push` or a `done` before; infinity if never."""
        if self.in_flight >= self._connections:
            return inf
        if self._ready_begun or self._ready:
            return self._next_start - BURST_S
        return self._cooling[0][0] if self._cooling else inf

    def _next_ready(self, now: float) -> _Lane[Job] | None:
        """The lane whose turn it is; one that was slowed down, or emptied, meanwhile goes where it belongs."""
        while ready := self._ready_begun or self._ready:
            lane = ready.popleft()
            lane.queued = False
            if lane.not_before <= now and lane.waiting:
                return lane
            self._settle(lane, now)
        return None

    def _settle(self, lane: _Lane[Job], now: float) -> None:
        """Put a lane where it belongs after it changed."""
        if lane.queued:
            return
        idle = not lane.waiting and not lane.active
        if idle and lane.not_before <= now:
            self._lanes.pop(lane.address, None)
        elif lane.not_before > now and (idle or (lane.waiting and lane.active < self._per_address)):
            lane.queued = True
            self._pushed += 1
            heapq.heappush(self._cooling, (lane.not_before, self._pushed, lane))
        elif lane.waiting and lane.active < self._per_address:
            lane.queued = True
            (self._ready_begun if lane.begun else self._ready).append(lane)

    def _thaw(self, now: float) -> None:
        while self._cooling and self._cooling[0][0] <= now:
            lane = heapq.heappop(self._cooling)[2]
            lane.queued = False
            self._settle(lane, now)
