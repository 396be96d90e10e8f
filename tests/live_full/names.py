"""Lists of names that a server writes in an order of its own, or that depend on what else the machine has."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, eq=False)
class Names:
    """Equal to every list that has all of `present`, each once, and none of `absent`."""

    present: frozenset[str]
    absent: frozenset[str] = frozenset()

    def __eq__(self, recorded: object) -> bool:
        if not isinstance(recorded, list) or len(set(recorded)) != len(recorded):
            return False
        return self.present.issubset(recorded) and self.absent.isdisjoint(recorded)

    __hash__ = None  # type: ignore[assignment]
