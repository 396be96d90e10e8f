"""How a scan is dealt to workers: what share of the limits each has, and what each has in hand.

Pure. Whatever was dealt to a worker is known here until its record has come, so that nothing is lost with a worker that
dies, and no record counts twice:

    waiting ──(its worker has room)──▶ in hand ──▶ its record has come
       ▲                                  │ the worker dies
       └── suspects, few at a time ◀──────┴──▶ condemned: in hand at three deaths, the last time among few

Nobody knows which endpoint it was that a worker died of, if it was one. Those that were in hand at two deaths are
suspected, and few of them are in hand at once, half as many more each time that all went well. When their worker dies
of many, they are tried again in smaller groups; when it dies of few, they are given up.
"""

from collections import deque
from dataclasses import replace

from scanner.limits import Limits
from targets.target import Endpoint

ONE_IS_ENOUGH = 2_000  # endpoints: one process has them in a few seconds
MOST_AHEAD = 2_000  # endpoints that were sent, and are not begun yet as far as the worker has said
MOST_WAITING = 4_000  # before the intake is held back; a worker that hangs does so no sooner
MOST_DEATHS = 3
FEW = 8  # suspects in hand at first, and given up with the one that kills


def processes_for(wanted: int | None, cores: int, endpoints: int | None, limits: Limits) -> int:
    """How many processes scan: so many as are wanted, or as there are cores, but one for few endpoints.

    `endpoints`: how many there will be, if that is known. Never more than there is at once of whatever is limited.
    """
    if wanted is None:
        wanted = cores if endpoints is None or endpoints >= ONE_IS_ENOUGH else 1
    counted = (limits.endpoints, limits.connections, limits.deferred)
    return min([wanted, *(limit for limit in counted if limit)])


def shares_of(limits: Limits, shares: int) -> list[Limits]:
    """The limits of each of so many workers, which come to the whole together; those of an address or network stay."""
    return [
        replace(
            limits,
            endpoints=_share(limits.endpoints, number, shares),
            connections=_share(limits.connections, number, shares),
            rate=limits.rate / shares,
            deferred=_share(limits.deferred, number, shares),
        )
        for number in range(shares)
    ]


def _share(whole: int, number: int, shares: int) -> int:
    return whole // shares + (number < whole % shares)


class Hand:
    """What was dealt to one worker, and to those that took its place before."""

    def __init__(self) -> None:
        self._waiting: deque[Endpoint] = deque()
        self._in_hand: dict[str, Endpoint] = {}
        self._deaths: dict[str, int] = {}  # of those that were in hand at any
        self._suspects: deque[Endpoint] = deque()
        self._suspected: set[str] = set()  # those of them that are in hand
        self._most_suspected: float = FEW
        self._sent = self._begun = 0  # of this worker

    @property
    def outstanding(self) -> int:
        """Endpoints without a record."""
        return self.waiting + self.in_hand

    @property
    def in_hand(self) -> int:
        """Those of them that its worker has."""
        return len(self._in_hand)

    @property
    def waiting(self) -> int:
        """Those that are to be sent yet."""
        return len(self._waiting) + len(self._suspects)

    @property
    def has_room(self) -> bool:
        """May more be dealt?"""
        return len(self._waiting) < MOST_WAITING

    def deal(self, endpoint: Endpoint) -> None:
        """One more."""
        self._waiting.append(endpoint)

    def next(self) -> Endpoint | None:
        """One that is to be sent now, and is in hand then; None while there is none, or the worker has enough."""
        if self._sent - self._begun >= MOST_AHEAD:
            return None
        endpoint = None
        if self._suspects and len(self._suspected) < int(self._most_suspected):
            endpoint = self._suspects.popleft()
            self._suspected.add(endpoint.id)
        elif self._waiting:
            endpoint = self._waiting.popleft()
        if endpoint is not None:
            self._in_hand[endpoint.id] = endpoint
            self._sent += 1
        return endpoint

    def has_begun(self, count: int) -> None:
        """The worker says how many it has begun, of all that it was sent."""
        self._begun = count

    def holds(self, endpoint_id: str) -> bool:
        """Was it sent, and is its record to come?"""
        return endpoint_id in self._in_hand

    def over(self, endpoint_id: str) -> Endpoint | None:
        """Its record has come. None where nobody waits for it: then it is to be dropped."""
        endpoint = self._in_hand.pop(endpoint_id, None)
        if self._deaths:
            self._deaths.pop(endpoint_id, None)
            if endpoint_id in self._suspected:
                self._suspected.remove(endpoint_id)
                self._most_suspected += 0.5
        return endpoint

    def died(self) -> list[Endpoint]:
        """The worker has died. What it had in hand is dealt again, before the rest; but for those that are returned."""
        crowd = len(self._suspected)
        condemned, suspects, again = [], [], []
        for name, endpoint in self._in_hand.items():
            deaths = self._deaths[name] = self._deaths.get(name, 0) + 1
            if deaths >= MOST_DEATHS and crowd <= FEW:
                del self._deaths[name]
                condemned.append(endpoint)
            elif deaths >= MOST_DEATHS - 1:
                suspects.append(endpoint)
            else:
                again.append(endpoint)
        self._suspects.extendleft(reversed(suspects))
        self._waiting.extendleft(reversed(again))
        self._most_suspected = max(FEW, crowd // 4)
        self._clear()
        return condemned

    def take_back(self) -> None:
        """The worker was none: it never came to begin anything. All is dealt again, and nothing is suspected of it."""
        suspects = [endpoint for name, endpoint in self._in_hand.items() if name in self._suspected]
        others = [endpoint for name, endpoint in self._in_hand.items() if name not in self._suspected]
        self._suspects.extendleft(reversed(suspects))
        self._waiting.extendleft(reversed(others))
        self._clear()

    def drop_waiting(self) -> int:
        """Send none of those that wait; how many."""
        dropped = self.waiting
        self._waiting.clear()
        self._suspects.clear()
        return dropped

    def _clear(self) -> None:
        """Nothing is in hand."""
        self._in_hand.clear()
        self._suspected.clear()
        self._sent = self._begun = 0
