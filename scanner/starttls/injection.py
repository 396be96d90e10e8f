r"""The test for command injection (CVE-2011-0411, RFC 7457 §2.2): is a plaintext command run inside TLS?

    C: STARTTLS, and in the same segment a harmless command ──▶ S: go-ahead ──▶ TLS ──▶ C: real commands ──▶ S: replies

A server that reads ahead, and keeps across the upgrade what it had read, runs the injected command inside TLS, where
it answers it. So whoever is in the middle may put commands of his own before those of the client.

Nobody waits for nothing to come: real commands are sent inside TLS, and it is their replies that tell. Each protocol
has commands whose replies cannot be taken for each other's. Where the replies do not add up, it is `unknown`.
"""

from abc import ABC
from dataclasses import dataclass
from enum import StrEnum

from scanner.dialogue import Stop, Violation, WireEnded, verdict_of
from scanner.outcome import Stage, Verdict
from scanner.starttls.result import Conversation
from scanner.wire_text import printable

UNCLEAR = "replies that do not add up"


class InjectionResult(StrEnum):
    """What the test came to."""

    VULNERABLE = "vulnerable"
    NO = "no"
    UNKNOWN = "unknown"  # no real command was answered, or the replies do not add up


@dataclass(frozen=True, slots=True)
class Injection:
    """The result and what it rests on. `verdict` is `ok` where the replies tell, else what came in the way.

    `code` and `text` are the reply to the injected command where the server is vulnerable, else the last one.
    """

    result: InjectionResult
    verdict: Verdict = Verdict.OK
    stage: Stage = Stage.INSIDE
    cause: str | None = None
    alert: str | None = None
    code: str | None = None
    text: str | None = None
    early: bytes = b""  # what came in plaintext behind the go-ahead: we had provoked it


class Proof(Conversation[Injection], ABC):
    """Real commands inside TLS, behind an injected one, and what their replies prove.

    A reply that is there before its command is what is looked for here, so commands are sent without looking.
    """

    stage = Stage.INSIDE

    def no(self) -> Injection:
        """The real commands were answered, and nothing else was."""
        return Injection(InjectionResult.NO, code=self.code, text=self.text)

    def vulnerable(self, code: str | None, text: str | None) -> Injection:
        """The real commands were answered, and so was the injected one, by this reply."""
        return Injection(InjectionResult.VULNERABLE, code=code, text=text)

    def unclear(self, verdict: Verdict = Verdict.VIOLATION) -> Injection:
        """There are replies, and they do not add up."""
        cause = UNCLEAR if verdict is Verdict.VIOLATION else None
        return Injection(InjectionResult.UNKNOWN, verdict, cause=cause, code=self.code, text=self.text)

    def stopped(self, stop: Stop) -> Injection:
        """A real command was not answered."""
        if isinstance(stop, Violation) and stop.data:
            self.code, self.text = None, printable(stop.data)
        cause = stop.end.value if isinstance(stop, WireEnded) else str(stop) or None
        return Injection(InjectionResult.UNKNOWN, verdict_of(stop), cause=cause, code=self.code, text=self.text)
