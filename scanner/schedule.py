"""Who may open a connection now: permits in total, per second, per address, per second and address, and per network.

Pure: times are handed in (seconds of any steady clock). A job that waits is an entry in a queue; it holds no task and
no file descriptor. Jobs of one address leave in the order in which they came; addresses of a network take turns, and so
do networks. But what goes on with something begun goes first, so that endpoints end one by one, and not all at the end.

    push ──▶ lane of its address ──▶ due in its network ──▶ ready ──▶ pop ──▶ in flight ──▶ done
              │ a permit of the        │ the pace of the      │ a permit       │
              │ address is free, and   │ network allows it    │ of the whole   │
              ▼ its pause is over      ▼                      ▼ is free        │
            cooling                  cooling                                   │
              ▲                        ▲                                       │
              └────────────────────────┴───────────────────────────────────────┘

A network whose pace does not allow it stands in no queue but its own: it costs the others nothing.
"""

import heapq
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import islice
from math import inf
from typing import Generic, TypeVar

from scanner.limits import BURST_S, Limits, interval_of
from scanner.pace import Pace

Job = TypeVar("Job")

# An address that was slowed down is let go again by halves: so long after it was, and so long after each.
EASE_S = 60.0


class _Network(Generic[Job]):
    """The lanes of one network that could go on, but for its pace and for the whole."""

    __slots__ = ("begun", "cooling", "fresh", "in_ready", "in_ready_begun", "lanes", "name", "next_start")

    def __init__(self, name: str) -> None:
        self.name = name
        self.lanes = 0  # all of them, those that cannot go on too
        self.begun: list[_Lane[Job]] = []  # whose next job goes on with something begun
        self.fresh: list[_Lane[Job]] = []
        self.next_start = -inf  # when its next connection is due at an even pace
        self.cooling = False
        self.in_ready = self.in_ready_begun = False


class _Lane(Generic[Job]):
    """What waits for one address. Few do for most, so a list is enough, at a tenth of the memory of a deque."""

    __slots__ = ("active", "address", "begun", "ease_at", "interval_s", "network", "not_before", "queued", "waiting")

    def __init__(self, address: str, network: _Network[Job], interval_s: float) -> None:
        self.address = address
        self.network = network
        self.interval_s = interval_s
        self.ease_at = inf  # when it is next let go by half, where it was slowed down
        self.waiting: list[Job] = []
        self.begun = 0  # how many at its front belong to what was begun already
        self.active = 0
        self.not_before = -inf
        self.queued = False  # in its network, or in `cooling`

    def keep(self, wanted: Callable[[Job], bool]) -> int:
        """Drop every other job; how many."""
        before = len(self.waiting)
        self.begun = sum(map(wanted, islice(self.waiting, self.begun)))
        self.waiting = list(filter(wanted, self.waiting))
        return before - len(self.waiting)


@dataclass(frozen=True, slots=True)
class Waits:
    """How many wait for what: connections for permits, and endpoints for their turn."""

    total: int = 0  # connections, for a permit of the whole
    network: int = 0  # for the pace of their network
    address: int = 0  # for a permit of their address, or the end of its pause
    back_off: int = 0  # for one of these two, where address or network were slowed down
    later_look: int = 0  # endpoints, for the end of their pause
    window: int = 0  # for their turn to be begun


@dataclass(frozen=True, slots=True)
class Queue:
    """What waits for one address; seconds from now on, at the pace of this moment and with nobody else before it."""

    address: str
    network: str
    waiting: int  # connections
    next_s: float  # until the next of them may be opened
    last_s: float  # until the last may be
    network_interval_s: float  # between two connections to its network


class Schedule(Generic[Job]):
    """The queue of all jobs, and the permits."""

    def __init__(self, limits: Limits, pace: Pace | None = None) -> None:
        """`pace`: that of the networks; that of the limits where there is none."""
        self._connections = limits.connections or inf
        self._interval_s = interval_of(limits.rate)
        self._per_address = limits.per_address or inf
        self._pause_s = interval_of(limits.per_address_rate)
        self._pace = pace or Pace(limits)
        self._lanes: dict[str, _Lane[Job]] = {}
        self._networks: dict[str, _Network[Job]] = {}
        self._ready: deque[_Network[Job]] = deque()
        self._ready_begun: deque[_Network[Job]] = deque()
        self._cooling: list[tuple[float, int, _Lane[Job] | _Network[Job]]] = []
        self._pushed = 0  # breaks ties in the heap
        self._next_start = -inf  # when the next connection is due at an even pace
        self.in_flight = 0

    def push(self, address: str, job: Job, now: float, *, begun: bool = False) -> None:
        """Queue a job for an address. One that goes on with what was `begun` goes before all that is new."""
        lane = self._lanes.get(address) or self._open(address)
        if begun:
            lane.waiting.insert(lane.begun, job)
            lane.begun += 1
        else:
            lane.waiting.append(job)
        self._settle(lane, now)

    def slow_down(self, address: str, interval_s: float, now: float, until: float = -inf) -> None:
        """Leave an address alone `until` then, and from then on so many seconds between connections, at least.

        That lasts for as long as something waits for it; but it is let go again slowly.
        """
        lane = self._lanes.get(address) or self._open(address)
        lane.interval_s = max(lane.interval_s, interval_s)
        lane.not_before = max(lane.not_before, until)
        lane.ease_at = max(now, lane.not_before) + EASE_S
        if lane.not_before > now:
            self._settle(lane, now)  # nothing may ever wait for it

    def hold(self, address: str, until: float) -> None:
        """Begin nothing in the network of an address until then."""
        lane = self._lanes.get(address) or self._open(address)
        lane.network.next_start = max(lane.network.next_start, until)

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
        if self._cooling and self._cooling[0][0] <= now:
            self._thaw(now)
        if self.in_flight >= self._connections or now < self._next_start - BURST_S:
            return None
        lane = self._next_lane(now)
        if lane is None:
            return None
        job = lane.waiting.pop(0)
        lane.begun = max(0, lane.begun - 1)
        lane.active += 1
        if lane.ease_at <= now:
            self._ease(lane, now)
        lane.not_before = now + lane.interval_s
        self.in_flight += 1
        self._next_start = max(self._next_start, now) + self._interval_s
        network = lane.network
        if interval_s := self._pace.interval_s(network.name, now):
            network.next_start = max(network.next_start, now) + interval_s
        self._settle(lane, now)
        if interval_s or network.begun or network.fresh:
            self._place(network, now)
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
        for network in list(self._networks.values()):
            due = [*network.begun, *network.fresh]
            network.begun.clear()
            network.fresh.clear()
            for lane in due:
                lane.queued = False
                self._settle(lane, inf)  # whoever is due has no pause before it

    def wake_at(self) -> float:
        """When `pop` may have something again without a `push` or a `done` before; infinity if never."""
        if self.in_flight >= self._connections:
            return inf
        if self._ready_begun or self._ready:
            return self._next_start - BURST_S
        return self._cooling[0][0] if self._cooling else inf

    def waits(self, now: float) -> Waits:
        """How many jobs wait for what. Takes some milliseconds for tens of thousands of addresses."""
        total = network = address = back_off = 0
        for lane in self._lanes.values():
            if not lane.waiting:
                continue
            if lane.active >= self._per_address or lane.not_before > now:
                is_slow = lane.interval_s > self._pause_s
                address += len(lane.waiting) * (not is_slow)
            elif lane.network.next_start - BURST_S > now:
                is_slow = self._pace.is_slow(lane.network.name, now)
                network += len(lane.waiting) * (not is_slow)
            else:
                is_slow = False
                total += len(lane.waiting)
            back_off += len(lane.waiting) * is_slow
        return Waits(total, network, address, back_off)

    def queues(self, now: float) -> list[Queue]:
        """Of every address for which something waits. Takes as long as `waits`."""
        return [self._queue(lane, now) for lane in self._lanes.values() if lane.waiting]

    def _queue(self, lane: _Lane[Job], now: float) -> Queue:
        network, waiting = lane.network, len(lane.waiting)
        next_s = max(0.0, lane.not_before - now, network.next_start - BURST_S - now)
        network_interval_s = self._pace.interval_s(network.name, now)
        last_s = next_s + (waiting - 1) * max(lane.interval_s, network_interval_s)
        return Queue(lane.address, network.name, waiting, next_s, last_s, network_interval_s)

    def _open(self, address: str) -> _Lane[Job]:
        """A lane for an address that has none."""
        name = self._pace.network_of(address)
        network = self._networks.get(name)
        if network is None:
            network = self._networks[name] = _Network(name)
        network.lanes += 1
        lane = self._lanes[address] = _Lane(address, network, self._pause_s)
        return lane

    def _close(self, lane: _Lane[Job], now: float) -> None:
        del self._lanes[lane.address]
        lane.network.lanes -= 1
        if not lane.network.lanes:
            self._place(lane.network, now)

    def _ease(self, lane: _Lane[Job], now: float) -> None:
        lane.interval_s = max(self._pause_s, lane.interval_s / 2)
        lane.ease_at = now + EASE_S if lane.interval_s > self._pause_s else inf

    def _next_lane(self, now: float) -> _Lane[Job] | None:
        """The lane whose turn it is, in the network whose turn it is; what was slowed down meanwhile is put away."""
        while True:
            if self._ready_begun:
                network = self._ready_begun.popleft()
                network.in_ready_begun = False
                lanes = network.begun
            elif self._ready:
                network = self._ready.popleft()
                network.in_ready = False
                lanes = network.fresh
            else:
                return None
            if network.next_start - BURST_S > now:
                self._place(network, now)
                continue
            while lanes:
                lane = lanes.pop(0)
                lane.queued = False
                if lane.not_before <= now and lane.waiting:
                    return lane
                self._settle(lane, now)

    def _settle(self, lane: _Lane[Job], now: float) -> None:
        """Put a lane where it belongs after it changed."""
        if lane.queued:
            return
        idle = not lane.waiting and not lane.active
        if idle and lane.not_before <= now:
            self._close(lane, now)
        elif lane.not_before > now and (idle or (lane.waiting and lane.active < self._per_address)):
            lane.queued = True
            self._cool(lane.not_before, lane)
        elif lane.waiting and lane.active < self._per_address:
            lane.queued = True
            network = lane.network
            (network.begun if lane.begun else network.fresh).append(lane)
            if not (network.cooling or (network.in_ready_begun if lane.begun else network.in_ready)):
                self._place(network, now)

    def _place(self, network: _Network[Job], now: float) -> None:
        """The same for a network."""
        if network.cooling:
            return
        until = network.next_start - BURST_S if network.lanes else network.next_start
        if until > now:
            network.cooling = True
            self._cool(until, network)
        elif not network.lanes:
            self._networks.pop(network.name, None)
        else:
            if network.begun and not network.in_ready_begun:
                network.in_ready_begun = True
                self._ready_begun.append(network)
            if network.fresh and not network.in_ready:
                network.in_ready = True
                self._ready.append(network)

    def _cool(self, until: float, what: _Lane[Job] | _Network[Job]) -> None:
        self._pushed += 1
        heapq.heappush(self._cooling, (until, self._pushed, what))

    def _thaw(self, now: float) -> None:
        while self._cooling and self._cooling[0][0] <= now:
            match heapq.heappop(self._cooling)[2]:
                case _Lane() as lane:
                    lane.queued = False
                    self._settle(lane, now)
                case _Network() as network:
                    network.cooling = False
                    self._place(network, now)
