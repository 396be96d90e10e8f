"""Signs of strain: what shows that a server, or what stands before it, has too much of us.

Pure. Its own words do; and an end or a silence before a word of ours at a port that had answered. What ends, or stays
silent, behind a hello may be the server's way of saying "no" to it, and a port that never answered may be filtered:
these are no signs. What was answered before, and is not when it is offered again, tells one from the other: in a full
handshake, or at a later look.
"""

from collections.abc import Sequence

from scanner.conclusion import speaks_of_load, speaks_tls
from scanner.looks import Look
from scanner.outcome import Outcome, Stage, Verdict
from scanner.pace import Sign
from scanner.question import Answer
from scanner.versions import handshakes_turned_away
from targets.target import Endpoint

MOST_REMEMBERED = 20_000  # ports; an entry takes some 200 bytes

_OF_CONNECTIONS = {"timeout": Sign.SILENCE, "refused": Sign.RESET}  # a SYN is refused by RST
_ENDS = {
    Verdict.CLOSED: Sign.CLOSED,
    Verdict.RESET: Sign.RESET,
    Verdict.TIMEOUT: Sign.SILENCE,
}


class Answered:
    """The ports that have answered, of late: the last half of all that may be remembered, or more."""

    def __init__(self) -> None:
        self._late: set[tuple[str, int]] = set()
        self._before: set[tuple[str, int]] = set()  # to forget one at a time would search for the oldest each time

    def __contains__(self, endpoint: Endpoint) -> bool:
        port = endpoint.address, endpoint.port
        return port in self._late or port in self._before

    def note(self, endpoint: Endpoint) -> None:
        """This one has."""
        self._late.add((endpoint.address, endpoint.port))
        if len(self._late) >= MOST_REMEMBERED // 2:
            self._before, self._late = self._late, set()


def has_answered(answer: Answer) -> bool:
    """Did the server say anything that it says to those for whom it has time?"""
    if answer.starttls:
        return answer.starttls.stage is not Stage.GREETING
    return speaks_tls(answer)


def sign_of(answer: Answer, *, had_answered: bool) -> Sign | None:
    """What a connection shows. `had_answered`: its port, to another connection before."""
    if speaks_of_load(answer):
        return Sign.RATE_LIMITED
    if not had_answered or answer.question.aside:  # what was asked besides may give offence
        return None
    match answer.failure:
        case Outcome(verdict=Verdict.UNREACHABLE, cause=str() as cause):
            return _OF_CONNECTIONS.get(cause)
        case Outcome():
            return None
    said = answer.starttls
    return _ENDS.get(said.verdict) if said and said.stage is Stage.GREETING and said.text is None else None


def sign_of_look(look: Look, before: Sequence[Look], answers: list[Answer]) -> Sign | None:
    """What a look with these answers shows, beyond its connections: that what was answered is not answered now."""
    if not look.throttled or look.stage is not Stage.TLS:
        return None
    return _ENDS.get(look.verdict) if may_be_sign(before, answers) else None


def may_be_sign(before: Sequence[Look], answers: list[Answer]) -> bool:
    """May a look with these answers be one?"""
    return bool(before) or handshakes_turned_away(answers)
