"""The comparison of two runs: what is worse by more than its noise, and what that noise is."""

import json
import random
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.compare import Change, compared
from benchmarks.figure import AWAKE, Figure

ROOT = Path(__file__).parents[2]
SEED = 20261128


def ratio(*values: float, name: str = "own / s_time", failures: int = 0) -> Figure:
    """A figure that is compared."""
    return Figure(name, "ratio", values, failures=failures, samples=1_000)


def drawn(chance: random.Random, mean: float, deviation: float) -> Figure:
    """Five repetitions of it."""
    return ratio(*(chance.gauss(mean, deviation) for _ in range(5)))


@pytest.mark.parametrize(
    ("base", "new", "noise", "is_worse"),
    [
        ((1.00, 1.01, 0.99), (1.06, 1.07, 1.05), 0.04, True),
        ((1.00, 1.05, 0.95), (1.06, 1.11, 1.01), 0.20, False),  # wide repetitions on both sides
        ((1.00, 1.00, 1.00), (1.02, 1.02, 1.02), 0.03, False),  # not wide at all, but runs differ
        ((1.00, 1.00, 1.00), (1.04, 1.04, 1.04), 0.03, True),
        ((1.00,), (1.08,), 0.10, False),  # measured once: no spread is known
        ((1.00,), (1.12,), 0.10, True),
        ((1.00, 1.01, 0.99), (0.90, 0.91, 0.89), 0.04, False),  # better
    ],
)
def test_noise(base: tuple[float, ...], new: tuple[float, ...], noise: float, is_worse: bool) -> None:
    """Both spreads together, and at least so much of the base."""
    change = Change(ratio(*base), ratio(*new))
    assert change.noise == pytest.approx(noise)
    assert change.is_worse is is_worse


def test_better() -> None:
    """By more than the noise too."""
    assert Change(ratio(1.00, 1.01, 0.99), ratio(0.90, 0.91, 0.89)).is_better
    assert not Change(ratio(1.00, 1.01, 0.99), ratio(0.98, 0.99, 0.97)).is_better


def test_a_count_has_no_chance_in_it() -> None:
    """One more of twenty is worse, though it was counted once."""
    assert Change(Figure("parsed", "times", (20.0,)), Figure("parsed", "times", (21.0,))).is_worse


def test_more_failed_samples_are_worse() -> None:
    """Whatever the median says: who answers nothing is quick."""
    assert Change(ratio(1.0, 1.0), ratio(0.5, 0.5, failures=3)).is_worse
    assert not Change(ratio(1.0, 1.0, failures=3), ratio(1.0, 1.0, failures=3)).is_worse


@pytest.mark.parametrize(
    ("worse_by", "deviation", "least", "most"),
    [(0.0, 0.01, 0, 1), (0.0, 0.02, 0, 2), (0.08, 0.01, 960, 1_000), (0.15, 0.02, 950, 1_000), (-0.1, 0.01, 0, 0)],
)
def test_how_often_it_is_right(worse_by: float, deviation: float, least: int, most: int) -> None:
    """Of a thousand comparisons of five repetitions each, as the module's head says."""
    chance = random.Random(SEED)
    named = sum(
        Change(drawn(chance, 1, deviation), drawn(chance, 1 + worse_by, deviation)).is_worse for _ in range(1_000)
    )
    assert least <= named <= most


def test_only_what_says_the_same_on_any_machine() -> None:
    """Microseconds are not compared; what only one run has is named."""
    base = [ratio(1.0, name="both"), ratio(1.0, name="gone"), Figure("raw", "µs CPU", (1.0,))]
    new = [Figure("raw", "µs CPU", (9.0,)), ratio(1.0, name="came"), ratio(1.0, name="both")]
    comparison = compared(base, new)
    assert [change.new.name for change in comparison.changes] == ["both"]
    assert (comparison.gone, comparison.came) == (("gone",), ("came",))
    assert comparison.worse == []


def results(path: Path, *figures: Figure, server: str = "nginx") -> Path:
    """A results file."""
    document = {"time": "2026-11-28T03:00:00+00:00", "server": server, "figures": [each.document() for each in figures]}
    path.write_text(json.dumps(document))
    return path


def run(base: Path, new: Path) -> tuple[int, str]:
    """The command: its exit status, and what it says."""
    command = [sys.executable, "-m", "benchmarks.compare", str(base), str(new)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def test_the_command_names_what_is_worse(tmp_path: Path) -> None:
    """Exit status 1, and the name of that figure, of it alone."""
    base = results(tmp_path / "base", ratio(1.0, 1.01, name="slow / s_time"), ratio(2.0, 2.01, name="same / s_time"))
    new = results(
        tmp_path / "new", ratio(1.2, 1.21, name="slow / s_time"), ratio(2.0, 2.02, name="same / s_time"), server="other"
    )
    status, said = run(base, new)
    assert status == 1
    assert "worse: slow / s_time: 1 → 1.21" in said
    assert "worse: same" not in said
    assert "note: server was nginx, and is other" in said
    assert run(base, base)[0] == 0


def test_runs_with_nothing_in_common(tmp_path: Path) -> None:
    """That is no success, nor that anything got worse."""
    status, said = run(results(tmp_path / "a", ratio(1.0, name="a")), results(tmp_path / "b", ratio(1.0, name="b")))
    assert status == 2
    assert "have no figure in common" in said


def test_cores_that_slept_and_cores_that_did_not(tmp_path: Path) -> None:
    """What was counted and weighed would be the same; but nobody is to take that for no change in costs."""
    base = results(tmp_path / "base", ratio(1.0), Figure("held", "KB", (1.0,)))
    new = tmp_path / "new"
    new.write_text(json.dumps({**json.loads(base.read_text()), AWAKE: True}))
    assert run(new, new)[0] == 0
    status, said = run(base, new)
    assert (status, said) == (2, f"{base} and {new} tell of different things: the one has {AWAKE}, and the other not\n")


@pytest.mark.parametrize(
    ("content", "why"), [(None, "latest.json: No such file or directory"), ("{", "latest.json: these are no results")]
)
def test_what_cannot_be_read(tmp_path: Path, content: str | None, why: str) -> None:
    """A night without results is told from one that got worse."""
    latest = tmp_path / "latest.json"
    if content is not None:
        latest.write_text(content)
    status, said = run(results(tmp_path / "base", ratio(1.0)), latest)
    assert (status, said) == (2, f"{latest.parent}/{why}\n")
