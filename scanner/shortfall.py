"""Is it the server that no handshake can be completed with, or our TLS library that has nothing which the server takes?

Pure. A raw hello offers more than the library has: SSLv3, RC4, groups that are rare. What a server chooses of it is no
more than its choice; it may have more. So a handshake that gets no ServerHello is our own limit only where everything
that the server was seen to choose is beyond the library, and where its refusal says no more than that: an alert for
want of something in common, FIN or RST. A ServerHello to the handshake itself shows that there was something.
"""

from collections.abc import Iterator
from dataclasses import replace

from scanner.outcome import Outcome, Stage, Verdict
from scanner.question import Answer
from scanner.tls.exchange import Evidence, HelloAnswer
from scanner.tls.library import lacks
from scanner.tls.names import Version, version_of_code
from scanner.versions import offers

# How servers refuse a hello with nothing for them: RFC 8446 §6.2, and OpenSSL's 80 for want of a digest to sign with.
_NOTHING_IN_COMMON = {
    *("handshake_failure", "insufficient_security", "protocol_version", "illegal_parameter", "internal_error"),
}
_HUNG_UP = {Verdict.CLOSED, Verdict.RESET}


def as_our_limit(error: Outcome | None, answers: list[Answer]) -> Outcome | None:
    """Why there is no handshake; a limit of our own where the rule above makes it one."""
    made = [answer.handshake for answer in answers if answer.handshake]
    if error is None or error.stage is not Stage.TLS or any(each.answered or each.partial for each in made):
        return error
    refusals = [each.failure for each in made if each.failure and _is_for_want_of_anything(each.failure)]
    lacking = list(map(lacks, _choices(answers)))
    beyond = [each for each in lacking if each is not None]
    if not refusals or not beyond or len(beyond) < len(lacking):
        return error
    detail = f"not in our library: {', '.join(sorted(set(beyond)))}"
    return replace(refusals[0], verdict=Verdict.LOCAL_LIMITATION, cause="tls_library", detail=detail)


def within_reach(answers: list[Answer]) -> set[Version]:
    """Versions that a raw hello was answered with, by a choice that a handshake of ours offers too."""
    versions = {version_of_code(hello.version or 0) for hello in _choices(answers) if lacks(hello) is None}
    return {version for version in versions if version is not None}


def _choices(answers: list[Answer]) -> Iterator[HelloAnswer]:
    """What the server chose of what it was offered."""
    for _, hello in offers(answers):
        broken = hello.evidence is Evidence.HIGHER_VERSION or "unoffered_cipher" in hello.flags
        if hello.is_hello and not broken:
            yield hello


def _is_for_want_of_anything(error: Outcome) -> bool:
    if error.verdict is Verdict.HANDSHAKE_FAILED:
        return error.alert in _NOTHING_IN_COMMON
    return error.verdict in _HUNG_UP
