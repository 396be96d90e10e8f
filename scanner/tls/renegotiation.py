"""A renegotiation that the client begins: does the server take part in it? Tried once, and not again.

    C, S: handshake ──▶ C: ClientHello, encrypted ──▶ S: a whole handshake more | no_renegotiation | another alert

TLS 1.3 has none (RFC 8446 §4.1.2), so TLS 1.2 is the newest version that is offered.
"""

from dataclasses import dataclass
from enum import StrEnum
from functools import cache

from OpenSSL import SSL

from scanner.dialogue import Script, Stop, verdict_of
from scanner.outcome import Verdict
from scanner.tls.handshake import Handshake
from scanner.tls.names import Version, alert_of_openssl
from scanner.tls.shake import ShakeDialogue, bare_context
from scanner.tls.talk import USUAL, Manner, Talk, Whom

RECEIVE_BYTES = 16_384
_ALLOW_UNSAFE_LEGACY_RENEGOTIATION = 0x40000  # SSL_OP_ALLOW_UNSAFE_LEGACY_RENEGOTIATION: we are not at risk here
_NO_RENEGOTIATION = "no renegotiation"  # OpenSSL's words for this alert
# Without finite fields: the group of the second handshake is encrypted, so nothing could keep it from being so large
# that OpenSSL is busy with it for long (see `flight.py`).
_CIPHERS = b"ALL:COMPLEMENTOFALL:!kDHE:!kDHEPSK:@SECLEVEL=0"


class Answer(StrEnum):
    """What the server does. The words stand in the records."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Renegotiated(Handshake):
    """What came of it, behind a handshake that was completed; `alert` is that of a refusal."""

    answer: Answer = Answer.UNKNOWN
    alert: str | None = None
    cause: str | None = None  # of an unknown one: how the connection ended


@dataclass(frozen=True, slots=True)
class Renegotiate(Talk):
    """Two handshakes on one connection; what they come to is a Renegotiated, or a first Handshake that failed."""

    manner: Manner = USUAL

    def begin(self, whom: Whom) -> "RenegotiationDialogue":
        """The first one."""
        return RenegotiationDialogue(whom, self.manner)


class RenegotiationDialogue(ShakeDialogue):
    """See the diagram at the head of the module."""

    def __init__(self, whom: Whom, manner: Manner) -> None:
        super().__init__(whom, _context(manner.small), manner)
        self._shaken: Handshake | None = None

    def measure(self, handshake: Handshake) -> Script[Handshake]:
        """The second handshake."""
        self._shaken = handshake
        try:
            self.tls.renegotiate()
            while self._is_pending():
                yield from self._last_words()
                self.tls.bio_write((yield from self.read_some()))
        except SSL.ZeroReturnError:  # a close_notify
            result = self._came_to(Answer.UNKNOWN, cause=Verdict.CLOSED)
        except SSL.Error as error:
            result = self._broken(_alert_of(error))
        else:
            result = self._came_to(Answer.ACCEPTED)
        yield from self.farewell()
        return result

    def stopped(self, stop: Stop) -> Handshake:
        """Whoever falls silent, or closes, has not said no."""
        if self._shaken is None:
            return super().stopped(stop)
        return self._came_to(Answer.UNKNOWN, cause=verdict_of(stop))

    def _is_pending(self) -> bool:
        """Let OpenSSL take what has come, be it of the handshake or in front of it, as a greeting is."""
        try:
            while self.tls.recv(RECEIVE_BYTES):
                pass
        except SSL.WantReadError:
            pass
        return self.tls.renegotiate_pending()

    def _broken(self, alert: str | None) -> Renegotiated:
        if alert is None:
            return self._came_to(Answer.UNKNOWN, cause=Verdict.VIOLATION)
        return self._came_to(Answer.REFUSED, alert=alert)

    def _came_to(self, answer: Answer, alert: str | None = None, cause: str | None = None) -> Renegotiated:
        version = self._shaken.version if self._shaken else None
        return Renegotiated(version=version, answer=answer, alert=alert, cause=cause)


@cache
def _context(small: bool) -> SSL.Context:
    context = bare_context(_CIPHERS, _ALLOW_UNSAFE_LEGACY_RENEGOTIATION, Manner(small=small))
    context.set_max_proto_version(Version.TLS1_2.code)
    return context


def _alert_of(error: SSL.Error) -> str | None:
    """The server's alert; None for what broke otherwise."""
    reasons = [entry[2] for entry in error.args[0]] if error.args and isinstance(error.args[0], list) else []
    if _NO_RENEGOTIATION in reasons:
        return "no_renegotiation"
    return next(filter(None, map(alert_of_openssl, reasons)), None)
