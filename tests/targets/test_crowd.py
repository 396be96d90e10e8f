"""How much falls on one network: the spans are never walked through, and it is as if they were."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from targets.crowd import busiest, loads
from targets.exclude import Ranges

SPANS = st.lists(st.tuples(st.integers(0, 500), st.integers(0, 300)).map(lambda each: (each[0], sum(each))), max_size=8)


@given(st.lists(st.tuples(SPANS, st.integers(1, 9)), max_size=4), st.integers(0, 6))
def test_as_if_walked_through(lanes: list[tuple[list[tuple[int, int]], int]], bits: int) -> None:
    """The most that falls on a network is what a count of each address says, and it falls on the network named."""
    counted = Counter[int]()
    crowds = []
    for spans, weight in lanes:
        ranges = Ranges(spans)
        crowds.append(loads(ranges, bits, weight))
        for first, last in ranges:
            for value in range(first, last + 1):
                counted[value >> bits] += weight
    found = busiest(*crowds)
    if not counted:
        assert found is None
    else:
        assert found is not None
        assert found[1] == max(counted.values()) == counted[found[0]]


def test_a_large_network_is_not_walked_through() -> None:
    """The whole of IPv6 takes as long as an address."""
    assert busiest(loads([(0, 2**128 - 1)], 80, 3), loads([(5 << 80, 5 << 80)], 80, 1)) == (5, 3 * 2**80 + 1)
