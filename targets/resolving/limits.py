"""How much one name server is asked at once, and a second."""

from dataclasses import dataclass
from math import inf

import trio

# Google Public DNS answers an address 1,500 questions a second before it drops some (its documentation of rate limits).
RATE = 1_000.0
# Questions may leave this much ahead of an even pace: a timer is not exact to the millisecond.
BURST_S = 0.02
NO_LIMIT = 2**31


@dataclass(frozen=True, slots=True)
class DnsLimits:
    """For each name server; 0 is no limit."""

    queries: int = 256  # in flight
    rate: float = RATE  # a second


class Permits:
    """Whoever asks holds one. They are given in the order in which they are wanted."""

    def __init__(self, limits: DnsLimits) -> None:
        self._free = trio.Semaphore(limits.queries or NO_LIMIT)
        self._interval_s = 1 / limits.rate if limits.rate else 0.0
        self._due = -inf

    async def acquire(self) -> None:
        """Wait for a place among those in flight, and then for its turn."""
        try:
            self._free.acquire_nowait()
        except trio.WouldBlock:
            await self._free.acquire()
        if not self._interval_s:
            return
        now = trio.current_time()
        self._due = max(self._due, now - BURST_S) + self._interval_s
        if self._due > now:
            try:
                await trio.sleep_until(self._due)
            except BaseException:
                self._free.release()
                raise

    def release(self) -> None:
        """The question is over."""
        self._free.release()
