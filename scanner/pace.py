"""How fast networks may be asked: by their limit, and more slowly where they show strain.

Pure; times are seconds of any steady clock. Words of load, and an end or a silence where an answer had been, are signs
of strain. A sign doubles the seconds between two connections to its network, a burst of them once; after each minute
without one they are halved again, down to the limit.

One address may only be a server with a bad day. It is heard twice in a run, so it slows its network to a quarter for
some minutes; where many addresses of a network show strain, it is slowed by each of them, to one connection a minute.
"""

from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum
from heapq import nlargest
from math import inf
from typing import Any, Self, TypeVar

from scanner.limits import Limits, interval_of
from targets.prefixes import Prefixes

BURST_IS_WITHIN_S = 5.0  # signs of one network that come together count once
EASE_S = 60.0
SLOWEST_S = 60.0
HEARD = 2  # how often one address is heard
MANY = 16  # addresses of a network that show strain: from then on it is believed, whichever of them speaks
# Where there is no limit, the strain of a network is counted from here.
USUAL_S = interval_of(Limits().per_network_rate)

MOST_REMEMBERED = 50_000  # networks, and addresses; an entry takes some 200 to 2,000 bytes
MOST_TOLD = 100  # networks, in the record of the run

Kept = TypeVar("Kept")


class Sign(StrEnum):
    """What shows that we may be too many, or too fast."""

    RATE_LIMITED = "rate_limited"  # the server's own words
    CLOSED = "closed"  # where it had answered, before a word of ours
    RESET = "reset"
    SILENCE = "silence"


@dataclass(slots=True)
class _Strain:
    """What is known of one network."""

    doublings: int = 0
    doubled_at: float = -inf
    eased_at: float = -inf  # since then, nothing was let go of
    signs: int = 0
    slowest_s: float = 0.0
    heard: dict[str, int] = field(default_factory=dict)  # how often, by address

    def is_heard(self, address: str) -> bool:
        """May this address slow its network down?"""
        return len(self.heard) >= MANY or self.heard.setdefault(address, 0) < HEARD

    def ease(self, now: float) -> None:
        """Let go of it, for as long as there was no sign."""
        while self.doublings and now - self.eased_at >= EASE_S:
            self.doublings -= 1
            self.eased_at += EASE_S


@dataclass(frozen=True, slots=True)
class SlowNetwork:
    """A network that showed strain: how many signs, and the most seconds that lay between two connections to it."""

    network: str
    signs: int
    interval_s: float


@dataclass(frozen=True, slots=True)
class Learnt:
    """What a run has learnt of strain. That of several workers, each with networks of its own, adds up."""

    addresses: int = 0  # that were slowed down
    networks: int = 0
    signs: Counter[str] = field(default_factory=Counter)
    slowest: tuple[SlowNetwork, ...] = ()  # the slowest first

    def __add__(self, other: "Learnt") -> "Learnt":
        return Learnt(
            self.addresses + other.addresses,
            self.networks + other.networks,
            self.signs + other.signs,
            _slowest((*self.slowest, *other.slowest)),
        )

    @classmethod
    def of(cls, facts: dict[str, Any]) -> Self:
        """What such facts tell."""
        networks = facts["networks"]
        slowest = tuple(SlowNetwork(each["network"], each["events"], each["interval_s"]) for each in networks)
        return cls(facts["addresses_slowed"], facts["networks_slowed"], +Counter(facts["events"]), slowest)

    def facts(self) -> dict[str, Any]:
        """What the record of the run says of it."""
        return {
            "addresses_slowed": self.addresses,
            "networks_slowed": self.networks,
            "events": {sign.value: self.signs[sign] for sign in Sign},
            "networks": [
                {"network": each.network, "events": each.signs, "interval_s": round(each.interval_s, 3)}
                for each in self.slowest
            ],
        }


class Pace:
    """The pace of every network, and what was learnt of it."""

    def __init__(self, limits: Limits, prefixes: Prefixes | None = None) -> None:
        self.network_of = (prefixes or Prefixes()).network_of
        self.limit_s = interval_of(limits.per_network_rate)
        self._strained: dict[str, _Strain] = {}  # by network; who showed strain last is the last
        self._addresses: dict[str, None] = {}
        self._signs: Counter[str] = Counter()
        self._networks_in_all = self._addresses_in_all = 0

    def interval_s(self, network: str, now: float) -> float:
        """How many seconds lie between two connections to it, at this moment; 0 where there is no limit."""
        strain = self._strained.get(network)
        if strain is None:
            return self.limit_s
        strain.ease(now)
        return self._interval_s(strain)

    def is_slow(self, network: str, now: float) -> bool:
        """Is it slower than its limit?"""
        return self.interval_s(network, now) > self.limit_s

    def heed(self, sign: Sign, address: str, now: float) -> float | None:
        """Hear a sign; for how many seconds the network is to be left alone, None where it goes on as it did."""
        self._signs[sign] += 1
        self._addresses_in_all += _remember(self._addresses, address, None)
        network = self.network_of(address)
        strain = self._strained.pop(network, None) or _Strain()
        self._networks_in_all += not strain.signs
        _remember(self._strained, network, strain)
        strain.signs += 1
        strain.ease(now)
        if not strain.is_heard(address) or now - strain.doubled_at < BURST_IS_WITHIN_S:
            return None
        if address in strain.heard:
            strain.heard[address] += 1
        if self._interval_s(strain) < SLOWEST_S:
            strain.doublings += 1
        strain.doubled_at = strain.eased_at = now
        strain.slowest_s = max(strain.slowest_s, self._interval_s(strain))
        return self._interval_s(strain)

    def learnt(self) -> Learnt:
        """What there is to tell of it."""
        told = (SlowNetwork(name, strain.signs, strain.slowest_s) for name, strain in self._strained.items())
        return Learnt(self._addresses_in_all, self._networks_in_all, Counter(self._signs), _slowest(tuple(told)))

    def _interval_s(self, strain: _Strain) -> float:
        if not strain.doublings:
            return self.limit_s
        doubled = (self.limit_s or USUAL_S) * 2.0**strain.doublings
        return max(self.limit_s, min(doubled, SLOWEST_S))


def _remember(memory: dict[str, Kept], name: str, value: Kept) -> bool:
    """Put something in as the last; what was put in longest ago is forgotten. Was it not there?"""
    is_new = name not in memory
    memory[name] = value
    if len(memory) > MOST_REMEMBERED:
        del memory[next(iter(memory))]
    return is_new


def _slowest(networks: tuple[SlowNetwork, ...]) -> tuple[SlowNetwork, ...]:
    return tuple(nlargest(MOST_TOLD, networks, key=lambda each: (each.interval_s, each.signs, each.network)))
