"""What one unit of some work cost: CPU, wall-clock time beside it, and the CPU in units of the yardsticks."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from benchmarks.figure import CPU, OF_WALL, Figure

MICRO = 1_000_000


@dataclass(frozen=True, slots=True)
class Cost:
    """µs for one unit, in each repetition."""

    name: str
    cpu_us: tuple[float, ...]
    wall_us: tuple[float, ...]
    aim_us: float | None = None  # of the CPU, at most
    failures: int = 0
    samples: int = 0

    @property
    def cpu(self) -> Figure:
        """User and system."""
        return Figure(self.name, CPU, self.cpu_us, self.aim_us, self.failures, self.samples)

    @property
    def wall(self) -> Figure:
        """How long one unit took of the whole, with all that went on at once: this says more about the machine."""
        return Figure(f"{self.name}, wall", "µs", self.wall_us)


@dataclass(frozen=True, slots=True)
class Yardsticks:
    """What is measured anew in the same run: a handshake of OpenSSL's own client, and the floor of a raw version."""

    s_time: Cost
    floor: Cost

    def figures(self, cost: Cost, aim: float | None = None) -> list[Figure]:
        """A cost as CPU, as wall-clock time, and in units of both yardsticks; the aim is one in handshakes."""
        return [
            cost.cpu,
            cost.wall,
            cost.cpu.over(self.s_time.cpu, f"{cost.name} / s_time", aim),
            cost.cpu.over(self.floor.cpu, f"{cost.name} / {self.floor.name}"),
        ]

    def own_figures(self) -> list[Figure]:
        """The yardsticks themselves."""
        return [self.s_time.cpu, self.s_time.wall, self.floor.cpu, self.floor.wall]


def waited(name: str, spent: Iterable[Mapping[str, Any]]) -> Figure:
    """The share of its time in which the client could have run, while something else had the core.

    Where that is much, idle connections tell of the machine, and not of the scanner.
    """
    return Figure(f"{name}, waited for the core", OF_WALL, tuple(each["waited_s"] / each["wall_s"] for each in spent))


def cost_of(
    name: str, spent: Iterable[Mapping[str, Any]], units: int, *, aim_us: float | None = None, failures: int = 0
) -> Cost:
    """From what each repetition says that it took: `user_s`, `system_s` and `wall_s` for so many units."""
    all_spent = list(spent)
    return Cost(
        name,
        tuple((each["user_s"] + each["system_s"]) / units * MICRO for each in all_spent),
        tuple(each["wall_s"] / units * MICRO for each in all_spent),
        aim_us,
        failures,
        units * len(all_spent),
    )
