"""Spans → addresses."""

from ipaddress import IPv4Address, IPv6Address
from itertools import islice

from hypothesis import given
from hypothesis import strategies as st

from targets.exclude import Ranges
from targets.network import address_text, addresses, size
from tests.targets.spans import written_out

SPANS = st.lists(st.tuples(st.integers(0, 400), st.integers(0, 90)).map(lambda span: (span[0], sum(span))), max_size=6)


def test_addresses_come_lazily() -> None:
    """The spans of a whole address family begin at once."""
    spans = [(5, 6), (10, 2**128)]
    first = list(islice(addresses(spans, b"key"), 4))
    assert len(set(first)) == 4
    assert all(value in Ranges(spans) for value in first)
    assert size(spans) == 2**128 - 7


@given(SPANS, st.binary(max_size=9))
def test_every_address_comes_once(written: list[tuple[int, int]], key: bytes) -> None:
    """However many spans there are, each of their addresses comes once, and no other, in the key's order."""
    spans = list(Ranges(written))
    order = list(addresses(spans, key))
    assert sorted(order) == written_out(spans)
    assert order == list(addresses(spans, key))


@given(st.integers(0, 2**32 - 1))
def test_ipv4_text(value: int) -> None:
    """The text made by hand is the library's."""
    assert address_text(4, value) == str(IPv4Address(value))


@given(st.integers(0, 2**128 - 1))
def test_ipv6_text(value: int) -> None:
    """IPv6 text reads back as the same address."""
    assert IPv6Address(address_text(6, value)) == IPv6Address(value)
