"""How fast a run is of late, and how long it will take.

Pure: moments are seconds of any steady clock.
"""

from collections import deque
from math import ceil

LATELY_S = 10.0
LEAST_S = 5.0  # nothing is told of less
SAMPLE_EVERY_S = 1.0
# A run has phases: hours of networks where nobody is, a tail of those that are looked at again. What is told of its end
# goes by the later half of it, within bounds, so that it neither flaps with each second nor clings to the beginning.
SHORTEST_S, LONGEST_S = 30.0, 900.0
STEPS_S = ((60, 5), (600, 30), (3_600, 60), (36_000, 600))  # below so many seconds, in steps of so many
COARSEST_S = 3_600


class Rates:
    """Takes in sums as they grow, and knows what they grew by."""

    def __init__(self, now: float) -> None:
        self._began = now
        self._samples = deque([(now, 0, 0)])  # moment, endpoints recorded, connections begun
        self._now = self._samples[0]

    def note(self, now: float, recorded: int, connections: int) -> None:
        """The sums at this moment."""
        self._now = now, recorded, connections
        if now - self._samples[-1][0] >= SAMPLE_EVERY_S:
            self._samples.append(self._now)
        while self._samples[0][0] < now - LONGEST_S:
            self._samples.popleft()

    @property
    def lately(self) -> tuple[float, float]:
        """Endpoints recorded, and connections begun, a second."""
        return self._over(LATELY_S)

    def seconds_left(self, endpoints: int) -> int | None:
        """How long so many endpoints more will take, roughly; None where nobody can tell yet."""
        elapsed = self._now[0] - self._began
        rate, _ = self._over(min(max(elapsed / 2, SHORTEST_S), LONGEST_S))
        if elapsed < LEAST_S or not rate:
            return None
        seconds = endpoints / rate
        step = next((step for below, step in STEPS_S if seconds < below), COARSEST_S)
        return ceil(seconds / step) * step

    def _over(self, seconds: float) -> tuple[float, float]:
        now, recorded, connections = self._now
        since, recorded_then, connections_then = next(
            sample for sample in self._samples if sample[0] >= now - seconds or sample is self._samples[-1]
        )
        passed = now - since
        if not passed:
            return 0.0, 0.0
        return (recorded - recorded_then) / passed, (connections - connections_then) / passed
