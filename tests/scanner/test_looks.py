"""What is looked at again, how often, and after which pause."""

import pytest

from scanner.looks import LOAD_S, LONGEST_S, OUR_LIMIT_S, SILENCE_S, SLOWER_S, Look, Pause, pause_after
from scanner.outcome import Stage, Verdict
from scanner.starttls.words import seconds_asked_for

MANY = 9
ALWAYS = {
    Verdict.REFUSED_TEMPORARY: LOAD_S,
    Verdict.REFUSED_SERVER_ERROR: LOAD_S,
    Verdict.UNAVAILABLE: LOAD_S,
    Verdict.RATE_LIMITED: LOAD_S,
    Verdict.LOCAL_LIMITATION: OUR_LIMIT_S,
}
ONCE = {Verdict.ACCEPTED_NO_TLS, Verdict.TIMEOUT, Verdict.CLOSED, Verdict.RESET}


def look(verdict: Verdict, stage: Stage = Stage.CONNECT, **facts: str | bool) -> Look:
    """A look that came to this."""
    return Look(0.0, verdict, stage, **facts)  # type: ignore[arg-type]


@pytest.mark.parametrize("verdict", Verdict)
def test_the_table(verdict: Verdict) -> None:
    """The third column of the table of verdicts: again, once, or never."""
    first = pause_after(look(verdict), 0, MANY)
    second = pause_after(look(verdict), 1, MANY)
    assert (first is not None) == (verdict in ALWAYS or verdict in ONCE)
    assert (second is not None) == (verdict in ALWAYS)
    if first:
        assert first.seconds == ALWAYS.get(verdict, SILENCE_S)
    if first and second:
        assert second.seconds == 2 * first.seconds


@pytest.mark.parametrize("cause", ["refused", "timeout", "no_route", "prohibited"])
def test_unreachable(cause: str) -> None:
    """A packet may be lost; a refusal is none."""
    assert (pause_after(look(Verdict.UNREACHABLE, cause=cause), 0, MANY) is not None) == (cause == "timeout")
    assert pause_after(look(Verdict.UNREACHABLE, cause=cause), 1, MANY) is None


def test_what_the_tls_library_cannot_do() -> None:
    """It cannot do it later either."""
    assert pause_after(look(Verdict.LOCAL_LIMITATION, Stage.TLS), 0, MANY) is None


@pytest.mark.parametrize("retries", range(4))
def test_retries(retries: int) -> None:
    """So many later looks, and none more."""
    busy = look(Verdict.RATE_LIMITED)
    assert sum(pause_after(busy, before, retries) is not None for before in range(MANY)) == retries


def test_the_pace() -> None:
    """It is slower after a word about load, and slower again after the second."""
    assert pause_after(look(Verdict.RATE_LIMITED), 0, 2) == Pause(LOAD_S, SLOWER_S)
    assert pause_after(look(Verdict.RATE_LIMITED), 1, 2) == Pause(2 * LOAD_S, 2 * SLOWER_S)
    assert pause_after(look(Verdict.TIMEOUT), 0, 2) == Pause(SILENCE_S, 0)


def test_throttled_in_the_middle() -> None:
    """A verdict that stands does not mean that everything was answered."""
    assert pause_after(look(Verdict.OK, throttled=True), 0, 2) == Pause(LOAD_S, SLOWER_S)
    assert pause_after(look(Verdict.OK), 0, 2) is None


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("421 4.7.0 Try again in 5 minutes", 300),
        ("450 Greylisted, please come back in 300 seconds", 300),
        ("120 Service ready in 005 minutes", 300),
        ("421 too many connections; wait 90s", 90),
        ("421 Try again after 1 hour.", 3600),
        ("NO (TRYLATER) wait at least 2 min", 120),
        ("421 too many connections", 0),
        ("421 4.7.0 mx1 Error: too many connections from 192.0.2.1", 0),
        ("454 4.7.0 in 2026 something", 0),
        ("421 idle for 5 minutesandmore", 0),
    ],
)
def test_seconds_asked_for(text: str, seconds: int) -> None:
    """The words in which servers say how long."""
    assert seconds_asked_for(text) == seconds
    pause = pause_after(look(Verdict.UNAVAILABLE, text=text), 0, 2)
    assert pause is not None
    assert pause.seconds == max(LOAD_S, seconds)
    assert not pause.too_long


def test_too_long() -> None:
    """Nobody waits for more than an hour."""
    pause = pause_after(look(Verdict.UNAVAILABLE, text="421 in 61 minutes"), 0, 2)
    assert pause is not None
    assert pause.seconds > LONGEST_S
    assert pause.too_long
