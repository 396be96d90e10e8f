"""Which versions does an endpoint speak? Yes, no, and cannot tell, each with its evidence.

Pure. "No" is never said where "cannot tell" is the truth. FIN, RST and silence are a "no" to a version only when
another hello of the same interview was answered (the control); and not even then when the endpoint had stopped
answering: when it was silent again and again, or turned away the full handshake too, which offers what it had just
answered.
"""

from dataclasses import dataclass
from enum import StrEnum

from scanner.dialogue import END_VERDICTS
from scanner.question import Answer, Negotiate, OfferVersion
from scanner.tls.exchange import Evidence, HelloAnswer
from scanner.tls.names import Version, version_of_code
from scanner.tls.sslv2 import NO_CIPHER_ERROR

HANDSHAKE_FAILURE, PROTOCOL_VERSION = 40, 70
RATE_LIMIT_SILENCES = 3  # so many silent connections in a row to an endpoint that had answered are a rate limit
OLDEST_OF_HANDSHAKE = Version.TLS1_0.code


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


def version_verdicts(
    versions: tuple[Version, ...], answers: list[Answer]
) -> tuple[dict[Version, VersionVerdict] | None, bool]:
    """The verdict on each version, None if no connection got as far as a ClientHello; and: did it stop answering?"""
    if not any(answer.hello or answer.handshake for answer in answers):
        return None, False
    hellos = {answer.question.version: answer.hello for answer in answers if isinstance(answer.question, OfferVersion)}
    control = completed(answers) or any(hello and hello.is_hello for hello in hellos.values())
    fell_silent = control and (_silences_in_a_row(answers) >= RATE_LIMIT_SILENCES or _handshake_turned_away(answers))
    verdicts = {version: judge(version, hellos.get(version), control and not fell_silent) for version in versions}
    for version in _proved_elsewhere(answers) & verdicts.keys():
        if verdicts[version].verdict is not Known.YES:
            contradicted = verdicts[version].verdict is Known.NO
            proof = frozenset({"inconsistent"} if contradicted else ())
            verdicts[version] = VersionVerdict(Known.YES, Evidence.IMPLIED, flags=proof)
    return verdicts, fell_silent


def judge(version: Version, hello: HelloAnswer | None, control: bool) -> VersionVerdict:
    """The verdict on one version from the answer to its hello. `control`: does the endpoint answer hellos?"""
    if hello is None:
        return VersionVerdict(Known.UNKNOWN, Evidence.NOT_REACHED)
    match hello.evidence:
        case Evidence.SERVER_HELLO | Evidence.HELLO_RETRY_REQUEST | Evidence.SSLV2_SERVER_HELLO:
            known = Known.YES
        case Evidence.LOWER_VERSION:
            known = Known.NO
        case Evidence.ALERT:
            firm = hello.alert == PROTOCOL_VERSION
            firm |= version is Version.SSLV3 and hello.alert == HANDSHAKE_FAILURE  # SSLv3 has no alert 70
            known = Known.NO if firm else Known.UNKNOWN
        case Evidence.SSLV2_ERROR:
            known = Known.NO if hello.error == NO_CIPHER_ERROR else Known.UNKNOWN  # we had offered them all
        case Evidence.CLOSED | Evidence.RESET | Evidence.TIMEOUT if not hello.partial:
            known = Known.NO if control else Known.UNKNOWN
        case _:
            known = Known.UNKNOWN
    return VersionVerdict(known, hello.evidence, hello, hello.flags)


def negotiation(answers: list[Answer]) -> Answer | None:
    """The answer to the full handshake, where it was asked."""
    return next((answer for answer in answers if isinstance(answer.question, Negotiate)), None)


def completed(answers: list[Answer]) -> bool:
    """Was a full handshake made?"""
    answer = negotiation(answers)
    return bool(answer and answer.handshake and answer.handshake.failure is None)


def _silences_in_a_row(answers: list[Answer]) -> int:
    """The longest run of silent connections after the endpoint had answered one."""
    longest = run = 0
    answered = False
    for answer in answers:
        run = run + 1 if answered and _was_silent(answer) else 0
        answered = answered or bool(answer.hello and answer.hello.speaks_tls)
        longest = max(longest, run)
    return longest


def _was_silent(answer: Answer) -> bool:
    if answer.hello:
        return answer.hello.evidence is Evidence.TIMEOUT
    failure = answer.handshake.failure if answer.handshake else None
    return failure is not None and failure.cause == "timeout"


def _handshake_turned_away(answers: list[Answer]) -> bool:
    """Did FIN, RST or silence end the handshake, although it offers a version that was answered before?"""
    answer = negotiation(answers)
    failure = answer.handshake.failure if answer and answer.handshake else None
    if failure is None or failure.verdict not in END_VERDICTS.values():
        return False
    hellos = (each.hello for each in answers if each.hello and each.hello.is_hello)
    return any((hello.version or 0) >= OLDEST_OF_HANDSHAKE for hello in hellos)


def _proved_elsewhere(answers: list[Answer]) -> set[Version]:
    """Versions that another hello's answer, or the handshake, shows to be spoken."""
    proved = {answer.handshake.version for answer in answers if answer.handshake}
    for hello in (answer.hello for answer in answers if answer.hello):
        if hello.evidence is Evidence.LOWER_VERSION and hello.version is not None:
            proved.add(version_of_code(hello.version))
    return {version for version in proved if version is not None}
