"""Ends the waits for sockets that take too long: all of them with one alarm.

A cancel scope for each connection takes 20 µs, a tenth of what a raw hello does; one for each wait, some times that.
But nearly every wait is of one of few lengths, and those of one length end in the order in which they began: whoever
has waited for longest is the first of them, and nothing is to be sorted.

    lengths:   10 s ─▶ │ socket, until │ socket, until │ ... ◀─ the next wait
               15 s ─▶ │ socket, until │ ...
                alarm at the earliest of those that are first
"""

from collections.abc import Awaitable, Callable, Iterable
from enum import Enum, auto
from itertools import takewhile
from math import inf
from typing import Protocol

import trio


class Descriptor(Protocol):
    """A socket: this room opens none."""

    def fileno(self) -> int:
        """Its number."""


class Waited(Enum):
    """What a wait came to."""

    READY = auto()
    TIMEOUT = auto()  # of this wait
    DEADLINE = auto()  # of all waits together, which came first


Ready = Callable[[Descriptor], Awaitable[None]]


class Vigil:
    """Waits for sockets until moments of trio's clock. While there are any, `keep` has to run."""

    def __init__(self, lengths_s: Iterable[float] = ()) -> None:
        """`lengths_s`: those that are usual. A wait of any other has a cancel scope of its own."""
        self._waits: dict[float, dict[Descriptor, float]] = {length_s: {} for length_s in lengths_s}
        self._alarm = trio.CancelScope()
        self._rings_at = inf

    async def wait(self, ready: Ready, on: Descriptor, timeout_s: float, deadline: float) -> Waited:
        """Until it is ready, for so many seconds, up to the deadline. `ready` is one of trio's waits for a socket."""
        until = trio.current_time() + timeout_s
        waits = self._waits.get(timeout_s)
        if waits is None or deadline < until:
            with trio.move_on_at(min(until, deadline)):
                await ready(on)
                return Waited.READY
            return Waited.DEADLINE if deadline < until else Waited.TIMEOUT
        waits[on] = until
        if until < self._rings_at:
            self._rings_at = self._alarm.deadline = until
        try:
            await ready(on)
        except trio.ClosedResourceError:  # by `_end`
            return Waited.TIMEOUT
        finally:
            waits.pop(on, None)
        return Waited.READY

    async def keep(self) -> None:
        """Keep it for ever."""
        while True:
            self._rings_at = self._earliest()
            with trio.CancelScope(deadline=self._rings_at) as self._alarm:
                await trio.sleep_forever()
            now = trio.current_time()
            await trio.lowlevel.checkpoint()  # who has bytes by now is told so, late as we may be
            for waits in self._waits.values():
                _end(waits, now)

    def _earliest(self) -> float:
        return min((next(iter(waits.values())) for waits in self._waits.values() if waits), default=inf)


def _end(waits: dict[Descriptor, float], now: float) -> None:
    """End those whose time is over. Their sockets stay open: it is the waits alone that are told otherwise."""
    for on in [on for on, _ in takewhile(lambda wait: wait[1] <= now, waits.items())]:
        del waits[on]
        trio.lowlevel.notify_closing(on)
