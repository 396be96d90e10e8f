"""Which versions does an endpoint speak? Yes, no, and cannot tell, each with its evidence.

Pure. "No" is never said where "cannot tell" is the truth. FIN, RST and silence are a "no" to a version only when
another hello of the same interview was answered (the control), and of the same look; in a shape that the version was
offered in too; where no sentinel in the random of a lower version says that the server could do better (RFC 8446
§4.1.3); and not even then when the endpoint had stopped answering: when it was silent again and again, kept a
connection out, or turned away the full handshake too, which offers what it had just answered. An alert that another
hello could have spared us is a "no" when no other hello did (`ladder.py`).
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum

from scanner.dialogue import END_VERDICTS
from scanner.ladder import (
    CLOSE_NOTIFY,
    HANDSHAKE_FAILURE,
    INCONCLUSIVE_ALERTS,
    MISSING_EXTENSION,
    Try,
    deciding,
    has_control,
    hinted_versions,
    is_doubtful,
)
from scanner.outcome import Stage, Verdict
from scanner.question import Answer, Negotiate, OfferVersion, Question
from scanner.starttls.words import busy_verdict
from scanner.tls.exchange import Evidence, HelloAnswer
from scanner.tls.handshake import Handshake
from scanner.tls.hello import Shape
from scanner.tls.library import lacks
from scanner.tls.names import Version, version_of_code
from scanner.tls.sslv2 import NO_CIPHER_ERROR

PROTOCOL_VERSION = 70
USUAL_HANDSHAKE = Negotiate()
ENOUGH = 2  # of what may happen by chance
_RETRIED = frozenset({"retry_used"})
_CHOKED = {"illegal_parameter", "decode_error", "internal_error"}
RATE_LIMIT_SILENCES = 3  # so many silent connections in a row to an endpoint that had answered are a rate limit
_HINTED = {Version.TLS1_2, Version.TLS1_3}  # what a sentinel in a ServerHello may tell of (RFC 8446 §4.1.3)


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
    shape: Shape = Shape.PLAIN  # of the hello that decided
    flags: frozenset[str] = frozenset()


def version_verdicts(
    tries: dict[Version, list[Try]], answers: list[Answer], kept: int = 0, *, economical: bool = False
) -> tuple[dict[Version, VersionVerdict] | None, bool]:
    """The verdict on each version, None if no connection got as far as a ClientHello; and: did it stop answering?

    `tries`: those of the answers, for each version that is wanted. `kept`: so many of the answers are of an earlier
    look. `economical`: were versions left out that others tell of?
    """
    if not any(answer.hello or answer.handshake for answer in answers):
        return None, False
    shaken, answered = took_large_hello(answers), any(map(is_control, answers))
    stopped = answered and (
        fell_silent(answers, kept)
        or lacks_control(answers, kept)
        or any(map(_kept_out, answers[kept:]))
        or handshakes_turned_away(answers)
    )
    verdicts = {
        version: judge(version, made, not stopped and (shaken or has_control(version, tries)))
        for version, made in tries.items()
    }
    for version in proved_versions(answers) & verdicts.keys():
        if verdicts[version].verdict is not Known.YES:
            contradicted = verdicts[version].verdict is Known.NO
            proof = frozenset({"inconsistent"} if contradicted else ())
            seen = None if tries[version] else _seen_elsewhere(version, answers)
            flags = proof | seen.flags if seen else proof
            verdicts[version] = VersionVerdict(Known.YES, Evidence.IMPLIED, seen, flags=flags)
    if any(verdicts[version].verdict is Known.NO for version in verdicts.keys() & _HINTED):
        newest = Version.TLS1_3 in proved_versions(answers)
        for version in verdicts.keys() & hinted_versions(tries, newest=newest):
            verdicts[version] = _doubted(version, verdicts[version])
    if economical and (unasked := {version for version, made in tries.items() if not made}):
        for version in unasked & absent(answers):
            verdicts[version] = VersionVerdict(Known.NO, Evidence.IMPLIED)
    return verdicts, stopped


def _doubted(version: Version, entry: VersionVerdict) -> VersionVerdict:
    """A "no" to a version that the server could do, by what it says in a lower one."""
    if entry.verdict is not Known.NO or entry.hello is None:
        return entry
    verdict = Known.UNKNOWN if is_doubtful(version, entry.hello) else Known.NO
    return replace(entry, verdict=verdict, flags=entry.flags | {"inconsistent"})


def _seen_elsewhere(version: Version, answers: list[Answer]) -> HelloAnswer | None:
    """What was agreed on with a version that was not asked for by itself."""
    for answer in answers:
        if answer.hello and answer.hello.is_hello and answer.hello.version == version.code:
            return replace(answer.hello, evidence=Evidence.IMPLIED)
        if (made := answer.handshake) and made.version is version:
            group = made.group if version is Version.TLS1_3 else None
            return HelloAnswer(Evidence.IMPLIED, version.code, made.cipher, group)
    return None


def tries_of(versions: tuple[Version, ...], answers: list[Answer]) -> dict[Version, list[Try]]:
    """The hellos that each version was offered with, and what came, in order."""
    tries: dict[Version, list[Try]] = {version: [] for version in versions}
    for answer in answers:
        if isinstance(answer.question, OfferVersion):
            tries[answer.question.version].append(Try(answer.question.shape, answer.hello))
    return tries


def offers(answers: list[Answer]) -> Iterator[tuple[OfferVersion, HelloAnswer]]:
    """The raw hellos that were sent, and what came."""
    for answer in answers:
        if isinstance(answer.question, OfferVersion) and answer.hello:
            yield answer.question, answer.hello


def judge(version: Version, tries: list[Try], control: bool) -> VersionVerdict:
    """The verdict on one version from the answers to its hellos. `control`: does the endpoint answer hellos like it?"""
    last = tries[0] if len(tries) == 1 else deciding(tries)
    if last is None or last.answer is None:
        return VersionVerdict(Known.UNKNOWN, Evidence.NOT_REACHED)
    hello = last.answer
    climbed = len({each.shape for each in tries}) > 1 and all(each.answer for each in tries)
    known = _known(version, hello, control, climbed=climbed)
    retried = any(each.shape is not Shape.PLAIN for each in tries)
    return VersionVerdict(known, hello.evidence, hello, last.shape, hello.flags | _RETRIED if retried else hello.flags)


def _known(version: Version, hello: HelloAnswer, control: bool, *, climbed: bool) -> Known:
    match hello.evidence:
        case Evidence.SERVER_HELLO | Evidence.HELLO_RETRY_REQUEST | Evidence.SSLV2_SERVER_HELLO:
            return Known.YES
        case Evidence.LOWER_VERSION:
            return Known.NO
        case Evidence.ALERT if hello.alert == PROTOCOL_VERSION:
            return Known.NO
        case Evidence.ALERT if version is Version.SSLV3 and hello.alert == HANDSHAKE_FAILURE:
            return Known.NO  # it has no alert 70, and was offered all that servers of it had
        case Evidence.ALERT if version is Version.TLS1_3 and hello.alert == MISSING_EXTENSION:
            return Known.UNKNOWN  # that alert is of TLS 1.3: whoever says so speaks it (RFC 8446 §6.2)
        case Evidence.ALERT if version is Version.SSLV2:
            return Known.NO if control else Known.UNKNOWN  # it has no alerts: whoever sends one speaks something else
        case Evidence.ALERT if control and hello.alert in INCONCLUSIVE_ALERTS:
            # A close_notify is a FIN; else, another hello has to meet the same.
            return Known.NO if climbed or hello.alert == CLOSE_NOTIFY else Known.UNKNOWN
        case Evidence.SSLV2_ERROR if hello.error == NO_CIPHER_ERROR:
            return Known.NO  # we had offered them all
        case Evidence.CLOSED | Evidence.RESET | Evidence.TIMEOUT if not hello.partial and control:
            return Known.NO
        case _:
            return Known.UNKNOWN


def negotiation(answers: list[Answer]) -> Answer | None:
    """The answer to the full handshake, where it was asked: of several, one that completed it, the usual one first."""
    asked = [answer for answer in answers if isinstance(answer.question, Negotiate)]
    if len(asked) < 2:
        return asked[0] if asked else None
    done = [answer for answer in asked if answer.handshake and answer.handshake.failure is None]
    usual = [answer for answer in done if answer.question == USUAL_HANDSHAKE]
    return next(iter([*usual, *done, *asked]), None)


def took_large_hello(answers: list[Answer]) -> bool:
    """Was a full handshake made with the usual hello, which has all in it and is longer than a packet?"""
    return any(
        answer.handshake and answer.handshake.failure is None and answer.question == USUAL_HANDSHAKE
        for answer in answers
    )


def large_hellos_refused(answers: list[Answer]) -> int:
    """How often the usual handshake was refused, where a short hello made it: an end counts once, an alert `ENOUGH`.

    It is no matter of length where the raw hello of TLS 1.3, which fits into a packet, was not answered either, or only
    with what our library has not.
    """
    refused = sum(map(_refusals, _handshakes(answers, large=True)))
    if not refused or took_large_hello(answers):
        return 0
    to_newest = [hello for asked, hello in offers(answers) if asked.version is Version.TLS1_3 and hello.is_hello]
    newest = any(lacks(hello) is None for hello in to_newest)
    took_short_hello = any(each.failure is None for each in _handshakes(answers, large=False))
    return refused if newest and took_short_hello else 0


def _handshakes(answers: list[Answer], *, large: bool) -> list[Handshake]:
    """Those with the usual hello, or those with a short one that leaves out nothing."""
    return [
        answer.handshake
        for answer in answers
        if answer.handshake and (answer.question == USUAL_HANDSHAKE if large else _is_short(answer.question))
    ]


def _is_short(question: Question) -> bool:
    return isinstance(question, Negotiate) and question.newest is not None and question.shape is Shape.PLAIN


def _refusals(handshake: Handshake) -> int:
    if handshake.partial or handshake.answered or handshake.failure is None:
        return 0  # whoever says a ServerHello has read all of our hello
    return ENOUGH if handshake.failure.alert in _CHOKED else 1 if _ended(handshake) else 0


def completed(answers: list[Answer]) -> bool:
    """Was a full handshake made?"""
    answer = negotiation(answers)
    return bool(answer and answer.handshake and answer.handshake.failure is None)


def fell_silent(answers: list[Answer], kept: int) -> bool:
    """Silent again and again, to hellos in a row, after it had answered one.

    At a later look, what was answered before is asked once more, after the rest: when that is answered again, the
    silences between are the server's way of saying "no".
    """
    if len(answers) - kept < RATE_LIMIT_SILENCES:
        return False
    longest = run = 0
    answered = kept > 0
    for answer in answers[kept:]:
        run = run + 1 if answered and is_silent(answer) else 0
        answered = answered or is_control(answer) or bool(answer.hello and answer.hello.speaks_tls)
        longest = max(longest, run)
    still_there = kept > 0 and any(map(is_control, answers[kept:]))
    return longest >= RATE_LIMIT_SILENCES and not still_there


def lacks_control(answers: list[Answer], kept: int) -> bool:
    """Did a later look meet FIN, RST or silence, and not one hello? An earlier one proves nothing about the present."""
    if not kept:
        return False
    present = answers[kept:]
    ended = any(Try(asked.shape, hello).ended for asked, hello in offers(present))
    return ended and not any(map(is_control, present))


def is_control(answer: Answer) -> bool:
    """Did a hello come back, or all of a handshake?"""
    if answer.handshake:
        return answer.handshake.failure is None
    return answer.hello is not None and answer.hello.is_hello


def is_silent(answer: Answer) -> bool:
    """Did nothing come back, be it only to our SYN?"""
    if answer.failure:
        return answer.failure.verdict is Verdict.UNREACHABLE and answer.failure.cause == "timeout"
    if answer.hello:
        return answer.hello.evidence is Evidence.TIMEOUT
    failure = answer.handshake.failure if answer.handshake else None
    return failure is not None and failure.cause == "timeout"


def handshakes_turned_away(answers: list[Answer]) -> bool:
    """Did FIN, RST or silence end every handshake, although they offer what was answered before, in a hello like it?"""
    made = [answer.handshake for answer in answers if answer.handshake]
    if not made or not all(map(_ended, made)):
        return False
    had = [(asked, hello) for asked, hello in offers(answers) if hello.is_hello]
    newest = max((asked.version.code for asked, _ in had), default=0)
    return any(_is_like_a_handshake(asked, hello) for asked, hello in had if asked.version.code == newest)


def _kept_out(answer: Answer) -> bool:
    """Did the server turn the connection away before its hello, or speak of load in answer to that?

    Text in answer to a full handshake is no better: it offers what was answered before.
    """
    if answer.failure:
        return answer.failure.verdict is Verdict.UNREACHABLE
    if answer.starttls and not answer.starttls.go_ahead:
        hung_up = answer.starttls.verdict in END_VERDICTS.values()
        return not (hung_up and took_offence(answer))
    if answer.hello:  # 421 and the like may be about that hello alone: some servers say so when TLS fails
        return busy_verdict(answer.hello.text) is Verdict.RATE_LIMITED
    failure = answer.handshake.failure if answer.handshake else None
    return failure is not None and failure.cause == "plaintext"


def took_offence(answer: Answer) -> bool:
    """Was it the question beside the handshake that ended a connection, which had got as far as that?"""
    inquired = isinstance(answer.question, Negotiate) and answer.question.inquiring
    result = answer.starttls
    return inquired and result is not None and not result.go_ahead and result.stage is Stage.REPLY


def _ended(handshake: Handshake) -> bool:
    return handshake.failure is not None and handshake.failure.verdict in END_VERDICTS.values()


def _is_like_a_handshake(asked: OfferVersion, hello: HelloAnswer) -> bool:
    """Was a hello in its shape answered with what a handshake offers too?"""
    return asked.shape in (Shape.PLAIN, Shape.NO_GREASE) and lacks(hello) is None


def proved_versions(answers: list[Answer]) -> set[Version]:
    """Versions that a hello, or a handshake, shows to be spoken."""
    proved: set[Version | None] = set()
    for answer in answers:
        if answer.handshake:
            proved.add(answer.handshake.version)
        if (hello := answer.hello) and hello.is_hello and hello.evidence is not Evidence.HIGHER_VERSION:
            proved.add(version_of_code(hello.version or 0))
    return {version for version in proved if version}


def absent(answers: list[Answer]) -> set[Version]:
    """Versions that answers to others show not to be spoken.

    Those between what was offered and the lower version that was answered, for a server takes the highest that it has;
    and those below one that alert 70 refused, for the offer was of these, too (RFC 5246 §E.1). The latter where a
    higher one is proved, so that it is not the alert of a server that refuses whatever is newer than itself; and not
    where TLS 1.3 was refused, which was offered alone.
    """
    proved, gaps = proved_versions(answers), list(_gaps(answers))
    return {version for version in Version for above, below in gaps if below.code < version.code <= above.code} - proved


# SSLv2 has another hello, and that of TLS 1.3 lists it alone in supported_versions (RFC 8446 §4.2.1).
_OFFERED_WITH_ALL_BELOW = {Version.SSLV3, Version.TLS1_0, Version.TLS1_1, Version.TLS1_2}


def _gaps(answers: list[Answer]) -> Iterator[tuple[Version, Version]]:
    """From one version down to another, that one not included: what was offered, and was not what was agreed on."""
    highest = max((version.code for version in proved_versions(answers)), default=0)
    for asked, hello in offers(answers):
        with_all_below = asked.version in _OFFERED_WITH_ALL_BELOW
        doubtful = is_doubtful(asked.version, hello) and highest < Version.TLS1_3.code
        if (
            hello.evidence is Evidence.LOWER_VERSION
            and not doubtful
            and (answered := version_of_code(hello.version or 0))
        ):
            yield asked.version, answered
        elif hello.alert == PROTOCOL_VERSION and with_all_below and asked.version.code < highest:
            yield asked.version, Version.SSLV2
    for answer in answers:
        if isinstance(answer.question, Negotiate) and answer.handshake and answer.handshake.version:
            yield answer.question.newest or Version.TLS1_3, answer.handshake.version
