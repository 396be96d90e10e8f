"""Is it the server that no handshake can be completed with, or our TLS library that has nothing which the server takes?

Pure. A raw hello offers more than the library has: SSLv3, RC4, groups that are rare; and it can be without extensions,
which the library's never is. What a server chooses of it is no more than its choice; it may have more. So a handshake
that gets no ServerHello is our own limit only where everything that the server was seen to choose is beyond the
library, and where its refusal says no more than that: an alert for want of something in common, FIN or RST. A
ServerHello to the handshake itself shows that there was something.
"""

from collections.abc import Iterator
from dataclasses import replace

from scanner.outcome import Outcome, Stage, Verdict
from scanner.question import Answer, OfferVersion
from scanner.tls.exchange import Evidence, HelloAnswer
from scanner.tls.first_flight import has_curve
from scanner.tls.hello import Shape
from scanner.tls.library import lacks
from scanner.tls.names import Version, version_of_code
from scanner.versions import offers

# How servers refuse a hello with nothing for them: RFC 8446 §6.2, and OpenSSL's 80 for want of a digest to sign with.
_NOTHING_IN_COMMON = {
    *("handshake_failure", "insufficient_security", "protocol_version", "illegal_parameter", "internal_error"),
}
# And how those do that stumble over extensions.
_CHOKED = {"decode_error", "unsupported_extension"}
_HUNG_UP = {Verdict.CLOSED, Verdict.RESET}
_WITHOUT_EXTENSIONS = "a hello without extensions"


def as_our_limit(error: Outcome | None, answers: list[Answer], curve: int | None = None) -> Outcome | None:
    """Why there is no handshake; a limit of our own where the rule above makes it one.

    `curve`: the one that a first flight of TLS 1.2 or older had. A server has the same for all of these versions.
    """
    made = [answer.handshake for answer in answers if answer.handshake]
    if error is None or error.stage is not Stage.TLS or any(each.answered or each.partial for each in made):
        return error
    lacking = [_lacks(asked, hello, curve) for asked, hello in _choices(answers)]
    beyond = {each for each in lacking if each is not None}
    words = _NOTHING_IN_COMMON | (_CHOKED if _WITHOUT_EXTENSIONS in beyond else set())
    refusals = [each.failure for each in made if each.failure and _is_refusal(each.failure, words)]
    if not refusals or not beyond or None in lacking:
        return error
    detail = f"not in our library: {', '.join(sorted(beyond))}"
    return replace(refusals[0], verdict=Verdict.LOCAL_LIMITATION, cause="tls_library", detail=detail)


def within_reach(answers: list[Answer]) -> set[Version]:
    """Versions that a raw hello was answered with, by a choice that a handshake of ours offers too."""
    reached = (hello for asked, hello in _choices(answers) if _lacks(asked, hello) is None)
    versions = {version_of_code(hello.version or 0) for hello in reached}
    return {version for version in versions if version is not None}


def _lacks(asked: OfferVersion, hello: HelloAnswer, curve: int | None = None) -> str | None:
    """What of this choice a handshake of ours has not; None where it offers all of it.

    Extensions count from TLS 1.0 on, for SSL has none at all.
    """
    if curve is not None and has_curve(hello):
        hello = replace(hello, group=curve)
    bare = asked.shape is Shape.NO_EXTENSIONS and (hello.version or 0) >= Version.TLS1_0.code
    return lacks(hello) or (_WITHOUT_EXTENSIONS if bare else None)


def _choices(answers: list[Answer]) -> Iterator[tuple[OfferVersion, HelloAnswer]]:
    """What the server chose of what it was offered."""
    for asked, hello in offers(answers):
        broken = hello.evidence is Evidence.HIGHER_VERSION or "unoffered_cipher" in hello.flags
        if hello.is_hello and not broken:
            yield asked, hello


def _is_refusal(error: Outcome, words: set[str]) -> bool:
    if error.verdict is Verdict.HANDSHAKE_FAILED:
        return error.alert in words
    return error.verdict in _HUNG_UP
