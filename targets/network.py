"""A network → its addresses, lazily and in order, as the numbers that they are; and a number → its text."""

from collections.abc import Iterable, Iterator
from ipaddress import IPv6Address
from itertools import chain

Span = tuple[int, int]  # the first and the last address, both in it


def addresses(spans: Iterable[Span]) -> Iterator[int]:
    """Every address of the spans, one at a time: a /8 costs no more memory than a /32."""
    return chain.from_iterable(range(first, last + 1) for first, last in spans)


def size(spans: Iterable[Span]) -> int:
    """How many addresses the spans have."""
    return sum(last - first + 1 for first, last in spans)


def address_text(version: int, value: int) -> str:
    """The canonical text of an address (RFC 5952 for IPv6)."""
    if version == 4:  # by hand: a third of what IPv4Address takes, for each of 16 million addresses of a /8
        return f"{value >> 24}.{value >> 16 & 255}.{value >> 8 & 255}.{value & 255}"
    return str(IPv6Address(value))
