"""An interview decides and never acts: which questions to ask of one endpoint now, given the answers so far.

Pure. The first question is asked alone: an address that does not answer costs one connection, not seven. It is a raw
hello for TLS 1.2, the one that most servers alive understand. When it was answered, all others are asked at once, and
run side by side as far as the limits let them.
"""

from scanner.question import Answer, Negotiate, OfferVersion, Question
from scanner.tls.exchange import Evidence
from scanner.tls.names import Version
from targets.target import Endpoint

FIRST_CHOICE = (Version.TLS1_2, Version.TLS1_3, Version.TLS1_1, Version.TLS1_0, Version.SSLV3, Version.SSLV2)


class Interview:
    """The questions to one endpoint, and its answers in the order in which they came."""

    __slots__ = ("answers", "asked", "connections", "endpoint", "error", "handshake", "versions")

    def __init__(self, endpoint: Endpoint, versions: tuple[Version, ...], *, handshake: bool = True) -> None:
        self.endpoint = endpoint
        self.versions = versions
        self.handshake = handshake  # shall the full handshake be asked for too?
        self.answers: list[Answer] = []
        self.asked = 0
        self.connections = 0  # begun; the engine counts them
        self.error: str | None = None  # a bug of ours ended it

    def begin(self) -> list[Question]:
        """The first question."""
        first = next((version for version in FIRST_CHOICE if version in self.versions), None)
        return self._ask([OfferVersion(first) if first else Negotiate()])

    def take(self, answer: Answer) -> list[Question]:
        """Take an answer; the questions to ask next, none when there is nothing more to ask for now."""
        self.answers.append(answer)
        if self.over and len(self.answers) <= 2:  # the one that was asked alone, or the one that was to confirm it
            return self._ask(self._after(answer))
        return []

    @property
    def over(self) -> bool:
        """Has every question its answer?"""
        return self.error is not None or len(self.answers) == self.asked

    def _ask(self, questions: list[Question]) -> list[Question]:
        self.asked += len(questions)
        return questions

    def _after(self, answer: Answer) -> list[Question]:
        rest = self._rest()
        if not rest or not _got_to_tls(answer):
            return []
        if not _discouraging(answer):
            return rest
        # Behind a go-ahead, a server that then keeps silent, or talks on in plaintext, gets a second chance with
        # another hello before that is believed.
        second_chance = answer.starttls is not None and len(self.answers) == 1
        return [rest[-1]] if second_chance else []

    def _rest(self) -> list[Question]:
        asked = {answer.question for answer in self.answers}
        every: list[Question] = [OfferVersion(version) for version in reversed(self.versions)]
        if self.handshake:
            every.append(Negotiate())
        return [question for question in every if question not in asked]


def _got_to_tls(answer: Answer) -> bool:
    return answer.hello is not None or answer.handshake is not None


def _discouraging(answer: Answer) -> bool:
    """Would further hellos only meet the same silence, or the same text?"""
    if hello := answer.hello:
        silent = hello.evidence is Evidence.TIMEOUT
        return silent or hello.evidence is Evidence.PLAINTEXT or hello.hint is not None
    failure = answer.handshake.failure if answer.handshake else None
    return failure is not None and (failure.cause in ("timeout", "deadline", "plaintext") or failure.hint is not None)
