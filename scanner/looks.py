"""Temporary is not no: what is looked at again, how often, and after which pause.

Pure. A look is one interview from its first question to its verdict. A verdict that may only be of the moment is looked
at again later: those that speak of load or of a passing fault as often as may be, silence and its kin once.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf

from scanner.outcome import Stage, Verdict

RETRIES = 2

_PASSING = {
    Verdict.REFUSED_TEMPORARY,
    Verdict.REFUSED_SERVER_ERROR,
    Verdict.UNAVAILABLE,
    Verdict.RATE_LIMITED,
}
_ONCE = {Verdict.ACCEPTED_NO_TLS, Verdict.TIMEOUT, Verdict.CLOSED, Verdict.RESET}

# Pauses in seconds; each look doubles its own.
LOAD_S = 60.0
SILENCE_S = 30.0
OUR_LIMIT_S = 10.0
LONGEST_S = 3600.0  # a server that asks for more is not waited for
MOST_IN_ALL_S = 2 * LONGEST_S  # for one address, by all of its endpoints: pauses that its words of load add up to
MOST_REMEMBERED = 100_000  # addresses; an entry takes some 300 bytes

SLOWER_S = 4.0  # between connections to an address that spoke of load, at least; each look doubles it


@dataclass(frozen=True, slots=True)
class Look:
    """What one look at an endpoint came to.

    `throttled`: it stopped answering, or turned us away, in the middle; then the verdict is of that. `limited`: a
    limit of our own kept us from a part of it. `asked_s`: so many seconds the server asked us to stay away.
    """

    started: float  # seconds since 1970
    verdict: Verdict
    stage: Stage
    cause: str | None = None
    code: str | None = None
    text: str | None = None
    throttled: bool = False
    limited: bool = False
    asked_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Pause:
    """How long to leave an endpoint alone, and at which pace to go on. Both in seconds."""

    seconds: float
    interval_s: float = 0.0  # between connections to the address; 0 is the usual

    @property
    def too_long(self) -> bool:
        """Is it more than anybody waits for?"""
        return self.seconds > LONGEST_S


def pause_after(look: Look, before: Sequence[Look], retries: int) -> Pause | None:
    """What to wait for before the next look; None when this one was the last. `before`: the looks before it."""
    alike = sum(each.verdict is look.verdict for each in before)
    if len(before) >= retries or alike >= _looks_again(look):
        return None
    doubled = 2.0 ** len(before)
    seconds = max(min(_shortest(look) * doubled, LONGEST_S), look.asked_s)
    return Pause(seconds, SLOWER_S * doubled if is_about_load(look) else 0.0)


def pause_at_once(asked_s: float) -> Pause:
    """How long to leave an address alone whose server has just spoken of load, and its pace from then on."""
    return Pause(max(LOAD_S, asked_s if asked_s <= LONGEST_S else 0.0), SLOWER_S)


class Patience:
    """How long addresses are left alone whose servers speak of load: in all, that has a bound.

    Without it, one word of load an hour would hold an address, and all that wait for it, for as long as a server likes.
    Times are seconds of any steady clock.
    """

    def __init__(self) -> None:
        self._spent: dict[str, tuple[float, float]] = {}  # by address: until when, and for how long in all

    def grant(self, address: str, now: float, seconds: float) -> bool:
        """Shall it be left alone for so long from now on? Not once that would be too much."""
        until, in_all = self._spent.pop(address, (now, 0.0))
        in_all += max(0.0, now + seconds - max(now, until))
        self._spent[address] = max(until, now + seconds), in_all
        if len(self._spent) > MOST_REMEMBERED:
            del self._spent[next(iter(self._spent))]  # who spoke of load longest ago
        return in_all <= MOST_IN_ALL_S

    def is_over(self, address: str) -> bool:
        """Has it asked for too much?"""
        return self._spent.get(address, (0.0, 0.0))[1] > MOST_IN_ALL_S


def is_about_load(look: Look) -> bool:
    """Is it about the number or the pace of our connections?"""
    return look.throttled or look.verdict is Verdict.RATE_LIMITED


def _looks_again(look: Look) -> float:
    """How often this verdict is worth another look."""
    if look.throttled or look.limited or look.verdict in _PASSING or _is_our_limit(look):
        return inf
    unreachable = look.verdict is Verdict.UNREACHABLE and look.cause == "timeout"
    return 1 if unreachable or look.verdict in _ONCE else 0


def _is_our_limit(look: Look) -> bool:
    """Descriptors and ports come back; what our TLS library cannot do, it cannot do later."""
    return look.verdict is Verdict.LOCAL_LIMITATION and look.stage is Stage.CONNECT


def _shortest(look: Look) -> float:
    if look.throttled or look.verdict in _PASSING:
        return LOAD_S
    return OUR_LIMIT_S if look.limited or _is_our_limit(look) else SILENCE_S
