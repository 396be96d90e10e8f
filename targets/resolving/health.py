"""Is a name server there? Pure: times are handed in (seconds of any steady clock).

    well ──MISSES questions in a row without an answer──▶ suspected ──as many PROBES, too──▶ set aside
      ▲                                                       │                                  │ pause over: a probe
      └──────────────────────── any answer ───────────────────┴──────────────────────────────────┘ (twice the pause)

Silence alone does not convict: a resolver keeps silent as long as the servers that it asks do. So it is asked for the
root first, which every resolver knows. What refuses or fails has answered, and is there.
"""

from math import inf

MISSES = 5
PROBES = 2
FIRST_PAUSE_S = 1.0
MAX_PAUSE_S = 60.0


class Health:
    """Of one server."""

    def __init__(self) -> None:
        self.misses = 0  # in a row
        self.set_aside_until: float | None = None
        self._pause_s = FIRST_PAUSE_S

    @property
    def is_set_aside(self) -> bool:
        """Nobody asks it anything but whether it is there."""
        return self.set_aside_until is not None

    @property
    def is_suspected(self) -> bool:
        """It is to be asked for the root."""
        return self.misses >= MISSES and not self.is_set_aside

    def is_due(self, now: float) -> bool:
        """Is it set aside, and may have come back?"""
        return now >= (inf if self.set_aside_until is None else self.set_aside_until)

    def answered(self) -> bool:
        """Something came; True if it had been set aside."""
        was_set_aside = self.is_set_aside
        self.misses, self.set_aside_until, self._pause_s = 0, None, FIRST_PAUSE_S
        return was_set_aside

    def missed(self) -> None:
        """A question found no answer in its time."""
        self.misses += 1

    def set_aside(self, now: float) -> bool:
        """No probe was answered; True if it was not set aside already. Each pause is twice as long as the last."""
        is_new = not self.is_set_aside
        self.set_aside_until = now + self._pause_s
        self._pause_s = min(2 * self._pause_s, MAX_PAUSE_S)
        return is_new
