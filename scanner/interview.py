"""An interview decides and never acts: which questions to ask of one endpoint now, given the answers so far.

Pure. The first question is asked alone: an address that does not answer costs one connection, not seven. It is a raw
hello for TLS 1.2, the one that most servers alive understand. When it was answered, all others are asked at once, and
run side by side as far as the limits let them.

Where the server closes without a word, be it that the client begins, or that a greeting was due, a ClientHello is tried
on one connection more: a server of TLS in the place of the service is told for what it is. Where the server begins, its
silence is answered so.

One such round is a look. A later look keeps what was answered in TLS and asks the rest again; where nothing was, it
begins anew.
"""

from dataclasses import replace

from scanner.looks import Look
from scanner.outcome import Stage, Verdict
from scanner.question import Answer, InjectCommand, Knock, Negotiate, OfferVersion, Question
from scanner.starttls import SPOKEN
from scanner.starttls.result import StartTls
from scanner.tls.exchange import Evidence
from scanner.tls.names import Version
from targets.services import Mode
from targets.target import Endpoint

FIRST_CHOICE = (Version.TLS1_2, Version.TLS1_3, Version.TLS1_1, Version.TLS1_0, Version.SSLV3, Version.SSLV2)


class Interview:
    """The questions to one endpoint, and its answers in the order in which they came."""

    __slots__ = (
        "_before",
        "_injecting",
        "_inquiring",
        "_knocking",
        "answers",
        "asked",
        "connections",
        "early",
        "endpoint",
        "error",
        "handshake",
        "injection",
        "kept",
        "knock",
        "looks",
        "test_injection",
        "told",
        "versions",
    )

    def __init__(
        self,
        endpoint: Endpoint,
        versions: tuple[Version, ...],
        *,
        handshake: bool = True,
        test_injection: bool = False,
    ) -> None:
        self.endpoint = endpoint
        self.versions = versions
        self.handshake = handshake  # shall the full handshake be asked for too?
        self.test_injection = test_injection  # where the service has the test
        self.answers: list[Answer] = []
        self.knock: Answer | None = None  # kept apart: it tells what is there instead of the service
        self.injection: Answer | None = None  # kept apart: what it provokes says nothing about anything else
        self.asked = 0
        self.connections = 0  # begun; the engine counts them
        self.error: str | None = None  # a bug of ours ended it
        self.looks: list[Look] = []  # those before the present one
        self.early = b""  # what came between go-ahead and TLS in those
        self.kept = 0  # how many answers are of those
        self.told: StartTls | None = None  # the dialogue of those that told most
        self._before: tuple[list[Answer], int] = ([], 0)  # answers and `kept` of the look before
        self._inquiring = True
        self._injecting = False
        self._knocking = False

    def begin(self) -> list[Question]:
        """The first question."""
        first = next((version for version in FIRST_CHOICE if version in self.versions), None)
        return self._ask([OfferVersion(first) if first else self._negotiate()])

    def look_again(self, look: Look) -> list[Question]:
        """Begin another look after this one; what to ask now."""
        self.looks.append(look)
        self.early = self.early or next((answer.early for answer in self.answers if answer.early), b"")
        self.told = next((each.starttls for each in self.answers if each.starttls and each.starttls.before), self.told)
        self._inquiring = self._inquiring and not any(map(_took_offence, self.answers))
        self._before = self.answers, self.kept
        self.answers = list(filter(_is_lasting, self.answers))
        self.kept = self.asked = len(self.answers)
        return self._ask(self._rest()) if self.answers else self.begin()

    def fall_back(self) -> None:
        """A look that was cut short before its first answer is none: what the one before it came to stands."""
        if self.looks and len(self.answers) == self.kept:
            self.answers, self.kept = self._before
            self.looks.pop()

    def take(self, answer: Answer) -> list[Question]:
        """Take an answer; the questions to ask next, none when there is nothing more to ask for now."""
        if isinstance(answer.question, InjectCommand):
            self.injection, self._injecting = answer, False
            return []
        if isinstance(answer.question, Knock):
            self.knock, self._knocking = answer, False
            return []
        self._before = [], 0  # what it was kept for is over
        self._share_list(answer)
        self.answers.append(answer)
        if self._may_be_tls(answer):
            self._knocking = True
            return [Knock()]
        if self.over and len(self.answers) <= 2:  # the one that was asked alone, or the one that was to confirm it
            return self._ask(self._after(answer)) or self._last()
        return self._last() if self.over else []

    @property
    def over(self) -> bool:
        """Has every question its answer?"""
        return self.error is not None or (
            len(self.answers) == self.asked and not self._injecting and not self._knocking
        )

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

    def _may_be_tls(self, answer: Answer) -> bool:
        """Did it close without a word? So do servers of TLS when they hear plaintext, or have waited long enough."""
        result = answer.starttls
        if result is None or result.verdict not in (Verdict.CLOSED, Verdict.RESET) or result.text is not None:
            return False
        alone = len(self.answers) == 1 and self.knock is None
        return alone and (SPOKEN[self.endpoint.service.protocol].client_begins or result.stage is Stage.GREETING)

    def _last(self) -> list[Question]:
        """The test for command injection: alone, when all else is known, for a server may take offence at it.

        Without a handshake it cannot come to a result, and whoever turns connections away gets no more of them.
        """
        service = self.endpoint.service
        testable = service.mode is Mode.STARTTLS and SPOKEN[service.protocol].injection is not None
        if not (self.test_injection and testable) or self.injection or not all(map(_got_to_tls, self.answers)):
            return []
        self._injecting = any(answer.handshake and answer.handshake.failure is None for answer in self.answers)
        return [InjectCommand()] if self._injecting else []

    def _negotiate(self) -> Negotiate:
        return Negotiate(inquiring=self._inquiring)

    def _share_list(self, answer: Answer) -> None:
        """A server tells the same list on each connection; it is kept once."""
        first = self.answers[0].starttls if self.answers else None
        if first and answer.starttls and answer.starttls.before == first.before:
            answer.starttls = replace(answer.starttls, before=first.before)

    def _rest(self) -> list[Question]:
        asked = {answer.question for answer in self.answers}
        every: list[Question] = [OfferVersion(version) for version in reversed(self.versions)]
        if self.handshake:
            every.append(self._negotiate())
        return [question for question in every if question not in asked]


def _is_lasting(answer: Answer) -> bool:
    """Was it answered in TLS? Then it will not be another answer later."""
    if answer.hello:
        return answer.hello.speaks_tls
    if answer.handshake is None:
        return False
    failure = answer.handshake.failure
    return failure is None or failure.verdict is Verdict.HANDSHAKE_FAILED


def _took_offence(answer: Answer) -> bool:
    """Was it the question beside the handshake that ended a connection, which had got as far as that?"""
    inquired = isinstance(answer.question, Negotiate) and answer.question.inquiring
    result = answer.starttls
    return inquired and result is not None and not result.go_ahead and result.stage is Stage.REPLY


def _got_to_tls(answer: Answer) -> bool:
    return answer.hello is not None or answer.handshake is not None


def _discouraging(answer: Answer) -> bool:
    """Would further hellos only meet the same silence, or the same text?"""
    if hello := answer.hello:
        silent = hello.evidence is Evidence.TIMEOUT
        return silent or hello.evidence is Evidence.PLAINTEXT or hello.hint is not None
    failure = answer.handshake.failure if answer.handshake else None
    return failure is not None and (failure.cause in ("timeout", "deadline", "plaintext") or failure.hint is not None)
