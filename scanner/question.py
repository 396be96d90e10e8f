"""Questions and answers. One question is one connection; an answer holds whatever was learnt before it ended."""

from dataclasses import dataclass, field
from typing import ClassVar

from scanner.dialogue import End
from scanner.outcome import Outcome
from scanner.starttls.injection import Injection
from scanner.starttls.result import Inside, StartTls
from scanner.tls.exchange import HelloAnswer
from scanner.tls.first_flight import FirstFlight
from scanner.tls.handshake import Handshake
from scanner.tls.hello import Shape
from scanner.tls.names import Version
from scanner.tls.talk import Talk


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to ask of every endpoint."""

    versions: tuple[Version, ...] = tuple(Version)
    handshake: bool = True  # the full one, besides the versions
    test_injection: bool = False  # where the protocol has the test
    probes: tuple[str, ...] = ()  # the requested ones, in their order
    economical: bool = False  # by the least connections that decide all versions


@dataclass(frozen=True, slots=True)
class OfferVersion:
    """Ask for one version with a raw hello of some shape."""

    version: Version
    shape: Shape = Shape.PLAIN

    aside: ClassVar[bool] = False  # does the answer say nothing about anything else?


@dataclass(frozen=True, slots=True)
class Negotiate:
    """Make one full handshake, and ask for the capabilities inside.

    `inquiring`: on the way there, ask whether TLS is required, where that takes a command more. `newest`: offer no
    version above it, and as little else as will do. `shape`: that of a raw hello which made the difference; of what it
    leaves out or adds, the handshake does so with the name and with ALPN.
    """

    inquiring: bool = field(default=True, compare=False)
    newest: Version | None = None
    shape: Shape = Shape.PLAIN

    aside: ClassVar[bool] = False


@dataclass(frozen=True, slots=True)
class ReadFirstFlight:
    """Say a raw hello that was answered once more, and read on to the certificates."""

    version: Version
    shape: Shape = Shape.PLAIN

    aside: ClassVar[bool] = True


@dataclass(frozen=True, slots=True)
class Knock:
    """Begin with a ClientHello where plaintext is due. No dialogue comes before it."""

    aside: ClassVar[bool] = True


@dataclass(frozen=True, slots=True)
class InjectCommand:
    """Send a harmless command behind the upgrade command, and find out inside TLS whether it was run there."""

    aside: ClassVar[bool] = True


@dataclass(frozen=True, slots=True)
class Beside:
    """One connection of a probe (`probes/`)."""

    probe: str
    talk: Talk

    aside: ClassVar[bool] = True


Question = OfferVersion | Negotiate | ReadFirstFlight | Knock | InjectCommand | Beside


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
    first_flight: FirstFlight | None = None
    found: object | None = None  # what came of a Beside
    end: End | None = None  # how the wire ended that, if it did
    timings_ms: dict[str, int] = field(default_factory=dict)
