"""What was measured when: one line a run, in a file that the nightly job keeps.

{"time": "2026-11-28T03:00:00+00:00", "figures": {"raw version / s_time": [median, least, most, aim, unit], …}}
"""

import json
from collections.abc import Iterable
from dataclasses import astuple, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from benchmarks.figure import COMPARABLE, Figure, figures_of


@dataclass(frozen=True, slots=True)
class Point:
    """A figure in one run."""

    median: float
    least: float
    most: float
    aim: float | None
    unit: str


@dataclass(frozen=True, slots=True)
class Night:
    """One run: its figures that say the same on any machine."""

    time: datetime
    points: dict[str, Point]

    def line(self) -> str:
        """As the file has it."""
        figures = {name: astuple(point) for name, point in self.points.items()}
        return json.dumps({"time": self.time.isoformat(), "figures": figures}, ensure_ascii=False) + "\n"


def night_of(document: dict[str, Any]) -> Night:
    """That of a results file."""
    return Night(datetime.fromisoformat(document["time"]), _points(figures_of(document)))


def _points(figures: Iterable[Figure]) -> dict[str, Point]:
    return {
        figure.name: Point(figure.median, min(figure.values), max(figure.values), figure.aim, figure.unit)
        for figure in figures
        if figure.unit in COMPARABLE
    }


def append(history: Path, night: Night) -> None:
    """Write one more line."""
    with history.open("a", encoding="utf-8") as lines:
        lines.write(night.line())


def nights(history: Path, results: Path) -> list[Night]:
    """Those of the file, and of the dated results that are kept beside; by time, each once."""
    found = {night.time: night for night in map(night_of, map(_loaded, sorted(results.glob("20*.json"))))}
    if history.exists():
        with history.open(encoding="utf-8") as lines:
            found |= {night.time: night for night in map(_read, lines)}
    return [found[time] for time in sorted(found)]


def _loaded(path: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(path.read_bytes())
    return document


def _read(line: str) -> Night:
    data = json.loads(line)
    return Night(
        datetime.fromisoformat(data["time"]), {name: Point(*values) for name, values in data["figures"].items()}
    )
