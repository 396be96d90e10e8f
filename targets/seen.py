"""Which endpoints this run already has: each (host, address, port, service) is scanned once.

Single endpoints are 64-bit keyed hashes in open-addressing tables of plain numbers: 12 to 24 bytes an endpoint, where
a Python set of tuples takes 240. There are 256 small tables instead of a big one, so that growing holds neither the
whole table twice in memory nor the event loop for seconds. Two endpoints share a hash, and one is left out wrongly,
with a probability of n² / 2^65: one in four thousand for a run of 100 million. The key is random, so that nobody
can choose names that collide.

Networks are intervals for each service and port, whatever their size.
"""

import os
from array import array
from collections.abc import Callable
from hashlib import blake2b

from targets.exclude import Ranges
from targets.network import Span

_SHARDS = 256  # by the first byte of the hash
_FIRST_SLOTS = 8  # a power of two, as all sizes are
_SLOT_BYTES = 8


class HashSet:
    """A set of 64-bit numbers other than 0, which marks a free slot: one array, linear probing."""

    __slots__ = ("_mask", "_slots", "_used")

    def __init__(self) -> None:
        self._slots = _free_slots(_FIRST_SLOTS)
        self._mask = _FIRST_SLOTS - 1
        self._used = 0

    def add(self, number: int) -> bool:
        """Put the number in; False if it was there."""
        index = self._slot_of(number)
        if self._slots[index]:
            return False
        self._slots[index] = number
        self._used += 1
        if self._used * 3 > len(self._slots) * 2:  # beyond two thirds, probing gets long
            self._grow()
        return True

    def __contains__(self, number: int) -> bool:
        return self._slots[self._slot_of(number)] != 0

    @property
    def nbytes(self) -> int:
        """What the slots take."""
        return len(self._slots) * _SLOT_BYTES

    def _slot_of(self, number: int) -> int:
        """Where the number is, or the free slot where it belongs."""
        slots, mask = self._slots, self._mask
        index = number & mask
        while (held := slots[index]) and held != number:
            index = index + 1 & mask
        return index

    def _grow(self) -> None:
        old = self._slots
        self._slots = _free_slots(len(old) * 2)
        self._mask = len(self._slots) - 1
        for number in filter(None, old):
            self._slots[self._slot_of(number)] = number


class KeySet:
    """Any number of byte strings, by their keyed hashes."""

    def __init__(self, key: bytes | None = None) -> None:
        self._hasher = blake2b(digest_size=8, key=os.urandom(16) if key is None else key)
        self._shards = [HashSet() for _ in range(_SHARDS)]

    def add(self, item: bytes) -> bool:
        """Put it in; False if it was there."""
        number = self._hash(item)
        return self._shards[number >> 56].add(number)

    def __contains__(self, item: bytes) -> bool:
        number = self._hash(item)
        return number in self._shards[number >> 56]

    @property
    def nbytes(self) -> int:
        """What the tables take."""
        return sum(shard.nbytes for shard in self._shards)

    def _hash(self, item: bytes) -> int:
        hasher = self._hasher.copy()  # the key block is compressed once, not for each item
        hasher.update(item)
        return int.from_bytes(hasher.digest(), "big") or 1


class Lane:
    """The addresses, without a name, that were seen for one service and port of one address family."""

    __slots__ = ("_networks", "_prefix", "_record", "_was_recorded", "singles")

    def __init__(self, prefix: bytes, record: Callable[[bytes], bool], was_recorded: Callable[[bytes], bool]) -> None:
        self._prefix = prefix
        self._record = record
        self._was_recorded = was_recorded
        self._networks = Ranges()
        self.singles = 0

    def add(self, value: int) -> bool:
        """Note one address; False if it was seen before, singly or in a network."""
        if value in self._networks or not self._record(self._key(value)):
            return False
        self.singles += 1
        return True

    def add_network(self, spans: list[Span]) -> list[Span]:
        """Note a network's spans; the parts that no earlier network had.

        Addresses in them may have been seen singly: where `singles` is not 0, ask `seen_singly` for each.
        """
        fresh = [part for first, last in spans for part in self._networks.without(first, last)]
        for first, last in fresh:
            self._networks.add(first, last)
        return fresh

    def seen_singly(self, value: int) -> bool:
        """Whether this address came as a target of its own."""
        return self._was_recorded(self._key(value))

    def _key(self, value: int) -> bytes:
        return self._prefix + value.to_bytes(16, "big")


class Seen:
    """What a run has seen so far."""

    def __init__(self, key: bytes | None = None) -> None:
        self._keys = KeySet(key)
        self._lanes: dict[tuple[int, str, int], Lane] = {}

    def add_named(self, host: str, address: str, port: int, service: str) -> bool:
        """Note an endpoint with a name; False if it was seen before."""
        return self._keys.add(f"{host}/{address}/{port}/{service}".encode())

    def lane(self, version: int, service: str, port: int) -> Lane:
        """The addresses without a name for this family, service and port."""
        if (lane := self._lanes.get((version, service, port))) is None:
            prefix = f"/{version}/{service}/{port}/".encode()  # no host name begins with '/'
            lane = self._lanes[version, service, port] = Lane(prefix, self._keys.add, self._keys.__contains__)
        return lane

    @property
    def nbytes(self) -> int:
        """What the tables of single endpoints take."""
        return self._keys.nbytes


def _free_slots(count: int) -> "array[int]":
    return array("Q", bytes(count * _SLOT_BYTES))
