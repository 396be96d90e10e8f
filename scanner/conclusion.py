"""From the answers of an interview to its verdicts: STARTTLS, versions, and one word for the whole.

Pure. A busy server's refusal is no answer to the question, and what ended on our side is never the server's "no".
"""

from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from scanner.dialogue import END_VERDICTS
from scanner.hint import may_be
from scanner.interview import Interview
from scanner.ladder import is_grease_intolerant, stumbles
from scanner.looks import Look
from scanner.outcome import Flag, Outcome, Stage, Verdict
from scanner.probes import PROBES
from scanner.question import Answer, InjectCommand, Knock
from scanner.shortfall import as_our_limit
from scanner.starttls.injection import UNCLEAR, Injection, InjectionResult
from scanner.starttls.result import Inside, StartTls
from scanner.starttls.words import busy_verdict, seconds_asked_for
from scanner.tls.exchange import Evidence, HelloAnswer
from scanner.tls.names import Version
from scanner.tls.wire import starts_record
from scanner.versions import (
    ENOUGH,
    Known,
    VersionVerdict,
    completed,
    large_hellos_refused,
    negotiation,
    took_large_hello,
    tries_of,
    version_verdicts,
)
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
    inconsistent: bool = False  # STARTTLS was offered, or agreed to, on one connection, and firmly refused on another
    grease_intolerant: bool = False
    large_hello_intolerant: bool = False
    injection: Injection | None = None
    probes: dict[str, dict[str, Any]] = field(default_factory=dict)  # what came of each that was asked


def conclude(interview: Interview) -> Conclusion:
    """The verdicts for all that was asked."""
    answers = interview.answers
    wanted = interview.wanted
    tries, shaken = tries_of(wanted.versions, answers), took_large_hello(answers)
    versions, fell_silent = version_verdicts(tries, answers, interview.kept, economical=wanted.economical)
    starttls = None
    if interview.endpoint.service.mode is Mode.STARTTLS and answers:
        starttls = _with_required(_with_knock(_starttls(answers), interview), answers)
        starttls = _with_told(starttls, interview.told)
    said, offered = starttls, interview.offered
    if starttls and _is_taken_back(starttls, offered):
        starttls = _with_required(_starttls(offered), offered)
    inconsistent = starttls is not None and (starttls is not said or _is_inconsistent([*answers, *offered]))
    early = next((answer.early for answer in answers if answer.early), interview.early)
    negotiated = negotiation(answers)
    decisive = negotiated or (answers[0] if answers else None)
    error = _error_of(decisive) if decisive else None
    if error:
        error = as_our_limit(error, answers, _curve(interview))
    status = Status.ERROR if interview.error else _status(interview, starttls, versions, inconsistent=inconsistent)
    flags = _flags(answers, negotiated, starttls, fell_silent) | _of_whitespace(
        interview.endpoint.service.protocol, early
    )
    flags |= stumbles(tries, named=interview.endpoint.host is not None, shaken=shaken)
    result = said or _implicit_result(status, error)
    return Conclusion(
        status=status,
        starttls=starttls,
        versions=versions,
        error=error,
        early=early,
        look=_look(result, interview, throttled=Flag.THROTTLED in flags),
        flags=flags,
        inconsistent=inconsistent,
        grease_intolerant=is_grease_intolerant(tries),
        large_hello_intolerant=large_hellos_refused(answers) >= ENOUGH,
        injection=_injection(interview.aside(InjectCommand), decisive),
        probes=_probes(interview),
    )


def _curve(interview: Interview) -> int | None:
    """The one that a first flight had."""
    return next((flight.curve for each in interview.asides if (flight := each.first_flight) and flight.curve), None)


def _look(result: StartTls, interview: Interview, *, throttled: bool) -> Look | None:
    """The present look, as the record tells it."""
    present = interview.answers[interview.kept :] or interview.answers
    if not present:
        return None
    knocks = [answer for answer in interview.asides if isinstance(answer.question, Knock)]
    said = result
    if throttled:
        turned_away = sorted(filter(_was_turned_away, present), key=lambda answer: not speaks_of_load(answer))
        said = next(map(_result_of, turned_away), result)  # words of load tell more than FIN
    return Look(
        started=min(answer.started for answer in present),
        verdict=said.verdict,
        stage=said.stage,
        cause=said.cause,
        code=said.code,
        text=said.text,
        throttled=throttled,
        limited=any(answer.failure and _is_our_limit(answer) for answer in present),
        asked_s=max(map(seconds_asked, [*present, *knocks])),
    )


def _was_turned_away(answer: Answer) -> bool:
    """Did load, or silence, keep it from an answer in TLS?"""
    error = _error_of(answer)
    return not _reached(answer) or (error is not None and error.verdict in END_VERDICTS.values())


def _result_of(answer: Answer) -> StartTls:
    """What one connection came to."""
    if answer.hello and answer.hello.speaks_tls:  # as most do
        return _IN_TLS
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


_IN_TLS = StartTls(Verdict.OK, Stage.TLS)


def _implicit_result(status: Status, error: Outcome | None) -> StartTls:
    """In implicit mode, the same words for what became of TLS."""
    if status is Status.TLS or error is None:
        return _IN_TLS
    return StartTls(error.verdict, error.stage, error.cause, text=error.detail)


def _flags(answers: list[Answer], negotiated: Answer | None, starttls: StartTls | None, fell_silent: bool) -> set[Flag]:
    flags = set(starttls.flags) if starttls else set()
    if fell_silent or _turned_away_later(answers):
        flags.add(Flag.THROTTLED)
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
    if told is None or result.before or (told.advertised and result.verdict is Verdict.NOT_OFFERED):
        return result
    required = told.required if result.required is None else result.required
    return replace(result, before=told.before, advertised=told.advertised, required=required)


def _is_taken_back(result: StartTls, offered: list[Answer]) -> bool:
    """Does a look come to a firm "no", where STARTTLS was agreed to, or listed that is not in the list now, before?

    A session that is logged in before it begins (PREAUTH) has no place for it, whatever others were offered.
    """
    match result.verdict:
        case Verdict.NOT_OFFERED:
            return bool(offered) and not result.preauth
        case Verdict.REFUSED_PERMANENT:
            return any(map(_agrees_to_starttls, offered))
        case _:
            return False


def _is_inconsistent(answers: list[Answer]) -> bool:
    """Did the go-ahead come on one connection, and a firm refusal on another?"""
    return any(map(_agrees_to_starttls, answers)) and any(map(_refuses_starttls, answers))


def _agrees_to_starttls(answer: Answer) -> bool:
    return answer.starttls is not None and answer.starttls.go_ahead


def _with_required(result: StartTls, answers: list[Answer]) -> StartTls:
    """Whether TLS is required may have been asked on another connection; of IMAP, by asking for the whole list."""
    dialogues = [answer.starttls for answer in answers if answer.starttls]
    seen = (dialogue.required for dialogue in dialogues if dialogue.required is not None)
    lists = (dialogue.before for dialogue in dialogues if dialogue.before)
    whole = result.before
    if whole and whole.login_disabled is None:
        whole = next((listed for listed in lists if listed.login_disabled is not None), whole)
    return replace(result, required=next(seen, None), before=whole)


def _with_knock(result: StartTls, interview: Interview) -> StartTls:
    """Who closes in silence, and answers a ClientHello, is another than the service; unless it then speaks as that.

    In the service's own words, it may tell why it closed.
    """
    knock = interview.aside(Knock)
    heard = knock.hello if knock else None
    if heard is None or result.verdict not in _SILENT_ENDS:
        return result
    hint, text = heard.protocol, heard.text
    if hint and not may_be(interview.endpoint.service.protocol, hint):
        return replace(result, verdict=Verdict.PROTOCOL_MISMATCH, cause=None, hint=hint, text=text)
    busy = busy_verdict(text)
    return replace(result, verdict=busy, cause=None, text=text) if busy else result


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
    speakers = list(filter(speaks_tls, answers))
    if any(map(_breaks_tls, answers)):
        return [each for each in speakers if not (each.handshake and each.handshake.broken)]
    return speakers


def _breaks_tls(answer: Answer) -> bool:
    """Did a record of TLS answer our hello, and was it neither a hello nor an alert?"""
    return answer.hello is not None and answer.hello.malformed


def speaks_tls(answer: Answer) -> bool:
    """Did a whole TLS or SSL answer come back on this connection?"""
    if answer.hello:
        return answer.hello.speaks_tls
    if answer.handshake is None:
        return False
    failure = answer.handshake.failure
    return failure is None or failure.verdict in _TLS_WAS_SPOKEN


# --- command injection ------------------------------------------------------------------------------------------------


def _injection(answer: Answer | None, without: Answer | None) -> Injection | None:
    """What the test came to, where it was made. What was provoked by it counts here and nowhere else.

    `without`: the same way taken without an injected command. Where that did not find a list inside, one reply too many
    may be what the server says there to everybody.
    """
    if answer is None:
        return None
    error = _error_of(answer)
    if error is None:
        assert answer.injection is not None  # behind a handshake there is the proof
        result = replace(answer.injection, early=answer.early)
        listed = without is not None and without.inside is not None and bool(_listed(without.inside))
        if result.result is InjectionResult.VULNERABLE and not listed:
            result = replace(result, result=InjectionResult.UNKNOWN, verdict=Verdict.VIOLATION, cause=UNCLEAR)
        return result
    reply = answer.starttls.code if answer.starttls and not answer.starttls.go_ahead else None
    result = Injection(InjectionResult.UNKNOWN, error.verdict, error.stage, error.cause, error.alert)
    return replace(result, code=reply, text=error.detail, early=answer.early)


def _listed(inside: Inside) -> tuple[str, ...]:
    """What the server lists there."""
    return inside.capabilities.capabilities if inside.capabilities and inside.stopped is None else ()


# --- what was requested -----------------------------------------------------------------------------------------------


def _probes(interview: Interview) -> dict[str, dict[str, Any]]:
    """What came of each probe; nothing where no TLS was met. Without its last talks, a probe is not `complete`."""
    known = interview.known() if interview.wanted.probes else None
    if known is None or not known.versions:
        return {}
    results = {}
    for name in interview.wanted.probes:
        probe, talked = PROBES[name], interview.talked(name)
        complete = not probe.ask(known, talked) and all(each.found is not None for each in talked)
        results[name] = {"complete": complete, **probe.result(known, talked)}
    return results


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
        if failure and failure.cause == "plaintext" and (busy := busy_verdict(failure.detail)):
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
        case Evidence.PLAINTEXT | Evidence.GARBAGE if busy := busy_verdict(hello.text):
            return Outcome(busy, Stage.TLS, hello.evidence.value, detail=hello.text)
        case Evidence.PLAINTEXT | Evidence.GARBAGE:
            verdict = Verdict.PROTOCOL_MISMATCH if hello.hint else Verdict.VIOLATION
            return Outcome(verdict, Stage.TLS, hello.evidence.value, hello.hint, detail=hello.text)
        case _:
            return None


def _is_about_load(text: str | None) -> bool:
    """A busy server may say so in plaintext, where TLS is due: that is no other protocol."""
    return busy_verdict(text) is Verdict.RATE_LIMITED


def _turned_away_later(answers: list[Answer]) -> bool:
    """Did a later connection not get as far as the first one?"""
    return bool(answers) and _reached(answers[0]) and not all(map(_reached, answers[1:]))


def _reached(answer: Answer) -> bool:
    """Did it get to a hello, as far as the server is concerned?"""
    if answer.failure:
        return answer.failure.verdict is Verdict.LOCAL_LIMITATION
    if answer.hello and _is_about_load(answer.hello.text):
        return False
    failure = answer.handshake.failure if answer.handshake else None
    if failure and failure.cause == "plaintext" and _is_about_load(failure.detail):
        return False
    return answer.starttls is None or answer.starttls.go_ahead


_NO_TLS = {Verdict.NOT_OFFERED, Verdict.REFUSED_PERMANENT}
_MISMATCH = {Verdict.PROTOCOL_MISMATCH, Verdict.VIOLATION, Verdict.LIMIT_EXCEEDED}


def _status(
    interview: Interview,
    starttls: StartTls | None,
    versions: dict[Version, VersionVerdict] | None,
    *,
    inconsistent: bool,
) -> Status:
    answers = interview.answers
    if completed(answers) or any(entry.verdict is Known.YES for entry in (versions or {}).values()):
        return Status.TLS
    if starttls and starttls.verdict in _NO_TLS:
        return Status.NO_TLS
    if starttls and starttls.verdict is Verdict.ACCEPTED_NO_TLS:
        again = any(look.verdict is Verdict.ACCEPTED_NO_TLS for look in interview.looks)
        return Status.NO_TLS if again and not inconsistent else Status.INCONCLUSIVE
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
