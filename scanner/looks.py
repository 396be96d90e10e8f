"""Temporary is not no: what is looked at again, how often, and after which pause.

Pure. A look is one interview from its first question to its verdict. A verdict that may only be of the moment is looked
at again later: those that speak of load or of a passing fault as often as may be, silence and its kin once.
"""

from dataclasses import dataclass

from scanner.outcome import Stage, Verdict
from scanner.starttls.words import seconds_asked_for

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

SLOWER_S = 4.0  # between connections to an address that spoke of load, at least; each look doubles it


@dataclass(frozen=True, slots=True)
class Look:
    """What one look at an endpoint came to. `throttled`: it stopped answering, or turned us away, in the middle."""

    started: float  # seconds since 1970
    verdict: Verdict
    stage: Stage
    cause: str | None = None
    code: str | None = None
    text: str | None = None
    throttled: bool = False


@dataclass(frozen=True, slots=True)
class Pause:
    """How long to leave an endpoint alone, and at which pace to go on. Both in seconds."""

    seconds: float
    interval_s: float = 0.0  # between connections to the address; 0 is the usual

    @property
    def too_long(self) -> bool:
        """Is it more than anybody waits for?"""
        return self.seconds > LONGEST_S


def pause_after(look: Look, looks_before: int, retries: int) -> Pause | None:
    """What to wait for before the next look; None when this one was the last."""
    if looks_before >= min(retries, _looks_again(look)):
        return None
    doubled = 2.0**looks_before
    about_load = look.throttled or look.verdict is Verdict.RATE_LIMITED
    pause_s = max(_shortest(look) * doubled, seconds_asked_for(look.text) if look.text else 0)
    return Pause(pause_s, SLOWER_S * doubled if about_load else 0.0)


def _looks_again(look: Look) -> float:
    """How often this verdict is worth another look."""
    if look.throttled or look.verdict in _PASSING or _is_our_limit(look):
        return float("inf")
    unreachable = look.verdict is Verdict.UNREACHABLE and look.cause == "timeout"
    return 1 if unreachable or look.verdict in _ONCE else 0


def _is_our_limit(look: Look) -> bool:
    """Descriptors and ports come back; what our TLS library cannot do, it cannot do later."""
    return look.verdict is Verdict.LOCAL_LIMITATION and look.stage is Stage.CONNECT


def _shortest(look: Look) -> float:
    if look.throttled or look.verdict in _PASSING:
        return LOAD_S
    return OUR_LIMIT_S if _is_our_limit(look) else SILENCE_S
