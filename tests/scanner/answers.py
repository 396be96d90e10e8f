"""Answers, made by hand: what one connection came to, without the connection."""

from typing import Any

from scanner.interview import Interview
from scanner.outcome import Outcome, Stage, Verdict
from scanner.question import Answer, Negotiate, OfferVersion, Question, Wanted
from scanner.starttls.result import StartTls
from scanner.tls.exchange import Evidence, HelloAnswer
from scanner.tls.handshake import Handshake
from scanner.tls.names import Version
from targets.services import SERVICES
from targets.target import Endpoint, Origin

GO_AHEAD = StartTls(Verdict.OK, Stage.REPLY, code="220", text="220 go", advertised=True)

REFUSED = Outcome(Verdict.UNREACHABLE, Stage.CONNECT, "refused")
NO_DESCRIPTORS = Outcome(Verdict.LOCAL_LIMITATION, Stage.CONNECT, "no_descriptors")

SHAKEN = Handshake(version=Version.TLS1_2, cipher=0xC02F)
SHAKEN_13 = Handshake(version=Version.TLS1_3, cipher=0x1301)
ALERTED = Handshake(failure=Outcome(Verdict.HANDSHAKE_FAILED, Stage.TLS, "alert", alert="handshake_failure"))
OURS = Handshake(failure=Outcome(Verdict.LOCAL_LIMITATION, Stage.TLS, "tls_library"))

CLOSED = HelloAnswer(Evidence.CLOSED)
RESET = HelloAnswer(Evidence.RESET)
TIMEOUT = HelloAnswer(Evidence.TIMEOUT)
PLAINTEXT = HelloAnswer(Evidence.PLAINTEXT, text="500 what?", hint="smtp")
GARBAGE = HelloAnswer(Evidence.GARBAGE, text="\\xff")
ECHO = HelloAnswer(Evidence.GARBAGE, hint="echo")
SSLV2 = HelloAnswer(Evidence.SSLV2_SERVER_HELLO, version=2, cipher=0x010080, kinds=(0x010080, 0x0700C0))


def yes(version: Version) -> HelloAnswer:
    """A ServerHello of this version."""
    return SSLV2 if version is Version.SSLV2 else HelloAnswer(Evidence.SERVER_HELLO, version=version.code, cipher=0x35)


def lower(version: Version) -> HelloAnswer:
    """A ServerHello of this version, where a higher one was asked for."""
    return HelloAnswer(Evidence.LOWER_VERSION, version=version.code, cipher=0x35)


def alert(number: int) -> HelloAnswer:
    """An alert."""
    return HelloAnswer(Evidence.ALERT, alert=number)


def silent(cause: str, verdict: Verdict) -> Handshake:
    """A handshake that the wire ended."""
    return Handshake(failure=Outcome(verdict, Stage.TLS, cause))


def turned_away(verdict: Verdict, stage: Stage = Stage.REPLY, **facts: Any) -> StartTls:
    """A dialogue without a go-ahead."""
    return StartTls(verdict, stage, **facts)


Came = HelloAnswer | Handshake | StartTls | Outcome


def answer(question: Question, came: Came, *, upgraded: bool) -> Answer:
    """What came of a question; behind a go-ahead in STARTTLS mode, but where there was none."""
    made = Answer(question, started=0.0)
    match came:
        case Outcome():
            made.failure = came
        case StartTls():
            made.starttls = came
        case HelloAnswer():
            made.hello = came
        case Handshake():
            made.handshake = came
    if upgraded and made.starttls is None and made.failure is None:
        made.starttls = GO_AHEAD
    return made


def interview(service: str = "https", versions: tuple[Version, ...] = tuple(Version), **more: Any) -> Interview:
    """An interview of an endpoint of this service."""
    endpoint = Endpoint(Origin("x"), "mx.example.org", "192.0.2.1", 1, SERVICES[service])
    return Interview(endpoint, Wanted(versions, **more))


def asked(question: Version | None) -> Question:
    """A version, or None for the handshake."""
    return OfferVersion(question) if question else Negotiate()
