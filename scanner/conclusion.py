"""From the answers of an interview to its verdicts: STARTTLS, versions, and one word for the whole.

Pure. A busy server's refusal is no answer to the question, and what ended on our side is never the server's "no".
"""

import re
from dataclasses import dataclass, field, replace
from enum import StrEnum

from scanner.dialogue import END_VERDICTS
from scanner.hint import may_be
from scanner.interview import Interview
from scanner.looks import Look
from scanner.outcome import Flag, Outcome, Stage, Verdict
from scanner.question import Answer
from scanner.starttls.injection import Injection, InjectionResult
from scanner.starttls.result import StartTls
from scanner.starttls.words import seconds_asked_for, speaks_of_too_many
from scanner.tls.exchange import Evidence, HelloAnswer
from scanner.tls.names import Version
from scanner.tls.wire import starts_record
from scanner.versions import Known, VersionVerdict, completed, negotiation, version_verdicts
from targets.services import Mode, Protocol

FIRM_REFUSALS = {
    Verdict.NOT_OFFERED,
    Verdict.REFUSED_PERMANENT,
    Verdict.REFUSED_POLICY,
    Verdict.REFUSED_SERVER_ERROR,
}
_SILENT_ENDS = {Verdict.CLOSED, Verdict.RESET}


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
    look: Look | None  # the present one, None where it has no answer
    flags: set[Flag] = field(default_factory=set)
    inconsistent: bool = False  # the go-ahead came on one connection, and a firm refusal on another
    injection: Injection | None = None


def conclude(interview: Interview) -> Conclusion:
    """The verdicts for all that was asked."""
    answers = interview.answers
    versions, fell_silent = version_verdicts(interview.versions, answers)
    starttls = None
    if interview.endpoint.service.mode is Mode.STARTTLS and answers:
        starttls = _with_required(_with_knock(_starttls(answers), interview), answers)
        starttls = _with_told(starttls, interview.told)
    early = next((answer.early for answer in answers if answer.early), interview.early)
    decisive = negotiation(answers) or (answers[0] if answers else None)
    error = _error_of(decisive) if decisive else None
    status = Status.ERROR if interview.error else _status(interview, starttls, versions)
    flags = _flags(answers, starttls, fell_silent) | _of_whitespace(interview.endpoint.service.protocol, early)
    result = starttls or _implicit_result(status, error)
    return Conclusion(
        status=status,
        starttls=starttls,
        versions=versions,
        error=error,
        early=early,
        look=_look(result, interview, throttled=Flag.THROTTLED in flags),
        flags=flags,
        inconsistent=bool(starttls and starttls.go_ahead) and any(map(_refuses_starttls, answers)),
        injection=_injection(interview.injection) if interview.injection else None,
    )


def _look(result: StartTls, interview: Interview, *, throttled: bool) -> Look | None:
    """The present look, as the record tells it."""
    present = interview.answers[interview.kept :] or interview.answers
    if not present:
        return None
    turned_away = filter(_was_turned_away, present) if throttled else iter(())
    said = next(map(_result_of, turned_away), result)
    return Look(
        started=min(answer.started for answer in present),
        verdict=said.verdict,
        stage=said.stage,
        cause=said.cause,
        code=said.code,
        text=said.text,
        throttled=throttled,
        limited=any(answer.failure and _is_our_limit(answer) for answer in present),
        asked_s=max(map(seconds_asked, present)),
    )


def _was_turned_away(answer: Answer) -> bool:
    """Did load, or silence, keep it from an answer in TLS?"""
    error = _error_of(answer)
    return not _reached(answer) or (error is not None and error.verdict in END_VERDICTS.values())


def _result_of(answer: Answer) -> StartTls:
    """What one connection came to."""
    if answer.starttls and not answer.starttls.go_ahead:
        return answer.starttls
    return _implicit_result(Status.INCONCLUSIVE, _error_of(answer))


def seconds_asked(answer: Answer) -> int:
    """How long the server asked us to stay away, in what it said on this connection; 0 where it did not."""
    text = _result_of(answer).text
    return seconds_asked_for(text) if text else 0


def speaks_of_load(answer: Answer) -> bool:
    """Did the server say that it is about the number, or the pace, of our connections?"""
    return _result_of(answer).verdict is Verdict.RATE_LIMITED


def _implicit_result(status: Status, error: Outcome | None) -> StartTls:
    """In implicit mode, the same words for what became of TLS."""
    if status is Status.TLS or error is None:
        return StartTls(Verdict.OK, Stage.TLS)
    return StartTls(error.verdict, error.stage, error.cause, text=error.detail)


def _flags(answers: list[Answer], starttls: StartTls | None, fell_silent: bool) -> set[Flag]:
    flags = set(starttls.flags) if starttls else set()
    if fell_silent or _turned_away_later(answers):
        flags.add(Flag.THROTTLED)
    negotiated = negotiation(answers)
    inside = negotiated.inside if negotiated else None
    if inside and starttls and starttls.before and not inside.capabilities and not inside.stopped:
        flags.add(Flag.CAPABILITIES_MISSING_INSIDE)
    return flags


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
    if _speakers_of_tls(answers):
        return first.starttls
    if half := next(filter(None, map(_half_an_answer, answers)), None):
        return replace(first.starttls, verdict=half, stage=Stage.TLS)
    if any(map(_breaks_tls, answers)):
        return replace(first.starttls, verdict=Verdict.VIOLATION, stage=Stage.TLS, cause="malformed_tls")
    said = first.hello
    if said and said.hint == "echo":  # the go-ahead may have been our own words
        return replace(first.starttls, verdict=Verdict.PROTOCOL_MISMATCH, stage=Stage.TLS, hint=said.hint)
    return replace(
        first.starttls,
        verdict=Verdict.RATE_LIMITED if said and _is_about_load(said.text) else Verdict.ACCEPTED_NO_TLS,
        stage=Stage.TLS,
        cause=_cause_of_no_tls(first),
        hint=said.hint if said else None,
        text=(said.text if said else None) or first.starttls.text,  # what was said in place of TLS is better evidence
    )


def _with_told(result: StartTls, told: StartTls | None) -> StartTls:
    """What an earlier look was told of capabilities stays known where this one was not told."""
    if told is None or result.before:
        return result
    required = told.required if result.required is None else result.required
    return replace(result, before=told.before, advertised=told.advertised, required=required)


def _with_required(result: StartTls, answers: list[Answer]) -> StartTls:
    """Whether TLS is required may have been asked on another connection."""
    dialogues = (answer.starttls for answer in answers if answer.starttls)
    seen = (dialogue.required for dialogue in dialogues if dialogue.required is not None)
    return replace(result, required=next(seen, None))


def _with_knock(result: StartTls, interview: Interview) -> StartTls:
    """Who closes in silence, and answers a ClientHello, is another than the service; unless it then speaks as that."""
    heard = interview.knock.hello if interview.knock else None
    if heard is None or heard.protocol is None or result.verdict not in _SILENT_ENDS:
        return result
    hint, text = heard.protocol, heard.text
    if may_be(interview.endpoint.service.protocol, hint):
        return result
    return replace(result, verdict=Verdict.PROTOCOL_MISMATCH, cause=None, hint=hint, text=text)


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


def _speakers_of_tls(answers: list[Answer]) -> list[Answer]:
    """Those on which a whole TLS or SSL answer came back: a hello or an alert.

    A handshake that broke is no proof where a raw hello was answered with what breaks the grammar: it met the same.
    """
    speakers = list(filter(_speaks_tls, answers))
    if any(map(_breaks_tls, answers)):
        return [each for each in speakers if not (each.handshake and each.handshake.broken)]
    return speakers


def _breaks_tls(answer: Answer) -> bool:
    """Did a record of TLS answer our hello, and was it neither a hello nor an alert?"""
    return answer.hello is not None and answer.hello.malformed


def _speaks_tls(answer: Answer) -> bool:
    """Did a whole TLS or SSL answer come back on this connection?"""
    if answer.hello:
        return answer.hello.speaks_tls
    if answer.handshake is None:
        return False
    failure = answer.handshake.failure
    return failure is None or failure.verdict in _TLS_WAS_SPOKEN


# --- command injection ------------------------------------------------------------------------------------------------


def _injection(answer: Answer) -> Injection:
    """What the test came to. What was provoked by it counts here and nowhere else."""
    error = _error_of(answer)
    if error is None:
        assert answer.injection is not None  # behind a handshake there is the proof
        return replace(answer.injection, early=answer.early)
    reply = answer.starttls.code if answer.starttls and not answer.starttls.go_ahead else None
    result = Injection(InjectionResult.UNKNOWN, error.verdict, error.stage, error.cause, error.alert)
    return replace(result, code=reply, text=error.detail, early=answer.early)


# --- the whole --------------------------------------------------------------------------------------------------------


def _error_of(answer: Answer) -> Outcome | None:
    """What kept a connection from its aim; None when it got there, or TLS answered."""
    if answer.failure:
        return answer.failure
    if answer.starttls and not answer.starttls.go_ahead:
        result = answer.starttls
        return Outcome(result.verdict, result.stage, result.cause, result.hint, detail=result.text)
    if answer.handshake:
        failure = answer.handshake.failure
        if failure and failure.cause == "plaintext" and (busy := _busy(failure.detail)):
            return replace(failure, verdict=busy, hint=None)
        return failure
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
        case Evidence.PLAINTEXT if busy := _busy(hello.text):
            return Outcome(busy, Stage.TLS, hello.evidence.value, detail=hello.text)
        case Evidence.PLAINTEXT | Evidence.GARBAGE:
            verdict = Verdict.PROTOCOL_MISMATCH if hello.hint else Verdict.VIOLATION
            return Outcome(verdict, Stage.TLS, hello.evidence.value, hello.hint, detail=hello.text)
        case _:
            return None


# What servers of several protocols say in plaintext, where TLS is due, when they cannot serve anybody just now.
_PASSING = re.compile(r"4\d\d[ -]|\* BYE\b|BYE\b|ERROR :|-ERR \[(?:SYS/TEMP|IN-USE|LOGIN-DELAY)\]", re.IGNORECASE)


def _busy(text: str | None) -> Verdict | None:
    """Is it no other protocol, but a server of this one that is too busy to speak TLS?"""
    if _is_about_load(text):
        return Verdict.RATE_LIMITED
    return Verdict.UNAVAILABLE if text and _PASSING.match(text) else None


def _is_about_load(text: str | None) -> bool:
    """A busy server may say so in plaintext, where TLS is due: that is no other protocol."""
    return text is not None and speaks_of_too_many(text.encode())


def _turned_away_later(answers: list[Answer]) -> bool:
    """Did a later connection not get as far as the first one?"""
    return bool(answers) and _reached(answers[0]) and not all(map(_reached, answers[1:]))


def _reached(answer: Answer) -> bool:
    """Did it get to a hello, as far as the server is concerned?"""
    if answer.failure:
        return answer.failure.verdict is Verdict.LOCAL_LIMITATION
    if answer.hello and _is_about_load(answer.hello.text):
        return False
    return answer.starttls is None or answer.starttls.go_ahead


_NO_TLS = {Verdict.NOT_OFFERED, Verdict.REFUSED_PERMANENT}
_MISMATCH = {Verdict.PROTOCOL_MISMATCH, Verdict.VIOLATION, Verdict.LIMIT_EXCEEDED}


def _status(interview: Interview, starttls: StartTls | None, versions: dict[Version, VersionVerdict] | None) -> Status:
    answers = interview.answers
    if completed(answers) or any(entry.verdict is Known.YES for entry in (versions or {}).values()):
        return Status.TLS
    if starttls and starttls.verdict in _NO_TLS:
        return Status.NO_TLS
    if starttls and starttls.verdict is Verdict.ACCEPTED_NO_TLS:
        again = any(look.verdict is Verdict.ACCEPTED_NO_TLS for look in interview.looks)
        return Status.NO_TLS if again else Status.INCONCLUSIVE
    if answers and all(map(_is_our_limit, answers)):
        return Status.ERROR
    if not all(map(_is_our_limit, _speakers_of_tls(answers))) or (starttls and starttls.verdict is Verdict.OK):
        return Status.TLS_FAILED
    # What the first connection met is what the endpoint is; later ones may only have come too fast.
    error = _error_of(answers[0]) if answers and not starttls else None
    verdict = starttls.verdict if starttls else error.verdict if error else None
    if verdict is Verdict.UNREACHABLE:
        somebody = any(look.stage is not Stage.CONNECT for look in interview.looks)
        return Status.INCONCLUSIVE if somebody else Status.UNREACHABLE
    if verdict is Verdict.LOCAL_LIMITATION:
        return Status.ERROR
    return Status.MISMATCH if verdict in _MISMATCH else Status.INCONCLUSIVE


def _is_our_limit(answer: Answer) -> bool:
    error = _error_of(answer)
    return error is not None and error.verdict is Verdict.LOCAL_LIMITATION
