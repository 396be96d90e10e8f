"""The tables: every figure is in one of them, with its aim and what failed."""

import pytest

from benchmarks.cost import Yardsticks, cost_of
from benchmarks.figure import Figure
from benchmarks.peers import Peer
from benchmarks.tables import print_all

SPENT = [{"user_s": 1.0, "system_s": 0.5, "wall_s": 4.0}] * 3


def test_all_that_was_measured(capsys: pytest.CaptureFixture[str]) -> None:
    """A cost stands in one row with its wall-clock time and its ratios; the others in rows of their own."""
    yardsticks = Yardsticks(cost_of("openssl s_time", SPENT, 1_000), cost_of("floor in C", SPENT, 10_000))
    cost = cost_of("endpoint", SPENT, 500, failures=2)
    figures = [*yardsticks.own_figures(), *yardsticks.figures(cost, aim=1.5), Figure("that waits", "KB", (30.5,), 25)]
    print_all(figures, [Peer("fast", "little", "much", 6_000.0, 7_000.0), Peer("absent", "all", "nothing")])
    rows = {row.split("│")[1].strip(): row for row in capsys.readouterr().out.splitlines() if row.startswith("│ ")}
    rows.pop("", None)  # where a row goes on
    assert list(rows) == ["openssl s_time", "floor in C", "endpoint", "that waits", "tlsweep", "fast", "absent"]
    endpoint = [cell.strip() for cell in rows["endpoint"].split("│")[2:-1]]
    assert endpoint[4:] == ["MISSED (≤ 1.5)", "2 of 1,500"]
    assert [cell.split()[0] for cell in endpoint[:4]] == ["3,000", "8,000", "2", "20"]
    assert "30.5" in rows["that waits"]
    assert "MISSED (≤ 25)" in rows["that waits"]
    assert [cell.strip() for cell in rows["fast"].split("│")[2:-1]] == ["6,000", "7,000", "2.0", "little", "much"]
    assert "not installed" in rows["absent"]
