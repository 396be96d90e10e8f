"""Spans → addresses."""

from ipaddress import IPv4Address, IPv6Address
from itertools import islice

from hypothesis import given
from hypothesis import strategies as st

from targets.network import address_text, addresses, size


def test_addresses_come_lazily_and_in_order() -> None:
    """The spans of a whole address family begin at once."""
    assert list(islice(addresses([(5, 6), (10, 2**128)]), 4)) == [5, 6, 10, 11]
    assert size([(5, 6), (10, 2**128)]) == 2**128 - 7


@given(st.integers(0, 2**32 - 1))
def test_ipv4_text(value: int) -> None:
    """The text made by hand is the library's."""
    assert address_text(4, value) == str(IPv4Address(value))


@given(st.integers(0, 2**128 - 1))
def test_ipv6_text(value: int) -> None:
    """IPv6 text reads back as the same address."""
    assert IPv6Address(address_text(6, value)) == IPv6Address(value)
