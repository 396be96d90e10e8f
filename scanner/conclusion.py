"""From the answers of an interview to its verdicts: STARTTLS, versions, and one word for the whole.

Pure. A busy server's refusal is no answer to the question, and what ended on our side is never the server's "no".
"""

from dataclasses import dataclass, field, replace
from enum import StrEnum

from scanner.interview import Interview
from scanner.outcome import Flag, Outcome, Stage, Verdict
from scanner.question import Answer
from scanner.starttls.result import StartTls
from scanner.starttls.words import speaks_of_too_many
from scanner.tls.exchange import Evidence, HelloAnswer
from scanner.tls.names import Version
from scanner.tls.wire import starts_record
from scanner.versions import Known, VersionVerdict, completed, negotiation, version_verdicts
from targets.services import Mode, Protocol


class Status(StrEnum):
    """One word for the whole endpoint."""

    TLS = "tls"
    TLS_FAILED = "tls_failed"
    NO_TLS = "no_tls"
    INCONCLUSIVE = "inconclusive"
    MISMATCH = "mismatch"
    UNREACHABLE = "unreachable"
    ERROR = "error"


@dataclass(slots=True)
class Conclusion:
    """What an interview came to."""

    status: Status
    starttls: StartTls | None  # of the whole interview, STARTTLS mode only
    versions: dict[Version, VersionVerdict] | None
    error: Outcome | None  # why there was no handshake
    early: bytes
    flags: set[Flag] = field(default_factory=set)
    inconsistent: bool = False  # the go-ahead came on one connection, and a firm refusal on another


def conclude(interview: Interview) -> Conclusion:
    """The verdicts for all that was asked."""
    answers = interview.answers
    versions, fell_silent = version_verdicts(interview.versions, answers)
    starttls = None
    if interview.endpoint.service.mode is Mode.STARTTLS and answers:
        starttls = _starttls(answers)
    early = next((answer.early for answer in answers if answer.early), b"")
    decisive = negotiation(answers) or (answers[0] if answers else None)
    status = Status.ERROR if interview.error else _status(answers, starttls, versions)
    return Conclusion(
        status=status,
        starttls=starttls,
        versions=versions,
        error=_error_of(decisive) if decisive else None,
        early=early,
        flags=_flags(answers, starttls, fell_silent) | _of_whitespace(interview.endpoint.service.protocol, early),
        inconsistent=bool(starttls and starttls.go_ahead) and any(map(_refuses_starttls, answers)),
    )


def _flags(answers: list[Answer], starttls: StartTls | None, fell_silent: bool) -> set[Flag]:
    flags = set(starttls.flags) if starttls else set()
    if fell_silent or _turned_away_later(answers):
        flags.add(Flag.THROTTLED)
    negotiated = negotiation(answers)
    inside = negotiated.inside if negotiated else None
    if inside and starttls and starttls.before and not inside.capabilities and not inside.stopped:
        flags.add(Flag.CAPABILITIES_MISSING_INSIDE)
    return flags


FIRM_REFUSALS = {
    Verdict.NOT_OFFERED,
    Verdict.REFUSED_PERMANENT,
    Verdict.REFUSED_POLICY,
    Verdict.REFUSED_SERVER_ERROR,
}


def _of_whitespace(protocol: Protocol, early: bytes) -> set[Flag]:
    """Whitespace behind `<proceed/>` is forbidden (RFC 6120 §5.4.2.3), and yet no reply that anybody injected."""
    is_xmpp = protocol in (Protocol.XMPP_CLIENT, Protocol.XMPP_SERVER)
    return {Flag.WHITESPACE_AFTER_PROCEED} if is_xmpp and early and early.isspace() else set()


# --- STARTTLS ---------------------------------------------------------------------------------------------------------


def _starttls(answers: list[Answer]) -> StartTls:
    """One verdict for all connections: the first dialogue's, proved by what TLS then did."""
    first = answers[0]
    if first.failure:
        return StartTls(first.failure.verdict, first.failure.stage, first.failure.cause)
    assert first.starttls is not None  # a connection in STARTTLS mode begins with the dialogue
    if not first.starttls.go_ahead:
        return first.starttls
    if any(answer.early and starts_record(answer.early) for answer in answers):
        cause = "tls_before_client_hello"
        return replace(first.starttls, verdict=Verdict.VIOLATION, stage=Stage.TLS, cause=cause)
    if any(map(_speaks_tls, answers)):
        return first.starttls
    if half := next(filter(None, map(_half_an_answer, answers)), None):
        return replace(first.starttls, verdict=half, stage=Stage.TLS)
    said = first.hello
    return replace(
        first.starttls,
        verdict=Verdict.ACCEPTED_NO_TLS,
        stage=Stage.TLS,
        cause=_cause_of_no_tls(first),
        hint=said.hint if said else None,
        text=(said.text if said else None) or first.starttls.text,  # what was said in place of TLS is better evidence
    )


def _half_an_answer(answer: Answer) -> Verdict | None:
    """How it ended when TLS had begun: that is no server that says yes and then does not do it."""
    if answer.hello and answer.hello.partial:
        return Verdict.TARPIT if answer.hello.tarpit else Verdict(answer.hello.evidence.value)
    if answer.handshake and answer.handshake.partial and answer.handshake.failure:
        return answer.handshake.failure.verdict
    return None


def _refuses_starttls(answer: Answer) -> bool:
    """A refusal that is not about load, nor about us."""
    return answer.starttls is not None and answer.starttls.verdict in FIRM_REFUSALS


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


# How a handshake may fail after the server had said something in TLS.
_TLS_WAS_SPOKEN = {Verdict.HANDSHAKE_FAILED, Verdict.LOCAL_LIMITATION, Verdict.LIMIT_EXCEEDED}


def _speaks_tls(answer: Answer) -> bool:
    """Did a whole TLS or SSL answer come back on this connection?"""
    if answer.hello:
        return answer.hello.speaks_tls
    if answer.handshake is None:
        return False
    failure = answer.handshake.failure
    return failure is None or failure.verdict in _TLS_WAS_SPOKEN


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
    if answer.hello and answer.hello.text and speaks_of_too_many(answer.hello.text.encode()):
        return False
    return answer.starttls is None or answer.starttls.go_ahead


_NO_TLS = {Verdict.NOT_OFFERED, Verdict.REFUSED_PERMANENT}
_MISMATCH = {Verdict.PROTOCOL_MISMATCH, Verdict.VIOLATION, Verdict.LIMIT_EXCEEDED}


def _status(answers: list[Answer], starttls: StartTls | None, versions: dict[Version, VersionVerdict] | None) -> Status:
    if completed(answers) or any(entry.verdict is Known.YES for entry in (versions or {}).values()):
        return Status.TLS
    if starttls and starttls.verdict in _NO_TLS:
        return Status.NO_TLS
    if starttls and starttls.verdict is Verdict.ACCEPTED_NO_TLS:
        return Status.NO_TLS if _broken_promises(answers) > 1 else Status.INCONCLUSIVE
    if answers and all(map(_is_our_limit, answers)):
        return Status.ERROR
    if any(map(_refuses_in_tls, answers)) or (starttls and starttls.verdict is Verdict.OK):
        return Status.TLS_FAILED
    # What the first connection met is what the endpoint is; later ones may only have come too fast.
    error = _error_of(answers[0]) if answers and not starttls else None
    verdict = starttls.verdict if starttls else error.verdict if error else None
    if verdict is Verdict.UNREACHABLE:
        return Status.UNREACHABLE
    if verdict is Verdict.LOCAL_LIMITATION:
        return Status.ERROR
    return Status.MISMATCH if verdict in _MISMATCH else Status.INCONCLUSIVE


def _refuses_in_tls(answer: Answer) -> bool:
    """It answers in TLS, and what kept us from a handshake is not our own limit."""
    return _speaks_tls(answer) and not _is_our_limit(answer)


def _is_our_limit(answer: Answer) -> bool:
    error = _error_of(answer)
    return error is not None and error.verdict is Verdict.LOCAL_LIMITATION


def _broken_promises(answers: list[Answer]) -> int:
    """On how many connections was a go-ahead followed by something else than TLS?"""
    return sum(answer.hello is not None or answer.handshake is not None for answer in answers)
