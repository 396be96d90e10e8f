"""How much falls on one network, or on one address, at the most: worked out from spans, so that a /8 costs nothing."""

from collections.abc import Iterable, Iterator
from heapq import merge
from itertools import chain

from targets.network import Span

Load = tuple[int, int, int]  # on each of the numbers from the first to the second


def loads(spans: Iterable[Span], bits: int, weight: int) -> Iterator[Load]:
    """What disjoint spans in their order put on each network of `bits` host bits, `weight` by an address of theirs.

    Networks are numbered: the address without its host bits. The loads are disjoint, and in order.
    """
    held: Load | None = None
    for piece in chain.from_iterable(_pieces(span, bits) for span in spans):
        first, last, addresses = piece
        if held and held[1] == first:  # two spans in one network
            held = first, first, held[2] + addresses * weight
            continue
        if held:
            yield held
        held = first, last, addresses * weight
    if held:
        yield held


def busiest(*lanes: Iterable[Load]) -> tuple[int, int] | None:
    """The first of the numbers on which most falls by all of these together, and how much that is."""
    level = 0
    best: tuple[int, int] | None = None
    for number, change in merge(*map(_changes, lanes)):
        level += change
        if best is None or level > best[1]:
            best = number, level
    return best


def _pieces(span: Span, bits: int) -> Iterator[tuple[int, int, int]]:
    """A network in part, networks that are whole, a network in part: each with its addresses in the span."""
    first, last = span
    low, high = first >> bits, last >> bits
    if low == high:
        yield low, low, last - first + 1
        return
    yield low, low, (low + 1 << bits) - first
    if low + 1 < high:
        yield low + 1, high - 1, 1 << bits
    yield high, high, last - (high << bits) + 1


def _changes(lane: Iterable[Load]) -> Iterator[tuple[int, int]]:
    """Where the load begins, and where it ends again; at one number, what ends comes first."""
    for first, last, load in lane:
        yield first, load
        yield last + 1, -load
