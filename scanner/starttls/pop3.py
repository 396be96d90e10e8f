r"""POP3 (RFC 1939) with CAPA (RFC 2449) and STLS (RFC 2595 §4).

S: +OK greeting ──▶ C: CAPA ──▶ S: +OK list ──▶ C: STLS ──▶ S: +OK ──▶ TLS
                          └ -ERR (CAPA is optional) ──▶ C: STLS all the same
"""

import re
from dataclasses import dataclass
from typing import TypeVar

from scanner.dialogue import LimitExceeded, Script, Send, Violation
from scanner.outcome import Stage, Verdict
from scanner.starttls.injection import Injection, Proof
from scanner.starttls.result import Capabilities, Conversation, Inside, StartTls, Upgrade, Within, shown, upper
from scanner.starttls.words import speaks_of_too_many

T = TypeVar("T")

FAREWELL = b"QUIT\r\n"
INJECTED = b"CAPA\r\n"
MAX_CAPABILITIES = 256

_STATUS_LINE = re.compile(rb"(\+OK|-ERR)(?: .*|)", re.IGNORECASE | re.DOTALL)
_APOP_TIMESTAMP = re.compile(rb"<[^<>@\s]+@[^<>\s]+>")  # in a greeting: APOP is possible (RFC 1939 §7)
_TEMPORARY = re.compile(rb"-ERR \[(?:SYS/TEMP|IN-USE|LOGIN-DELAY)\]", re.IGNORECASE)  # RFC 3206, RFC 2449 §8
_PERMANENT = re.compile(rb"-ERR \[SYS/PERM\]", re.IGNORECASE)  # RFC 3206 §3


@dataclass(frozen=True, slots=True)
class StatusLine:
    """A one-line response."""

    positive: bool
    text: bytes

    @property
    def temporary(self) -> bool:
        """Does its response code say that this passes?"""
        return _TEMPORARY.match(self.text) is not None

    @property
    def permanent(self) -> bool:
        """Does its response code say that this stays?"""
        return _PERMANENT.match(self.text) is not None


class Pop3Talk(Conversation[T]):
    """Status lines and capabilities, the same before and inside TLS."""

    protocol = "pop3"

    def read_status(self) -> Script[StatusLine]:
        """A status line (RFC 1939 §3)."""
        line = yield from self.read_line()
        match = _STATUS_LINE.fullmatch(line)
        if match is None:
            raise Violation("not a status line", line)
        self.remember(match[1].decode().upper(), line)
        return StatusLine(match[1][:1] == b"+", line)

    def capa(self) -> Script[tuple[StatusLine, Capabilities | None]]:
        """The answer to CAPA, and the list, ended by a lone dot (RFC 2449 §5), where there is one."""
        yield from self.say(b"CAPA\r\n")
        status = yield from self.read_status()
        if not status.positive:
            return status, None
        lines: list[bytes] = []
        while (line := (yield from self.read_line())) != b".":
            lines.append(line[1:] if line.startswith(b".") else line)
            if len(lines) > MAX_CAPABILITIES:
                raise LimitExceeded
        return status, _capabilities(lines)


class Pop3(Pop3Talk[StartTls], Upgrade):
    """From the greeting to the go-ahead."""

    def script(self) -> Script[StartTls]:
        """See the diagram at the head of the module."""
        greeting = yield from self.read_status()
        if not greeting.positive:
            return self.result(_session_refusal(greeting))
        self.stage = Stage.CAPABILITIES
        answer, self.before = yield from self.capa()
        if _is_session_refusal(answer):
            return self.result(_session_refusal(answer))
        if self.before is not None:
            names = {upper(line.split()[0]) for line in self.before.capabilities}
            self.advertised = "STLS" in names
            if "USER" in names or self.before.auth or _APOP_TIMESTAMP.search(greeting.text):
                self.required = False
            elif self.advertised or "SASL" in names:
                # Neither USER nor a mechanism: no login is to be had. Without SASL or STLS in it, a list may just lack
                # USER, for there are servers that take it and do not list it.
                self.required = True
            if not self.advertised:
                return self.result(Verdict.NOT_OFFERED)
        self.stage = Stage.REPLY
        yield from self.say(b"STLS\r\n" + self.injected)
        return self.result(self._verdict((yield from self.read_status())))

    def _verdict(self, status: StatusLine) -> Verdict:
        if status.positive:
            return Verdict.OK
        if speaks_of_too_many(status.text):
            return Verdict.RATE_LIMITED
        if status.temporary:
            return Verdict.REFUSED_TEMPORARY
        unknown = self.advertised is None and not status.permanent  # neither CAPA nor STLS: an old server
        return Verdict.NOT_OFFERED if unknown else Verdict.REFUSED_PERMANENT


class Pop3Inside(Pop3Talk[Inside], Within):
    """CAPA inside TLS; after an implicit handshake the greeting comes first."""

    def __init__(self, *, greeting: bool) -> None:
        super().__init__()
        self.greeting = greeting

    def script(self) -> Script[Inside]:
        """The greeting where there is one, then the list."""
        if self.greeting:
            greeting = yield from self.read_status()
            if not greeting.positive:
                return self.turned_away(_session_refusal(greeting))
        answer, listed = yield from self.capa()
        if _is_session_refusal(answer):
            return self.turned_away(_session_refusal(answer))
        return Inside(listed)


class Pop3Proof(Pop3Talk[Injection], Proof):
    """STAT, which is refused before a login (RFC 1939 §3), and QUIT, which never is: -ERR and +OK, and no list.

    A list before STAT's -ERR answers the injected CAPA, and so does a second -ERR, of a server that does not know CAPA.
    """

    def script(self) -> Script[Injection]:
        """Two commands, and their replies as far as they are needed."""
        yield Send(b"STAT\r\n")
        first = yield from self.read_status()
        evidence = self.code, self.text
        yield Send(FAREWELL)
        if first.positive:
            if not (yield from self._is_list()):
                return self.unclear()
            to_stat = yield from self.read_status()
            return self.unclear() if to_stat.positive else self.vulnerable(*evidence)
        if (yield from self.read_status()).positive:
            return self.no()
        last = yield from self.read_status()
        return self.vulnerable(*evidence) if last.positive else self.unclear()

    def _is_list(self) -> Script[bool]:
        """Is it the head of a list that was read? A lone +OK answers nothing of ours; STAT's reply is behind it."""
        for _ in range(MAX_CAPABILITIES):
            line = yield from self.read_line()
            if line == b".":
                return True
            if _STATUS_LINE.fullmatch(line):
                return False
        raise LimitExceeded


def _is_session_refusal(answer: StatusLine) -> bool:
    """Is a "no" to CAPA, which is optional, about more than that?"""
    return not answer.positive and (answer.temporary or speaks_of_too_many(answer.text))


def _session_refusal(status: StatusLine) -> Verdict:
    """What a greeting, or a temporary answer to CAPA, means that is not positive."""
    if speaks_of_too_many(status.text):
        return Verdict.RATE_LIMITED
    return Verdict.UNAVAILABLE if status.temporary else Verdict.REFUSED_SESSION


def _capabilities(lines: list[bytes]) -> Capabilities:
    listed = shown(lines)
    auth: dict[str, None] = {}
    for line in listed:
        name, *parameters = upper(line).split()
        if name == "SASL":
            auth.update(dict.fromkeys(parameters))
    return Capabilities(listed, tuple(auth))
