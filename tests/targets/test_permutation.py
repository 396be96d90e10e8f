"""Numbers in an order that looks random."""

from collections import Counter
from itertools import islice, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from targets.permutation import _is_prime, _safe_prime_above, permuted


def test_every_small_size() -> None:
    """Each number comes once, whatever the size."""
    for size in range(1, 1500):
        assert sorted(permuted(size, b"key")) == list(range(size))


@given(st.integers(1, 30_000), st.binary(max_size=20))
def test_each_number_once(size: int, key: bytes) -> None:
    """Each number comes once, whatever the key."""
    assert sorted(permuted(size, key)) == list(range(size))


@given(st.integers(1, 2**128), st.binary(max_size=20))
def test_any_size_begins_at_once(size: int, key: bytes) -> None:
    """The order of a whole address family begins like any other: distinct numbers within the size."""
    first = list(islice(permuted(size, key), 20))
    assert len(set(first)) == min(20, size)
    assert all(0 <= number < size for number in first)
    assert first == list(islice(permuted(size, key), 20))


def test_an_order_stays_what_it_is() -> None:
    """A seed of last year gives last year's order: these numbers may not change."""
    assert list(permuted(10, b"1/192.0.2.0/24/smtp")) == [2, 1, 4, 6, 0, 7, 8, 5, 3, 9]
    assert list(islice(permuted(2**64, b"key"), 2)) == [888268839503526333, 6609862188680251908]


def test_keys_give_orders_of_their_own() -> None:
    """A hundred keys give a hundred orders, and begin anywhere."""
    orders = [tuple(permuted(256, b"%d" % key)) for key in range(100)]
    assert len(set(orders)) == 100
    assert len({order[0] for order in orders}) > 60


def test_the_order_spreads() -> None:
    """A /16 is not asked /24 by /24: no window of it prefers one, and neighbours do not follow one another."""
    order = list(permuted(2**16, b"key"))
    for start in range(0, 2**16, 4096):
        most = Counter(number >> 8 for number in order[start : start + 4096]).most_common(1)[0][1]
        assert most < 16 * 4
    assert sum(abs(one - other) <= 256 for one, other in pairwise(order)) < 2**16 / 40


def test_safe_primes() -> None:
    """The prime is the smallest above the size that is safe; found by dividing, that is."""
    safe = [number for number in range(5, 3000) if _is_prime_by_dividing(number) and _is_prime_by_dividing(number // 2)]
    for size in range(1, 2800):
        assert _safe_prime_above(size) == next(prime for prime in safe if prime > size)


@pytest.mark.parametrize("composite", [2047, 1373653, 3215031751, 3825123056546413051, 318665857834031151167461])
def test_strong_pseudoprimes(composite: int) -> None:
    """What some witnesses take for prime, all of them together do not (OEIS A014233)."""
    assert not _is_prime(composite)


def _is_prime_by_dividing(number: int) -> bool:
    return number > 1 and all(number % divisor for divisor in range(2, int(number**0.5) + 1))
