"""How long a peer takes over the steps of a connection: what this machine takes itself is not in it.

Pure. A scan that has its core to itself and is busy looks at what has come tens of milliseconds late, and answers late,
too. Neither is the server's time: its turn begins when we have spoken, or it has, and ends when its bytes are here, not
when somebody looks at them. Moments are seconds of any steady clock.

    asked ──▶ the peer's turn ──▶ heard ──▶ ours, or the peer's still: it may say more of its own accord ──▶ ...
"""


class Stopwatch:
    """Runs from the beginning of a connection."""

    __slots__ = ("_is_ours", "_taken_s", "_turn")

    def __init__(self, now: float) -> None:
        self._turn = now  # since when the peer has had its turn
        self._is_ours = False
        self._taken_s = 0.0  # by the peer, in this step so far

    def asked(self, now: float) -> None:
        """We begin to speak. What is said in one go gives the turn away once, with its first part."""
        if self._is_ours:
            self._turn = now
            self._is_ours = False

    def heard(self, at: float) -> None:
        """Something came from the peer, at that moment."""
        self._taken_s += max(0.0, at - self._turn)
        self._turn = max(at, self._turn)  # not from before we spoke
        self._is_ours = True

    def lap(self) -> float:
        """A step is over: the seconds that the peer took over it."""
        taken_s, self._taken_s = self._taken_s, 0.0
        return taken_s
