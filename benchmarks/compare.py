"""`make bench-compare BASE=…`: what got worse since, by more than its noise. Exit status 1 when anything did, and 2
when the two cannot be compared.

Only figures that say the same on any machine are compared: ratios, shares, kilobytes and counts. Less is better in all.

The noise of a figure is the greater of
- its spread over the repetitions (from least to most) in the one run, and that in the other, together;
- 3 % of its median in the base, because the same code differs by so much from one run to the next, however close the
  repetitions of one run are; 10 % where a run measured it only once, and so knows no spread, unless it is a count.

Worse is a median that is higher by more than that. How often that is wrong, or blind, with five repetitions (by
simulation, normal values): where their standard deviation is 1 %, a figure that has not changed is named less than once
in 10,000 times, and one that got worse by 8 % 98 times of 100; where it is 2 %, twice in 10,000, and 15 % 97 times of
100. With three repetitions of 2 %, without reason 6 times in 1,000. A figure of which more samples failed is worse too,
whatever its median.
"""

import json
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.table import Table

from benchmarks.figure import AWAKE, COMPARABLE, TIMES, Figure, figures_of

LEAST_NOISE = 0.03  # of the base's median
NOISE_OF_ONE = 0.10  # where there is no spread
WIDTH = 150  # in a log
LATEST = Path(__file__).parent / "results" / "latest.json"


@dataclass(frozen=True, slots=True)
class Change:
    """A figure in two runs."""

    base: Figure
    new: Figure

    @property
    def noise(self) -> float:
        """What the medians may differ by without that it means anything."""
        once = 1 in (len(self.base.values), len(self.new.values)) and self.base.unit != TIMES
        least = (NOISE_OF_ONE if once else LEAST_NOISE) * abs(self.base.median)
        return max(self.base.spread + self.new.spread, least)

    @property
    def difference(self) -> float:
        """Above 0: worse."""
        return self.new.median - self.base.median

    @property
    def is_worse(self) -> bool:
        """By more than its noise, or because more failed."""
        return self.difference > self.noise or _failed(self.new) > _failed(self.base)

    @property
    def is_better(self) -> bool:
        """By more than its noise."""
        return not self.is_worse and -self.difference > self.noise


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two runs: what both measured, and the names of what only one did."""

    changes: tuple[Change, ...]
    gone: tuple[str, ...]
    came: tuple[str, ...]

    @property
    def worse(self) -> list[Change]:
        """What got worse by more than its noise."""
        return [change for change in self.changes if change.is_worse]


def compared(base: Iterable[Figure], new: Iterable[Figure]) -> Comparison:
    """By name, in the order of the new run."""
    before, after = _comparable(base), _comparable(new)
    return Comparison(
        tuple(Change(before[name], figure) for name, figure in after.items() if name in before),
        tuple(name for name in before if name not in after),
        tuple(name for name in after if name not in before),
    )


def _comparable(figures: Iterable[Figure]) -> dict[str, Figure]:
    return {figure.name: figure for figure in figures if figure.unit in COMPARABLE}


def _failed(figure: Figure) -> float:
    return figure.failures / figure.samples if figure.samples else 0.0


def main(
    base: Annotated[Path, typer.Argument(help="Results of an earlier run.")],
    new: Annotated[Path, typer.Argument(help="Results of the run that is judged.")] = LATEST,
) -> None:
    """Say what changed, and name what got worse by more than its noise."""
    documents = [_read(path) for path in (base, new)]
    if len({bool(document.get(AWAKE)) for document in documents}) > 1:
        _refuse(f"{base} and {new} tell of different things: the one has {AWAKE}, and the other not")
    comparison = compared(*map(figures_of, documents))
    if not comparison.changes:
        _refuse(f"{base} and {new} have no figure in common")
    _print(comparison)
    _print_differences(*documents)
    for change in comparison.worse:
        print(f"worse: {change.new.name}: {_described(change)}")
    sys.exit(bool(comparison.worse))


def _read(path: Path) -> dict[str, Any]:
    try:
        document: dict[str, Any] = json.loads(path.read_bytes())
    except OSError as error:
        _refuse(f"{path}: {error.strerror}")
    except ValueError:
        _refuse(f"{path}: these are no results")
    return document


def _refuse(why: str) -> NoReturn:
    print(why, file=sys.stderr)
    sys.exit(2)


def _print(comparison: Comparison) -> None:
    table = Table(title="Against the base", title_justify="left")
    for column in ("what", "base", "now", "change", "noise", ""):
        table.add_column(column)
    for change in comparison.changes:
        verdict = "WORSE" if change.is_worse else "better" if change.is_better else ""
        numbers = (change.base.median, change.new.median)
        table.add_row(
            change.new.name,
            *(f"{each:.3g}" for each in numbers),
            f"{change.difference:+.2g}",
            f"{change.noise:.2g}",
            verdict,
        )
    Console(width=None if sys.stdout.isatty() else WIDTH).print(table)
    for title, names in (("not measured now", comparison.gone), ("not in the base", comparison.came)):
        for name in names:
            print(f"{title}: {name}")


def _print_differences(base: Mapping[str, Any], new: Mapping[str, Any]) -> None:
    """What may explain a change that is none of the scanner's."""
    for key in ("python", "openssl", "server", "system"):
        if base.get(key) != new.get(key):
            print(f"note: {key} was {base.get(key)}, and is {new.get(key)}")


def _described(change: Change) -> str:
    base, new = change.base, change.new
    text = f"{base.median:.3g} → {new.median:.3g} ({change.difference:+.2g}, noise {change.noise:.2g})"
    if _failed(new) > _failed(base):
        text += f"; failed samples {base.failures} of {base.samples} → {new.failures} of {new.samples}"
    return text


if __name__ == "__main__":
    typer.run(main)
