"""An interview decides and never acts: which questions to ask of one endpoint now, given the answers so far.

Pure. The questions come in rounds, and each round waits for the answers to the one before:

    the first, alone ──▶ all others ──▶ the retry ladder ──▶ another handshake, or else the certificates of a raw hello
        ──▶ what was requested besides

An address that does not answer costs one connection, not seven: the first question is a raw hello for TLS 1.2, the
version that most servers alive understand. When it was answered, all others are asked at once, and run side by side as
far as the limits let them. Where connections are to be saved, they follow one another, and only those that are needed
(`economy.py`).

Where the server closes without a word, be it that the client begins, or that a greeting was due, a ClientHello is tried
on one connection more: a server of TLS in the place of the service is told for what it is. Where the server begins, its
silence is answered so.

All rounds together are a look. A later look keeps what was answered in TLS and asks the rest again; where nothing was,
it begins anew.
"""

from dataclasses import replace
from functools import cache

from scanner.dialogue import End
from scanner.economy import needed
from scanner.ladder import is_open, rungs
from scanner.looks import Look
from scanner.outcome import Stage, Verdict
from scanner.probes import PROBES, Known, Talked
from scanner.question import (
    Answer,
    Beside,
    InjectCommand,
    Knock,
    Negotiate,
    OfferVersion,
    Question,
    ReadFirstFlight,
    Wanted,
)
from scanner.shortfall import within_reach
from scanner.starttls import SPOKEN
from scanner.starttls.result import StartTls
from scanner.tls.exchange import Evidence
from scanner.tls.first_flight import shows_certificates
from scanner.tls.flight import ClientCertificate
from scanner.tls.hello import Shape
from scanner.tls.names import Version
from scanner.versions import (
    ENOUGH,
    RATE_LIMIT_SILENCES,
    completed,
    fell_silent,
    is_control,
    is_silent,
    lacks_control,
    large_hellos_refused,
    negotiation,
    offers,
    proved_versions,
    took_large_hello,
    took_offence,
    tries_of,
)
from targets.services import Mode
from targets.target import Endpoint

FIRST_CHOICE = (Version.TLS1_2, Version.TLS1_3, Version.TLS1_1, Version.TLS1_0, Version.SSLV3, Version.SSLV2)


class Interview:
    """The questions to one endpoint, and its answers in the order in which they came."""

    __slots__ = (
        "_before",
        "_cut_short",
        "_inquiring",
        "_pending",
        "answers",
        "asides",
        "connections",
        "early",
        "endpoint",
        "error",
        "kept",
        "looks",
        "offered",
        "told",
        "wanted",
    )

    def __init__(self, endpoint: Endpoint, wanted: Wanted) -> None:
        self.endpoint = endpoint
        self.wanted = wanted
        self.answers: list[Answer] = []
        self.asides: list[Answer] = []  # to what was requested besides: they say nothing about anything else
        self.connections = 0  # begun; the engine counts them
        self.error: str | None = None  # a bug of ours ended it
        self.looks: list[Look] = []  # those before the present one
        self.early = b""  # what came between go-ahead and TLS in those
        self.kept = 0  # how many answers are of those
        self.offered: list[Answer] = []  # of one of those in which STARTTLS was offered, and no TLS came
        self.told: StartTls | None = None  # the dialogue of those that told most
        self._before: tuple[list[Answer], int] = ([], 0)  # answers and `kept` of the look before
        self._cut_short = False  # the present look
        self._inquiring = True
        self._pending = 0  # questions without an answer

    def begin(self) -> list[Question]:
        """The first question."""
        first = self._first_choice()
        at_once = self.wanted.economical and self.wanted.handshake and self.endpoint.service.mode is Mode.IMPLICIT
        return self._ask([self._negotiate() if at_once or first is None else OfferVersion(first)])

    def take(self, answer: Answer) -> list[Question]:
        """Take an answer; the questions to ask next, none when there is nothing more to ask for now."""
        self._pending -= 1
        self._before = [], 0  # what it was kept for is over
        self._share_list(answer)
        (self.asides if answer.question.aside else self.answers).append(answer)
        return [] if self._pending or self._cut_short else self._ask(self._next_round())

    def cut_short(self, unasked: int) -> None:
        """The server speaks of load: the look ends, with so many of its questions not even asked."""
        self._pending -= unasked
        self._cut_short = True

    @property
    def over(self) -> bool:
        """Has every question its answer?"""
        return self.error is not None or not self._pending

    def look_again(self, look: Look) -> list[Question]:
        """Begin another look after this one; what to ask now."""
        self.looks.append(look)
        self._cut_short = False
        self.early = self.early or next((answer.early for answer in self.answers if answer.early), b"")
        self.told = next((each.starttls for each in self.answers if each.starttls and each.starttls.before), self.told)
        self._inquiring = self._inquiring and not any(map(took_offence, self.answers))
        self._before = self.answers, self.kept
        self.asides = [answer for answer in self.asides if not _is_of_the_moment(answer)]
        if any(map(_offers_starttls, self.answers)):
            self.offered = self.answers
        self.answers = list(filter(_is_lasting, self.answers))
        self.asides = [each for each in self.asides if not _was_turned_away(each)]
        self.kept = len(self.answers)
        if not self.answers:
            return self.begin()
        return self._ask(self._rest() or self._ladder() or self._another_handshake() or [self.answers[0].question])

    def fall_back(self) -> None:
        """A look that was cut short before its first answer is none: what the one before it came to stands."""
        if self.looks and len(self.answers) == self.kept:
            self.answers, self.kept = self._before
            self.looks.pop()

    @property
    def present(self) -> list[Answer]:
        """The answers of the present look."""
        return self.answers[self.kept :]

    def aside(self, kind: type[Question]) -> Answer | None:
        """The answer to a question of this kind, which was asked besides."""
        return next((answer for answer in self.asides if isinstance(answer.question, kind)), None)

    def _ask(self, questions: list[Question]) -> list[Question]:
        self._pending += len(questions)
        return questions

    def _next_round(self) -> list[Question]:
        """The first round that has something to ask."""
        if self._may_be_tls():
            return [Knock()]
        if not self.answers or not all(map(_got_to_tls, self.answers)):
            return []  # whoever turns connections away gets no more of them
        if all(map(_discouraging, self.answers)):
            return self._second_chance()
        if questions := self._rest() or self._control() or self._ladder():
            return questions
        return self._another_handshake() or self._certificate() or self._besides() or self._injection()

    def _may_be_tls(self) -> bool:
        """Did it close without a word? So do servers of TLS when they hear plaintext, or have waited long enough."""
        result = self.answers[0].starttls if len(self.answers) == 1 and not self.asides else None
        if result is None or result.verdict not in (Verdict.CLOSED, Verdict.RESET) or result.text is not None:
            return False
        return SPOKEN[self.endpoint.service.protocol].client_begins or result.stage is Stage.GREETING

    def _second_chance(self) -> list[Question]:
        """Silence may be due to the hello, and so gets another; behind a go-ahead, so does text in place of TLS."""
        (first, *others) = self.answers
        version = first.question.version if isinstance(first.question, OfferVersion) else self._first_choice()
        if others or version in (None, Version.SSLV2):
            return []
        silent = is_silent(first) and not (first.hello and first.hello.tarpit)
        return [OfferVersion(version, Shape.SMALL)] if silent or first.starttls else []

    def _first_choice(self) -> Version | None:
        return next((version for version in FIRST_CHOICE if version in self.wanted.versions), None)

    def _negotiate(self, newest: Version | None = None, shape: Shape = Shape.PLAIN) -> Negotiate:
        return Negotiate(inquiring=self._inquiring, newest=newest, shape=shape)

    def _share_list(self, answer: Answer) -> None:
        """A server tells the same list on each connection; it is kept once."""
        first = self.answers[0].starttls if self.answers else None
        if first is None or answer.starttls is None or answer.starttls.before is first.before:
            return
        if answer.starttls.before == first.before:
            answer.starttls = replace(answer.starttls, before=first.before)

    def _rest(self) -> list[Question]:
        asked = {answer.question for answer in self.answers}
        every: list[Question] = [*_hellos(self.wanted.versions, small=self._is_silent_to_long_hellos())]
        if self.wanted.handshake:
            every.append(self._negotiate())
        left = [question for question in every if question not in asked]
        return needed(left, self.answers) if self.wanted.economical else left

    def _is_silent_to_long_hellos(self) -> bool:
        """Did a second chance by a small hello, and nothing but that, bring an answer in TLS?"""
        small = [each for each in offers(self.answers) if each[0].shape is Shape.SMALL]
        if not any(hello.speaks_tls for asked, hello in small if asked.version.code >= Version.TLS1_0.code):
            return False
        in_tls = (each for each in offers(self.answers) if each[0].version.code >= Version.TLS1_0.code)
        plain = [hello for asked, hello in in_tls if asked.shape is Shape.PLAIN]
        if not plain and self.answers[0].handshake and is_silent(self.answers[0]):
            return False  # it was met with a handshake, which is longer still: a plain hello may be short enough
        return all(hello.evidence is Evidence.TIMEOUT for hello in plain)

    def _control(self) -> list[Question]:
        """On a later look that meets FIN, RST or silence and nothing else, what was answered before, once more.

        So a server that says "no" like that is told from one that is gone.
        """
        if not self.looks or not (fell_silent(self.answers, self.kept) or lacks_control(self.answers, self.kept)):
            return []
        answered = [answer.question for answer in self.answers if is_control(answer)]
        answered.sort(key=lambda question: isinstance(question, Negotiate))  # a hello costs less
        return [question for question in answered[:1] if question not in {answer.question for answer in self.present}]

    def _ladder(self) -> list[Question]:
        """Other hellos for versions that are not decided; none to an endpoint that falls silent again and again."""
        undecided = any(is_open(asked.version, hello) for asked, hello in offers(self.answers))
        if not undecided or _silences(self.present) >= RATE_LIMIT_SILENCES:
            return []
        tries = tries_of(self.wanted.versions, self.answers)
        found = rungs(tries, named=self.endpoint.host is not None, shaken=took_large_hello(self.answers))
        return [OfferVersion(version, shape) for version, shape in found.items()]

    def _another_handshake(self) -> list[Question]:
        """A handshake that failed is tried once more: shorter, and capped at what was seen to be spoken.

        If it may be, at a version that was had with what our library offers too: it may lack the groups of a newer one.
        Where that helps, the length may have been the reason, and the long one is tried again: once may be chance.
        """
        handshakes = [answer for answer in self.answers if isinstance(answer.question, Negotiate)]
        if not handshakes or took_large_hello(self.answers):
            return []
        long = sum(answer.question == Negotiate() for answer in handshakes)
        if 0 < large_hellos_refused(self.answers) < ENOUGH and long < ENOUGH:
            return [self._negotiate()]
        spoken = within_reach(self.answers) or proved_versions(self.answers)
        newest = max(spoken, default=Version.SSLV3, key=lambda version: version.code)
        if len(handshakes) != 1 or newest.code < Version.TLS1_0.code:
            return []
        made = handshakes[0].handshake
        failure = made.failure if made and made.client_certificate is not ClientCertificate.REQUIRED else None
        worth_it = failure is not None and failure.verdict in _ANOTHER_HELLO_MAY_HELP
        shape = self._shape_of(newest)
        return [self._negotiate(newest, shape)] if worth_it and shape is not Shape.NO_EXTENSIONS else []

    def _shape_of(self, version: Version) -> Shape:
        """The shape of the hello by which this version, or a higher offer, was had: all handshakes have extensions."""
        had = [asked.shape for asked, hello in offers(self.answers) if hello.is_hello and hello.version == version.code]
        return had[0] if had and Shape.PLAIN not in had else Shape.PLAIN

    def _certificate(self) -> list[Question]:
        """Where no handshake was to be had: the certificates that a raw hello shows, if one was answered below TLS 1.3.

        The one of a handshake that failed may have been seen already; an anonymous suite comes without.
        """
        made = [answer.handshake for answer in self.answers if answer.handshake]
        enough = any(each.failure is None or each.chain for each in made)
        if not made or enough or self.aside(ReadFirstFlight) or _silences(self.present) >= RATE_LIMIT_SILENCES:
            return []
        in_tls = [each for each in offers(self.answers) if each[0].version is not Version.SSLV2]
        shown = [(asked, hello) for asked, hello in in_tls if hello.is_hello and shows_certificates(hello)]
        newest = max(shown, default=None, key=lambda each: (each[1].version or 0, each[0].shape is Shape.PLAIN))
        return [ReadFirstFlight(newest[0].version, newest[0].shape)] if newest else []

    def known(self) -> Known:
        """What the probes begin with."""
        proved = proved_versions(self.answers)
        had = {asked.version: (asked.shape, hello) for asked, hello in offers(self.answers) if hello.is_hello}
        had = {version: each for version, each in had.items() if version in proved}
        done = negotiation(self.answers)
        return Known(
            service=self.endpoint.service,
            host=self.endpoint.host,
            versions=tuple(version for version in Version if version in proved),
            hellos={version: hello for version, (_, hello) in had.items()},
            handshake=done.handshake if done and done.handshake and done.handshake.failure is None else None,
            shapes={version: shape for version, (shape, _) in had.items()},
            short=completed(self.answers) and not took_large_hello(self.answers),
        )

    def talked(self, probe: str) -> list[Talked]:
        """What came of a probe's talks so far."""
        return [
            Talked(answer.question.talk, answer.found, answer.end)
            for answer in self.asides
            if isinstance(answer.question, Beside) and answer.question.probe == probe
        ]

    def _besides(self) -> list[Question]:
        """The next round of the first probe that wants one; none once the server turns us away, or falls silent."""
        if not self.wanted.probes:
            return []
        met = [answer for answer in self.asides if isinstance(answer.question, Beside)]
        silences = [answer.end is End.TIMEOUT for answer in met[-RATE_LIMIT_SILENCES:]]
        known = self.known()
        if not known.versions or any(answer.found is None for answer in met) or sum(silences) == RATE_LIMIT_SILENCES:
            return []
        for name in self.wanted.probes:
            if talks := PROBES[name].ask(known, self.talked(name)):
                return [Beside(name, talk) for talk in talks]
        return []

    def _injection(self) -> list[Question]:
        """The test for command injection: alone, when all else is known, for a server may take offence at it.

        Without a handshake it cannot come to a result.
        """
        service = self.endpoint.service
        testable = service.mode is Mode.STARTTLS and SPOKEN[service.protocol].injection is not None
        if not (self.wanted.test_injection and testable) or self.aside(InjectCommand):
            return []
        shaken = any(answer.handshake and answer.handshake.failure is None for answer in self.answers)
        return [InjectCommand()] if shaken else []


_ANOTHER_HELLO_MAY_HELP = {Verdict.HANDSHAKE_FAILED, Verdict.CLOSED, Verdict.RESET, Verdict.TIMEOUT}


def _silences(answers: list[Answer]) -> int:
    return sum(map(is_silent, answers))


def _was_turned_away(answer: Answer) -> bool:
    """Did the certificates stay unseen, because not even a ServerHello came this time?"""
    return isinstance(answer.question, ReadFirstFlight) and answer.first_flight is None


def _is_lasting(answer: Answer) -> bool:
    """Was it answered in TLS? Then it will not be another answer later."""
    if answer.hello:
        return answer.hello.speaks_tls
    if answer.handshake is None:
        return False
    failure = answer.handshake.failure
    return failure is None or failure.verdict is Verdict.HANDSHAKE_FAILED


@cache  # the same for all endpoints of a run
def _hellos(versions: tuple[Version, ...], *, small: bool) -> tuple[OfferVersion, ...]:
    """The first hello for each of them, the newest first."""
    return tuple(
        OfferVersion(version, Shape.SMALL if small and version.code >= Version.TLS1_0.code else Shape.PLAIN)
        for version in reversed(versions)
    )


def _is_of_the_moment(aside: Answer) -> bool:
    """Was it a knock that was answered? A server of another kind is looked at no more; this one may have been busy."""
    return isinstance(aside.question, Knock) and aside.hello is not None and aside.hello.text is not None


def _offers_starttls(answer: Answer) -> bool:
    """Does the server list it, or agree to it?"""
    return answer.starttls is not None and (answer.starttls.go_ahead or answer.starttls.advertised is True)


def _got_to_tls(answer: Answer) -> bool:
    return answer.hello is not None or answer.handshake is not None


def _discouraging(answer: Answer) -> bool:
    """Would further hellos only meet the same silence, or the same text?"""
    if hello := answer.hello:
        silent = hello.evidence is Evidence.TIMEOUT
        return silent or hello.evidence is Evidence.PLAINTEXT or hello.hint is not None
    failure = answer.handshake.failure if answer.handshake else None
    return failure is not None and (failure.cause in ("timeout", "deadline", "plaintext") or failure.hint is not None)
