"""What is measured, and how often: a figure is a median with its spread over repetitions."""

import statistics
from dataclasses import dataclass
from typing import Any

# Units that say the same on any machine: only such figures are compared between runs. In all of them less is better.
RATIO, SHARE, KILOBYTES, TIMES = "ratio", "share", "KB", "times"
COMPARABLE = frozenset({RATIO, SHARE, KILOBYTES, TIMES})
CPU, OF_WALL = "µs CPU", "of wall"
AWAKE = "idle cores awake"  # in a results file, whether they were; see awake.py


@dataclass(frozen=True, slots=True)
class Figure:
    """Measurements of the same thing in one run."""

    name: str
    unit: str
    values: tuple[float, ...]
    aim: float | None = None  # at most
    failures: int = 0  # samples that did not get what they asked for
    samples: int = 0

    @property
    def median(self) -> float:
        """The middle of all repetitions."""
        return statistics.median(self.values)

    @property
    def spread(self) -> float:
        """From the least to the most of the repetitions."""
        return max(self.values) - min(self.values)

    @property
    def reached(self) -> bool | None:
        """Is the aim reached? None where there is none."""
        return None if self.aim is None else self.median <= self.aim and not self.failures

    def over(self, yardstick: "Figure", name: str, aim: float | None = None) -> "Figure":
        """Each repetition in units of the yardstick of the same one; of its median where they are not as many."""
        paired = len(self.values) == len(yardstick.values)
        theirs = yardstick.values if paired else (yardstick.median,) * len(self.values)
        ratios = tuple(mine / its for mine, its in zip(self.values, theirs, strict=True))
        return Figure(name, RATIO, ratios, aim, self.failures, self.samples)

    def document(self) -> dict[str, Any]:
        """As the results file has it."""
        return {
            "name": self.name,
            "unit": self.unit,
            "median": self.median,
            "values": self.values,
            "aim": self.aim,
            "reached": self.reached,
            "failures": self.failures,
            "samples": self.samples,
        }


def figures_of(document: dict[str, Any]) -> list[Figure]:
    """Those of a results file. Where idle cores were kept awake, what that makes less has it in its name."""
    fields = ("unit", "aim", "failures", "samples")
    return [
        Figure(_name(each, document), values=tuple(each["values"]), **{field: each[field] for field in fields})
        for each in document["figures"]
    ]


def _name(figure: dict[str, Any], document: dict[str, Any]) -> str:
    is_less = document.get(AWAKE) and figure["unit"] not in (KILOBYTES, TIMES)
    return f"{figure['name']}, {AWAKE}" if is_less else str(figure["name"])
