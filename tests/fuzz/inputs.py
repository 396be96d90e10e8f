"""What the bytes of an input mean.

    byte 0   which of a target's subjects (by its remainder)
    byte 1   how the wire ends; from 0xF0 on, the rest is the recipe of a flood
    rest     what is said

The rest is what a server says and nothing else, so that whatever is learnt of a grammar is of use to all ways in which
it can come: how it is cut in pieces is not the input's to say, but follows from it.
"""

import random
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeVar

from scanner.dialogue import End, LimitExceeded, Stop, Violation, WireEnded

T = TypeVar("T")

MAX_INPUT_BYTES = 2_048
FLOOD_BYTES = 65_536
FLOOD = 0xF0  # and in small pieces from here on:
TRICKLE = 0xF8
TRICKLE_BYTES = 64
_MOST_CUTS = 6

# A dialogue is ended by the wire, or by a wire that reads along (the packets of TDS around TLS).
STOPS: tuple[Stop, ...] = (*map(WireEnded, End), Violation("not a packet", b"\x00"), LimitExceeded())


@dataclass(frozen=True, slots=True)
class Input:
    """An input, read."""

    choice: int
    way: int
    said: bytes

    @property
    def stop(self) -> Stop:
        """How the wire ends, once all is said."""
        return STOPS[self.way % len(STOPS)]

    @property
    def is_flood(self) -> bool:
        """Is `said` as much as a connection ever takes, and too much to be tried in many ways?"""
        return self.way >= FLOOD

    def of(self, subjects: Sequence[T]) -> T:
        """The subject that this input is for."""
        return subjects[self.choice % len(subjects)]

    def flood(self) -> list[bytes]:
        """All that is said, in segments, or in many more that are smaller."""
        size = TRICKLE_BYTES if self.way >= TRICKLE else FLOOD_BYTES
        return [self.said[at : at + size] for at in range(0, len(self.said), size)]


def read(raw: bytes) -> Input:
    """The input that these bytes are; those that are missing are zero."""
    choice, way = raw[:2].ljust(2, b"\0")
    said = raw[2 : 2 + MAX_INPUT_BYTES]
    return Input(choice, way, _flooded(said) if way >= FLOOD else said)


def written(said: bytes, choice: int = 0, stop: int = 0) -> bytes:
    """The bytes of an input."""
    return bytes([choice, stop]) + said


def _flooded(recipe: bytes) -> bytes:
    """`first unit unit unit … last`: two bytes tell how long the first part is, and the one that is repeated."""
    first, unit = recipe[:2].ljust(2, b"\0")
    first, unit = 2 + first, 2 + first + unit
    repeated = recipe[first:unit] or b"\0"
    return recipe[2:first] + repeated * (FLOOD_BYTES // len(repeated)) + recipe[unit:]


def flood_of(first: bytes, unit: bytes, last: bytes = b"") -> bytes:
    """The recipe."""
    return bytes([len(first), len(unit)]) + first + unit + last


def cut(data: bytes, places: set[int]) -> list[bytes]:
    """`data` in pieces, cut at these places."""
    within = (place for place in places if 0 < place < len(data))
    return [data[start:stop] for start, stop in pairwise(sorted({0, len(data), *within}))]


def some_places(data: bytes) -> set[int]:
    """A few places in `data`, the same each time."""
    chance = random.Random(zlib.crc32(data))
    return {chance.randrange(len(data)) for _ in range(chance.randint(1, _MOST_CUTS))} if data else set()
