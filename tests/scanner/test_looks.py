"""What is looked at again, how often, and after which pause."""

from time import process_time

import pytest

from scanner.looks import LOAD_S, LONGEST_S, OUR_LIMIT_S, SILENCE_S, SLOWER_S, Look, Pause, pause_after, pause_at_once
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


def look(verdict: Verdict, stage: Stage = Stage.CONNECT, **facts: str | bool | float) -> Look:
    """A look that came to this."""
    return Look(0.0, verdict, stage, **facts)  # type: ignore[arg-type]


@pytest.mark.parametrize("verdict", Verdict)
def test_the_table(verdict: Verdict) -> None:
    """The third column of the table of verdicts: again, once, or never."""
    first = pause_after(look(verdict), [], MANY)
    second = pause_after(look(verdict), [look(verdict)], MANY)
    assert (first is not None) == (verdict in ALWAYS or verdict in ONCE)
    assert (second is not None) == (verdict in ALWAYS)
    if first:
        assert first.seconds == ALWAYS.get(verdict, SILENCE_S)
    if first and second:
        assert second.seconds == 2 * first.seconds


@pytest.mark.parametrize("cause", ["refused", "timeout", "no_route", "prohibited"])
def test_unreachable(cause: str) -> None:
    """A packet may be lost; a refusal is none."""
    assert (pause_after(look(Verdict.UNREACHABLE, cause=cause), [], MANY) is not None) == (cause == "timeout")
    assert pause_after(look(Verdict.UNREACHABLE, cause=cause), [look(Verdict.UNREACHABLE)], MANY) is None


def test_what_the_tls_library_cannot_do() -> None:
    """It cannot do it later either."""
    assert pause_after(look(Verdict.LOCAL_LIMITATION, Stage.TLS), [], MANY) is None


@pytest.mark.parametrize("retries", range(4))
def test_retries(retries: int) -> None:
    """So many later looks, and none more."""
    busy = look(Verdict.RATE_LIMITED)
    assert sum(pause_after(busy, [busy] * before, retries) is not None for before in range(MANY)) == retries


def test_once_is_counted_by_verdict() -> None:
    """A broken promise after a busy look is looked at again all the same."""
    busy, broken = look(Verdict.RATE_LIMITED), look(Verdict.ACCEPTED_NO_TLS, Stage.TLS)
    assert pause_after(broken, [busy], 2) is not None
    assert pause_after(broken, [broken], 2) is None


def test_the_doubling_ends() -> None:
    """However many retries there are, our own pauses are never too long."""
    busy = look(Verdict.RATE_LIMITED)
    pause = pause_after(busy, [busy] * 30, 99)
    assert pause is not None
    assert (pause.seconds, pause.too_long) == (LONGEST_S, False)


def test_what_the_server_asks_for() -> None:
    """It is never looked at sooner than the server said, and not sooner than is usual either."""
    for asked_s, seconds in ((600.0, 600.0), (5.0, LOAD_S)):
        assert pause_after(look(Verdict.UNAVAILABLE, asked_s=asked_s), [], 2) == Pause(seconds)
        assert pause_at_once(asked_s).seconds == seconds
    assert pause_at_once(99_999).seconds == LOAD_S


def test_a_limit_of_ours_in_the_middle() -> None:
    """What was not asked for want of descriptors is asked soon."""
    assert pause_after(look(Verdict.OK, limited=True), [], 2) == Pause(OUR_LIMIT_S)


def test_the_pace() -> None:
    """It is slower after a word about load, and slower again after the second."""
    assert pause_after(look(Verdict.RATE_LIMITED), [], 2) == Pause(LOAD_S, SLOWER_S)
    assert pause_after(look(Verdict.RATE_LIMITED), [look(Verdict.RATE_LIMITED)], 2) == Pause(2 * LOAD_S, 2 * SLOWER_S)
    assert pause_after(look(Verdict.TIMEOUT), [], 2) == Pause(SILENCE_S, 0)


def test_throttled_in_the_middle() -> None:
    """A verdict that stands does not mean that everything was answered."""
    assert pause_after(look(Verdict.OK, throttled=True), [], 2) == Pause(LOAD_S, SLOWER_S)
    assert pause_after(look(Verdict.OK), [], 2) is None


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
        ("421 try again in 5 minutesandmore", 0),
        ("450 Please retry within 5 minutes", 300),
        ("450 Greylisting in action, please come back in 00:05:00", 300),
        ("450 please come back in 01:00:05", 3605),
        ("450 Try again after 12:30:00", 0),  # a time of the day
        ("450 Greylisted for 1m30s", 90),
        ("450 Try again in 1 hour and 30 minutes", 5400),
        ("421 Try again in 5-10 minutes", 600),
        ("421 Try again in 5 to 10 minutes", 600),
        ("429 Retry-After: 900", 900),
        ("429 Retry-After: 900 bytes", 0),
        ("429 Retry-After: 5 minutes", 300),
        ("421 You are turned away for the next 30 minutes", 1800),
        ("421 Try again in an hour", 3600),
        ("421 Try again in a few minutes", 0),
        ("421 Your address is blocked for 1 day", 86400),
        ("421 Service not available for 10 minutes", 600),
        ("-ERR [LOGIN-DELAY] the least time between logins is 10 minutes", 600),
        ("421 too many connections (20) in 3600 seconds", 0),  # a rate
        ("421 Please try again later, too many connections in 3600 seconds", 0),
        ("421 try again later because of too many connections in 3600 seconds", 0),
        ("421 limited to 20 connections for 3600 seconds", 0),
        ("421 timeout exceeded after 300 seconds", 0),
        ("421 no command within 300 seconds", 0),
        ("421 not ready after 300 seconds", 0),
        ("421 idle for 10 minutes", 0),
        ("421 try again in 5 \u017feconds", 0),  # a long s
        ("421 try again in \u0663 minutes", 0),  # a digit, and none of ASCII
    ],
)
def test_seconds_asked_for(text: str, seconds: int) -> None:
    """The words in which servers say how long."""
    assert seconds_asked_for(text) == seconds


@pytest.mark.parametrize(
    "word", ["again ", "wait ", "in ", "again in 1", "1m", "1m ", "[login-delay]", " is ", "00:", " "]
)
def test_hostile_text_takes_linear_time(word: str) -> None:
    """Ten times the text costs about ten times as much, and never a hundred times."""
    costs_s = []
    for times in (2_000, 20_000):
        text = "try again in " + word * times
        began = process_time()
        seconds_asked_for(text)
        costs_s.append(process_time() - began)
    assert costs_s[1] < 40 * max(costs_s[0], 0.001)


def test_too_long() -> None:
    """Nobody waits for more than an hour."""
    pause = pause_after(look(Verdict.UNAVAILABLE, asked_s=61 * 60.0), [], 2)
    assert pause is not None
    assert pause.seconds > LONGEST_S
    assert pause.too_long
