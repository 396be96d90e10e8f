"""What a probe is: a question that is asked only on request, which may take several connections.

Pure, and without memory: from what the interview knows, and what came of its own talks so far, a probe tells which
talks to have next, and what it makes of them. Each talk is one connection, through STARTTLS where the service has that.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from scanner.dialogue import End
from scanner.tls.exchange import HelloAnswer
from scanner.tls.handshake import Handshake
from scanner.tls.hello import Shape
from scanner.tls.names import Version
from scanner.tls.talk import Talk
from targets.services import Service


@dataclass(frozen=True, slots=True)
class Known:
    """What the interview has found out before the probes: an endpoint that speaks TLS."""

    service: Service
    host: str | None
    versions: tuple[Version, ...]  # proved to be spoken, oldest first
    hellos: Mapping[Version, HelloAnswer]  # of these, the answers of raw hellos
    handshake: Handshake | None  # where one was completed

    @property
    def newest_before_tls13(self) -> Version | None:
        """Of SSLv3 to TLS 1.2, for what TLS 1.3 has done away with."""
        older = [version for version in self.versions if Version.SSLV2 is not version is not Version.TLS1_3]
        return older[-1] if older else None

    shapes: Mapping[Version, Shape] = field(default_factory=dict)  # of the hellos that had these answers
    short: bool = False  # was that handshake made with a short hello, and with none that is longer than a packet?

    def shape_of(self, version: Version) -> Shape:
        """That of the hello by which it is known; the plain one where a handshake told of it."""
        return self.shapes.get(version, Shape.PLAIN)


@dataclass(frozen=True, slots=True)
class Talked:
    """A talk, and what came of it."""

    talk: Talk
    found: object | None  # the dialogue's result; None where no ClientHello was said: the service turned us away
    end: End | None  # how the wire ended it, if it did


class Probe(ABC):
    """One requested question. `name` is the key of its part of the record, and its option."""

    name: ClassVar[str]
    usual: ClassVar[int]  # connections that it takes where TLS 1.2 and 1.3 are spoken, as OpenSSL 3 has them
    help: ClassVar[str]  # of the option: what it tells, and how many connections it takes

    @abstractmethod
    def ask(self, known: Known, talked: Sequence[Talked]) -> list[Talk]:
        """The talks to have next, none when it is over. Those of one round may run side by side."""

    @abstractmethod
    def result(self, known: Known, talked: Sequence[Talked]) -> dict[str, Any]:
        """Its part of the record. It may have been cut short; then `ask` would want more."""

    def findings(self, result: Mapping[str, Any]) -> Iterable[str]:
        """The findings that its result bears out."""
        del result
        return ()
