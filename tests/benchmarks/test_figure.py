"""Figures: medians, ratios, aims, and the way through a results file and back."""

import json

import pytest

from benchmarks.cost import Yardsticks, cost_of
from benchmarks.figure import Figure, figures_of

SPENT = [
    {"user_s": 1.0, "system_s": 0.5, "wall_s": 4.0},
    {"user_s": 2.0, "system_s": 1.0, "wall_s": 5.0},
    {"user_s": 1.5, "system_s": 0.5, "wall_s": 9.0},
]


def test_the_ratio_is_taken_in_each_repetition() -> None:
    """A machine that was slow for one repetition was so for its yardstick too."""
    ratio = Figure("own", "µs CPU", (10.0, 40.0, 20.0)).over(Figure("y", "µs CPU", (5.0, 20.0, 10.0)), "own / y")
    assert (ratio.values, ratio.median, ratio.spread, ratio.unit) == ((2.0, 2.0, 2.0), 2.0, 0.0, "ratio")


def test_fewer_repetitions_than_the_yardstick_has() -> None:
    """Then all are held against its median."""
    ratio = Figure("own", "µs CPU", (10.0, 40.0)).over(Figure("y", "µs CPU", (5.0, 20.0, 10.0)), "own / y")
    assert ratio.values == (1.0, 4.0)


@pytest.mark.parametrize(
    ("median", "aim", "failures", "reached"),
    [(1.0, None, 0, None), (1.0, 1.0, 0, True), (1.1, 1.0, 0, False), (1.0, 1.0, 1, False)],
)
def test_an_aim(median: float, aim: float | None, failures: int, reached: bool | None) -> None:
    """At most; and one sample that failed misses it."""
    assert Figure("own", "ratio", (median,), aim, failures, 10).reached is reached


def test_there_and_back() -> None:
    """What a results file says of figures is what they were."""
    figures = [
        Figure("one", "ratio", (0.3, 0.1, 0.2), 0.25, 1, 300),
        Figure("two, wall", "µs", (5.0,)),
    ]
    document = json.loads(json.dumps({"figures": [figure.document() for figure in figures]}))
    assert figures_of(document) == figures
    assert document["figures"][0] | {"median": 0.2, "reached": False} == document["figures"][0]


def test_cpu_apart_from_wall() -> None:
    """A cost is user and system time of one unit; the wall-clock time stands beside it, and in no ratio."""
    cost = cost_of("own", SPENT, 1_000_000, failures=7)
    assert cost.cpu == Figure("own", "µs CPU", (1.5, 3.0, 2.0), None, 7, 3_000_000)
    assert cost.wall == Figure("own, wall", "µs", (4.0, 5.0, 9.0))


def test_a_cost_is_held_against_both_yardsticks() -> None:
    """The aim is one in handshakes, and the floor's kind is in the name."""
    yardsticks = Yardsticks(cost_of("openssl s_time", SPENT, 1), cost_of("floor in C", SPENT, 10))
    figures = {figure.name: figure for figure in yardsticks.figures(cost_of("own", SPENT, 2), aim=0.6)}
    assert list(figures) == ["own", "own, wall", "own / s_time", "own / floor in C"]
    assert figures["own / s_time"].values == pytest.approx((0.5, 0.5, 0.5))
    assert figures["own / floor in C"].values == pytest.approx((5, 5, 5))
    assert [figure.reached for figure in figures.values()] == [None, None, True, None]
