"""A network → its addresses, lazily and in a seeded order, as the numbers that they are; and a number → its text."""

from array import array
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from ipaddress import IPv6Address
from itertools import accumulate

from targets.permutation import permuted

Span = tuple[int, int]  # the first and the last address, both in it

MOST_APART = 2**63  # the addresses of a row


def addresses(spans: Sequence[Span], key: bytes) -> Iterator[int]:
    """Every address of the spans once, in the order that the key decides: a /8 costs no more memory than a /32."""
    if not spans:
        return iter(())
    ranks = permuted(size(spans), key)
    if len(spans) == 1:
        first = spans[0][0]
        return (first + rank for rank in ranks)
    return _placed(ranks, spans)


class Row:
    """Spans in ascending order, 16 bytes each: a share of all of IPv4 has a million. They are less than 2^64 wide."""

    __slots__ = ("_ends", "_first", "_shifts")

    def __init__(self) -> None:
        self._first = 0
        self._ends = array("Q")  # how many addresses there are up to the end of each
        self._shifts = array("Q")  # what its addresses, counted from the first of all, are above their ranks

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    def reaches(self, last: int) -> bool:
        """Is this address near enough to the first one to be put in? IPv6 networks may be very far apart."""
        return not self._ends or last - self._first < MOST_APART

    def add(self, first: int, last: int) -> None:
        """Put a span behind the others; one that touches the last makes it longer."""
        if not self._ends:
            self._first = first
        end, shift = len(self), first - self._first - len(self)
        if self._ends and self._shifts[-1] == shift:
            self._ends[-1] = end + last - first + 1
        else:
            self._ends.append(end + last - first + 1)
            self._shifts.append(shift)

    def spans(self) -> Iterator[Span]:
        """Those that it has, in order."""
        begin = 0
        for end, shift in zip(self._ends, self._shifts, strict=True):
            yield self._first + begin + shift, self._first + end - 1 + shift
            begin = end

    def addresses(self, key: bytes) -> Iterator[int]:
        """Every address once, in the order that the key decides."""
        if not self._ends:
            return
        for rank in permuted(len(self), key):
            yield self._first + rank + self._shifts[bisect_right(self._ends, rank)]


def size(spans: Iterable[Span]) -> int:
    """How many addresses the spans have."""
    return sum(last - first + 1 for first, last in spans)


def address_text(version: int, value: int) -> str:
    """The canonical text of an address (RFC 5952 for IPv6)."""
    if version == 4:  # by hand: a third of what IPv4Address takes, for each of 16 million addresses of a /8
        return f"{value >> 24}.{value >> 16 & 255}.{value >> 8 & 255}.{value & 255}"
    return str(IPv6Address(value))


def _placed(ranks: Iterable[int], spans: Sequence[Span]) -> Iterator[int]:
    """The address at each rank, where the spans stand in a row."""
    ends = list(accumulate(last - first + 1 for first, last in spans))
    shifts = [last + 1 - end for (_, last), end in zip(spans, ends, strict=True)]
    for rank in ranks:
        yield rank + shifts[bisect_right(ends, rank)]
