"""What is measured, and how often: a figure is a median with its spread over repetitions."""

import statistics
from dataclasses import dataclass


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
    def reached(self) -> bool | None:
        """Is the aim reached? None where there is none."""
        return None if self.aim is None else self.median <= self.aim and not self.failures

    def over(self, yardstick: "Figure", name: str, aim: float | None = None) -> "Figure":
        """Each repetition in units of the yardstick of the same repetition."""
        ratios = tuple(mine / theirs for mine, theirs in zip(self.values, yardstick.values, strict=True))
        return Figure(name, "ratio", ratios, aim, self.failures, self.samples)
