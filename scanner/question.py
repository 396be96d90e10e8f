"""Questions and answers. One question is one connection; an answer holds whatever was learnt before it ended."""

from dataclasses import dataclass, field

from scanner.outcome import Outcome
from scanner.starttls.injection import Injection
from scanner.starttls.result import Inside, StartTls
from scanner.tls.exchange import HelloAnswer
from scanner.tls.handshake import Handshake
from scanner.tls.names import Version


@dataclass(frozen=True, slots=True)
class OfferVersion:
    """Ask for one version with a raw hello."""

    version: Version


@dataclass(frozen=True, slots=True)
class Negotiate:
    """Make one full handshake, and ask for the capabilities inside.

    `inquiring`: on the way there, ask whether TLS is required, where that takes a command more.
    """

    inquiring: bool = field(default=True, compare=False)


@dataclass(frozen=True, slots=True)
class Knock:
    """Begin with a ClientHello where plaintext is due. No dialogue comes before it."""


@dataclass(frozen=True, slots=True)
class InjectCommand:
    """Send a harmless command behind the upgrade command, and find out inside TLS whether it was run there."""


Question = OfferVersion | Negotiate | Knock | InjectCommand


@dataclass(slots=True)
class Answer:
    """What came of one connection. What was not reached is None."""

    question: Question
    started: float  # seconds since 1970
    failure: Outcome | None = None  # there was no connection
    starttls: StartTls | None = None
    early: bytes = b""  # sent between the go-ahead and TLS
    hello: HelloAnswer | None = None
    handshake: Handshake | None = None
    inside: Inside | None = None
    injection: Injection | None = None
    timings_ms: dict[str, int] = field(default_factory=dict)
