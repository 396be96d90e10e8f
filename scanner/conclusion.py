"""From answers to verdicts: yes, no, and cannot tell; each with its evidence.

Pure. "No" is never said where "cannot tell" is the truth: silence, FIN and RST are a "no" to a version only when
another hello of the same interview was answered (the control), and a busy server's refusal is no answer at all.
"""

from dataclasses import dataclass, field
from enum import StrEnum

from scanner.interview import Interview
from scanner.outcome import Flag, Outcome, Stage, Verdict
from scanner.question import Answer, Negotiate, OfferVersion
from scanner.starttls.result import StartTls
from scanner.tls.exchange import Evidence, HelloAnswer
from scanner.tls.names import Version, version_of_code
from scanner.tls.sslv2 import NO_CIPHER_ERROR
from scanner.tls.wire import starts_record
from targets.services import Mode

HANDSHAKE_FAILURE, PROTOCOL_VERSION, CLOSE_NOTIFY = 40, 70, 0
RATE_LIMIT_SILENCES = 3  # so many silent probes in a row to an endpoint that had answered are a rate limit


class Status(StrEnum):
    """One word for the whole endpoint."""

    TLS = "tls"
    TLS_FAILED = "tls_failed"
    NO_TLS = "no_tls"
    INCONCLUSIVE = "inconclusive"
    MISMATCH = "mismatch"
    UNREACHABLE = "unreachable"
    ERROR = "error"


class Known(StrEnum):
    """Three values, not two."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class VersionVerdict:
    """Whether a version is spoken, and what that rests on."""

    verdict: Known
    evidence: Evidence
    hello: HelloAnswer | None = None
    flags: frozenset[str] = frozenset()


@dataclass(slots=True)
class Conclusion:
    """What an interview came to."""

    status: Status
    starttls: StartTls | None  # of the whole interview, STARTTLS mode only
    versions: dict[Version, VersionVerdict] | None
    error: Outcome | None  # why there was no handshake
    early: bytes
    flags: set[Flag] = field(default_factory=set)


def conclude(interview: Interview) -> Conclusion:
    """The verdicts for all that was asked."""
    answers = interview.answers
    flags: set[Flag] = set()
    versions = _versions(interview, flags)
    decisive = negotiation(answers) or (answers[0] if answers else None)
    error = _error_of(decisive) if decisive else None
    starttls = None
    if interview.endpoint.service.mode is Mode.STARTTLS and answers:
        starttls = _starttls(answers)
        flags |= starttls.flags
    if _turned_away_later(answers):
        flags.add(Flag.THROTTLED)
    handshake = negotiation(answers)
    if handshake and handshake.inside and starttls and starttls.before and not handshake.inside.capabilities:
        flags.add(Flag.CAPABILITIES_MISSING_INSIDE)
    early = next((answer.early for answer in answers if answer.early), b"")
    status = Status.ERROR if interview.error else _status(answers, starttls, versions)
    return Conclusion(status, starttls, versions, error, early, flags)


def negotiation(answers: list[Answer]) -> Answer | None:
    """The answer to the full handshake, where it was asked."""
    return next((answer for answer in answers if isinstance(answer.question, Negotiate)), None)


def _completed(answers: list[Answer]) -> bool:
    answer = negotiation(answers)
    return bool(answer and answer.handshake and answer.handshake.failure is None)


def _speaks_tls(answer: Answer) -> bool:
    """Did a TLS or SSL record come back on this connection?"""
    if answer.hello:
        return answer.hello.speaks_tls
    if answer.handshake is None:
        return False
    failure = answer.handshake.failure
    return failure is None or failure.verdict in (Verdict.HANDSHAKE_FAILED, Verdict.LOCAL_LIMITATION)


# --- STARTTLS ---------------------------------------------------------------------------------------------------------


def _starttls(answers: list[Answer]) -> StartTls:
    """One verdict for all connections: the first dialogue's, proved by what TLS then did."""
    first = answers[0]
    if first.failure:
        return StartTls(first.failure.verdict, first.failure.stage, first.failure.cause)
    assert first.starttls is not None  # a connection in STARTTLS mode begins with the dialogue
    if not first.starttls.go_ahead:
        return first.starttls
    early_record = next((answer.early for answer in answers if answer.early and starts_record(answer.early)), None)
    if early_record:
        return _changed(first.starttls, Verdict.VIOLATION, "tls_before_client_hello")
    if any(_speaks_tls(answer) for answer in answers):
        return first.starttls
    return _changed(first.starttls, Verdict.ACCEPTED_NO_TLS, _cause_of_no_tls(first), first)


def _changed(result: StartTls, verdict: Verdict, cause: str | None, answer: Answer | None = None) -> StartTls:
    """A go-ahead that turned out otherwise. What was said in place of TLS is the better evidence."""
    said = answer.hello.text if answer and answer.hello else None
    return StartTls(
        verdict=verdict,
        stage=Stage.TLS,
        cause=cause,
        hint=answer.hello.hint if answer and answer.hello else None,
        code=result.code,
        text=said or result.text,
        advertised=result.advertised,
        required=result.required,
        before=result.before,
        flags=result.flags,
    )


def _cause_of_no_tls(answer: Answer) -> str:
    """`plaintext`, `garbage`, `closed`, `reset` or `timeout`."""
    if answer.hello:
        return answer.hello.evidence.value
    failure = answer.handshake.failure if answer.handshake else None
    match failure:
        case Outcome(verdict=Verdict.CLOSED | Verdict.RESET | Verdict.TIMEOUT as verdict):
            return verdict.value
        case Outcome(verdict=Verdict.TARPIT):
            return Verdict.TIMEOUT.value
        case Outcome(cause="plaintext"):
            return "plaintext"
        case _:
            return "garbage"


# --- versions ---------------------------------------------------------------------------------------------------------


def _versions(interview: Interview, flags: set[Flag]) -> dict[Version, VersionVerdict] | None:
    answers = interview.answers
    if not any(answer.hello or answer.handshake for answer in answers):
        return None
    hellos = {answer.question.version: answer.hello for answer in answers if isinstance(answer.question, OfferVersion)}
    control = _completed(answers) or any(hello and hello.is_hello for hello in hellos.values())
    if throttled := control and _silences_in_a_row(answers) >= RATE_LIMIT_SILENCES:
        flags.add(Flag.THROTTLED)
    verdicts = {
        version: judge(version, hellos.get(version), control=control, throttled=throttled)
        for version in interview.versions
    }
    for version in _proved_elsewhere(answers) & verdicts.keys():
        if verdicts[version].verdict is not Known.YES:
            contradicted = verdicts[version].verdict is Known.NO
            proof = frozenset({"inconsistent"} if contradicted else ())
            verdicts[version] = VersionVerdict(Known.YES, Evidence.IMPLIED, flags=proof)
    return verdicts


def judge(version: Version, hello: HelloAnswer | None, *, control: bool, throttled: bool = False) -> VersionVerdict:
    """The verdict on one version from the answer to its hello."""
    if hello is None:
        return VersionVerdict(Known.UNKNOWN, Evidence.NOT_REACHED)
    match hello.evidence:
        case Evidence.SERVER_HELLO | Evidence.HELLO_RETRY_REQUEST | Evidence.SSLV2_SERVER_HELLO:
            known = Known.YES
        case Evidence.LOWER_VERSION:
            known = Known.NO
        case Evidence.ALERT if hello.alert == CLOSE_NOTIFY:
            known = Known.NO if control else Known.UNKNOWN  # how many servers say that they do not care to go on
        case Evidence.ALERT:
            firm = hello.alert == PROTOCOL_VERSION
            firm |= version is Version.SSLV3 and hello.alert == HANDSHAKE_FAILURE  # SSLv3 has no alert 70
            known = Known.NO if firm else Known.UNKNOWN
        case Evidence.SSLV2_ERROR:
            known = Known.NO if hello.error == NO_CIPHER_ERROR else Known.UNKNOWN  # we had offered them all
        case Evidence.TIMEOUT if throttled:
            known = Known.UNKNOWN
        case Evidence.CLOSED | Evidence.RESET | Evidence.TIMEOUT | Evidence.PLAINTEXT:
            known = Known.NO if control else Known.UNKNOWN
        case _:
            known = Known.UNKNOWN
    return VersionVerdict(known, hello.evidence, hello, hello.flags)


def _silences_in_a_row(answers: list[Answer]) -> int:
    """The longest run of silent probes after the endpoint had answered one."""
    longest = run = 0
    answered = False
    for answer in answers:
        silent = answer.hello is not None and answer.hello.evidence is Evidence.TIMEOUT
        answered = answered or _speaks_tls(answer)
        run = run + 1 if silent and answered else 0
        longest = max(longest, run)
    return longest


def _proved_elsewhere(answers: list[Answer]) -> set[Version]:
    """Versions that another hello's answer, or the handshake, shows to be spoken."""
    proved = {answer.handshake.version for answer in answers if answer.handshake}
    for hello in (answer.hello for answer in answers if answer.hello):
        if hello.evidence is Evidence.LOWER_VERSION and hello.version is not None:
            proved.add(version_of_code(hello.version))
    return {version for version in proved if version is not None}


# --- the whole --------------------------------------------------------------------------------------------------------


def _error_of(answer: Answer) -> Outcome | None:
    """What kept a connection from its aim; None when it got there, or TLS answered."""
    if answer.failure:
        return answer.failure
    if answer.starttls and not answer.starttls.go_ahead:
        result = answer.starttls
        return Outcome(result.verdict, result.stage, result.cause, result.hint, detail=result.text)
    if answer.handshake:
        return answer.handshake.failure
    return _outcome_of(answer.hello) if answer.hello else None


def _outcome_of(hello: HelloAnswer) -> Outcome | None:
    """What a raw exchange that ended the interview means for the connection."""
    match hello.evidence:
        case Evidence.TIMEOUT:
            return Outcome(Verdict.TARPIT if hello.tarpit else Verdict.TIMEOUT, Stage.TLS)
        case Evidence.CLOSED:
            return Outcome(Verdict.CLOSED, Stage.TLS)
        case Evidence.RESET:
            return Outcome(Verdict.RESET, Stage.TLS)
        case Evidence.PLAINTEXT | Evidence.GARBAGE:
            verdict = Verdict.PROTOCOL_MISMATCH if hello.hint else Verdict.VIOLATION
            return Outcome(verdict, Stage.TLS, hello.evidence.value, hello.hint, detail=hello.text)
        case _:
            return None


def _turned_away_later(answers: list[Answer]) -> bool:
    """Did a later connection not get as far as the first one?"""
    return bool(answers) and _reached(answers[0]) and not all(map(_reached, answers[1:]))


def _reached(answer: Answer) -> bool:
    """Did it get to a hello, as far as the server is concerned?"""
    if answer.failure:
        return answer.failure.verdict is Verdict.LOCAL_LIMITATION
    return answer.starttls is None or answer.starttls.go_ahead


_NO_TLS = {Verdict.NOT_OFFERED, Verdict.REFUSED_PERMANENT}
_MISMATCH = {Verdict.PROTOCOL_MISMATCH, Verdict.VIOLATION, Verdict.LIMIT_EXCEEDED}


def _status(answers: list[Answer], starttls: StartTls | None, versions: dict[Version, VersionVerdict] | None) -> Status:
    if _completed(answers) or any(entry.verdict is Known.YES for entry in (versions or {}).values()):
        return Status.TLS
    if starttls and starttls.verdict in _NO_TLS:
        return Status.NO_TLS
    if starttls and starttls.verdict is Verdict.ACCEPTED_NO_TLS:
        return Status.NO_TLS if _broken_promises(answers) > 1 else Status.INCONCLUSIVE
    if any(map(_refuses_in_tls, answers)):
        return Status.TLS_FAILED
    # What the first connection met is what the endpoint is; later ones may only have come too fast.
    error = _error_of(answers[0]) if answers and not starttls else None
    verdict = starttls.verdict if starttls else error.verdict if error else None
    if verdict is Verdict.UNREACHABLE:
        return Status.UNREACHABLE
    if verdict is Verdict.LOCAL_LIMITATION:
        return Status.ERROR
    return Status.MISMATCH if verdict in _MISMATCH else Status.INCONCLUSIVE


def _broken_promises(answers: list[Answer]) -> int:
    """On how many connections was a go-ahead followed by something else than TLS?"""
    return sum(answer.hello is not None or answer.handshake is not None for answer in answers)


def _refuses_in_tls(answer: Answer) -> bool:
    if answer.hello:
        return answer.hello.speaks_tls
    failure = answer.handshake.failure if answer.handshake else None
    return failure is not None and failure.verdict is Verdict.HANDSHAKE_FAILED
