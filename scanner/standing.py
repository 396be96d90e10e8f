"""How a run stands, at one moment: plain numbers, for whoever watches it. Those of several engines can be added.

Pure. `as_json` and `from_json` are each other's reverse, for a way between processes. Where numbers are named by words
(statuses, kinds of errors), these are the words of the records.
"""

from dataclasses import asdict, dataclass, field, fields
from typing import Any, Self

Counts = dict[str, int]


@dataclass(frozen=True, slots=True)
class Standing:
    """Numbers of endpoints, connections and all the rest, since the run began or as they are now."""

    # endpoints
    taken: int = 0
    recorded: int = 0
    unfinished: int = 0  # there will be no record of them
    in_flight: int = 0  # being looked at
    waiting: int = 0  # for a later look or for their turn; taken and not in flight
    given_up: int = 0  # recorded without the later look that they were due for
    left_out: int = 0  # recorded by an earlier part of the run
    statuses: Counts = field(default_factory=dict)
    # connections
    connections: int = 0  # begun
    open: int = 0  # of them, in flight
    slots: int = 0  # how many may be; 0 is no limit
    answered: int = 0  # brought to their end, and the server said what was asked
    errors: dict[str, Counts] = field(default_factory=dict)  # by stage and kind; of connections
    waits: Counts = field(default_factory=dict)  # what waits for what: connections for permits, endpoints for looks
    times: dict[str, dict[str, list[int]]] = field(default_factory=dict)  # by step and service: `Histogram.numbers`
    # lines, names and what is written
    lines: Counts = field(default_factory=dict)  # by what became of them
    rejected: Counts = field(default_factory=dict)  # by reason
    domains: Counts = field(default_factory=dict)  # recorded, by status
    domains_waiting: int = 0  # for their endpoints or their policy
    dns: Counts = field(default_factory=dict)
    records: int = 0
    output_bytes: int = 0  # written
    output_waiting_bytes: int = 0  # for the writer
    next_look_s: float | None = None  # until something that waits goes on; of several, the least

    def __add__(self, other: "Standing") -> "Standing":
        """Both together."""
        return Standing(
            **{each.name: _sum(getattr(self, each.name), getattr(other, each.name)) for each in _ADDED},
            next_look_s=_least(self.next_look_s, other.next_look_s),
        )

    def as_json(self) -> dict[str, Any]:
        """Numbers in dictionaries and lists, and nothing else."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Self:
        """What `as_json` made."""
        return cls(**value)


_ADDED = [each for each in fields(Standing) if each.name != "next_look_s"]


def _sum(one: Any, other: Any) -> Any:
    """Of two numbers, two lists of them, or two dictionaries of these, which need not have the same keys."""
    if isinstance(one, dict):
        both = {key: _sum(value, other[key]) if key in other else value for key, value in one.items()}
        return both | {key: value for key, value in other.items() if key not in one}
    if isinstance(one, list):
        return [mine + theirs for mine, theirs in zip(one, other, strict=True)]
    return one + other


def _least(one: float | None, other: float | None) -> float | None:
    return min((each for each in (one, other) if each is not None), default=None)
