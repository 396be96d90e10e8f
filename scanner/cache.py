"""What was worked out once is remembered: the entries that were used last, of a bounded weight together.

What is used again and again stays, however many others come between. Pure.
"""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

V = TypeVar("V")


class Cache(Generic[V]):
    """Values by their key. `made` counts how often one had to be worked out."""

    def __init__(self, most: int) -> None:
        self.made = 0
        self._most = most
        self._weight = 0
        self._entries: OrderedDict[Hashable, tuple[V, int]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: Hashable, make: Callable[[], V], weight: int = 1) -> V:
        """The value, worked out where it is not remembered. What weighs more than all may, is not kept."""
        if found := self._entries.get(key):
            self._entries.move_to_end(key)
            return found[0]
        self.made += 1
        value = make()
        if weight <= self._most:
            self._entries[key] = value, weight
            self._weight += weight
        while self._weight > self._most:
            self._weight -= self._entries.popitem(last=False)[1][1]
        return value

    def find(self, key: Hashable) -> V | None:
        """The value, where it is remembered."""
        if found := self._entries.get(key):
            self._entries.move_to_end(key)
            return found[0]
        return None

    def forget(self, key: Hashable) -> None:
        """Work it out anew the next time."""
        if found := self._entries.pop(key, None):
            self._weight -= found[1]
