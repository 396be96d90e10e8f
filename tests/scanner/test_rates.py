"""How fast, of late; and when it will be over, without flapping."""

import random
from itertools import pairwise

import pytest

from scanner.rates import Rates


def run(seconds: int, per_second: float, rates: Rates | None = None, begin: int = 0) -> Rates:
    """So many seconds at one pace, looked at twice a second."""
    made = rates or Rates(0.0)
    for half in range(begin * 2, (begin + seconds) * 2):
        made.note((half + 1) / 2, int((half + 1) / 2 * per_second), int((half + 1) * per_second))
    return made


def test_lately() -> None:
    """The rates are those of the last ten seconds, whatever was before."""
    rates = run(100, 20)
    rates.note(105, 2_000, 4_000)
    assert rates.lately == pytest.approx((10, 20))


@pytest.mark.parametrize(
    ("seconds", "endpoints", "left"),
    [(2, 100, None), (20, 100, 5), (20, 1_000, 50), (100, 20_000, 1_020), (50, 10**6, 50_400), (50, 0, 0)],
)
def test_seconds_left(seconds: int, endpoints: int, left: int | None) -> None:
    """Rough, in steps that grow with it; nothing is told of the first seconds."""
    assert run(seconds, 20).seconds_left(endpoints) == left


def test_nothing_moves() -> None:
    """Then nobody can tell."""
    assert run(100, 0).seconds_left(10) is None
    assert Rates(5.0).lately == (0.0, 0.0)


def test_it_does_not_flap() -> None:
    """A run whose rate jumps up and down from second to second has an end that comes nearer."""
    chance, rates, done, told = random.Random(6), Rates(0.0), 0, []
    for second in range(1, 3_000):
        done += chance.choice((10, 30, 50, 70))
        rates.note(float(second), done, done)
        if second > 300:
            told.append((second, rates.seconds_left(400_000 - done)))
    ends = [second + left for second, left in told if left is not None]
    assert len(ends) == len(told)
    assert max(ends) - min(ends) < 0.15 * min(ends)
    rises = sum((one[1] or 0) < (other[1] or 0) for one, other in pairwise(told))
    assert rises < len(told) / 20


def test_bounded_memory() -> None:
    """A run of days keeps no more than the last quarter of an hour."""
    assert len(run(5_000, 7)._samples) <= 902
