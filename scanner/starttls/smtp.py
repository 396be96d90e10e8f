r"""SMTP (RFC 5321) and its STARTTLS extension (RFC 3207).

    S: 220 greeting ──▶ C: EHLO ──▶ S: 250 capabilities ──▶ [C: RSET ──▶ S: 250, 530] ──▶ C: STARTTLS ──▶ S: 220 ──▶ TLS
                              └ 500, 502 ──▶ C: HELO ──▶ S: 250 ──▶ not_offered

Decided on codes alone, but for the words in which servers say "too many connections". Nothing is sent before the whole
greeting is read, and nothing is pipelined.

The bracket is for one connection that inquires whether TLS is required, which EHLO does not tell. Such a server answers
530 to all but EHLO, NOOP, STARTTLS and QUIT (RFC 3207 §4; Postfix and its postscreen do). RSET is none of those, and
changes nothing. 250 proves nothing, for Exim and OpenSMTPD refuse MAIL alone.
"""

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeVar

from scanner.dialogue import LimitExceeded, Script, Send, Violation
from scanner.hint import hint_of
from scanner.outcome import Flag, Stage, Verdict
from scanner.starttls.injection import Injection, Proof
from scanner.starttls.result import Capabilities, Conversation, Inside, StartTls, Upgrade, Within, shown, upper
from scanner.starttls.words import speaks_of_too_many
from scanner.wire_text import printable

T = TypeVar("T")

FAREWELL = b"QUIT\r\n"
INJECTED = b"NOOP\r\n"
MAX_REPLY_LINES = 256
MAX_LISTS, MAX_REMEMBERED_BYTES = 256, 4_096  # of capabilities: so many are remembered, and none that is longer

_REPLY_LINE = re.compile(rb"([2-5]\d\d)(?:([ -])(.*))?", re.DOTALL)
_ENHANCED_CODE = re.compile(rb"([245]\.\d{1,3}\.\d{1,3})(?: |$)")  # RFC 2034 §4
_UNKNOWN = {500, 502}  # RFC 5321 §3.2: a server of before EHLO; 501 is about our name, and 503 about the order (§4.2.2)
_POLICY_CODES = {*range(530, 539), 550, 554}
_NOT_ASKED_FOR = {220, 421}
_TO_NOOP = {250, *_UNKNOWN}
_SERVICE_CLOSES, _TLS_FIRST = 421, 530


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole reply: one code, and the text of each line."""

    code: int
    lines: tuple[bytes, ...]

    @property
    def text(self) -> bytes:
        """All of it as one text."""
        return b"\n".join(self.lines)

    @property
    def enhanced(self) -> bytes | None:
        """The enhanced status code of RFC 3463, where there is one."""
        found = _ENHANCED_CODE.match(self.lines[-1])
        return found[1] if found else None


class SmtpTalk(Conversation[T]):
    """Replies and capabilities, the same before and inside TLS."""

    protocol = "smtp"
    hello = "EHLO"

    def __init__(self, hello_name: str) -> None:
        super().__init__()
        self.hello_name = hello_name

    def read_reply(self) -> Script[Reply]:
        """A reply of one line or many, each with the same code (RFC 5321 §4.2.1)."""
        lines: list[bytes] = []
        code = b""
        while len(lines) < MAX_REPLY_LINES:
            line = yield from self.read_line()
            match = _REPLY_LINE.fullmatch(line)
            if match is None:
                raise Violation("not a reply line", line)
            said, separator, text = match.groups(b"")
            if lines and said != code:
                raise Violation("the code changes within a reply", line)
            code = said
            lines.append(text)
            if separator != b"-":
                self.remember(code.decode(), b"%s %s" % (code, b" / ".join(lines)))
                return Reply(int(code), tuple(lines))
        self.text = printable(line)
        raise LimitExceeded

    def ehlo(self) -> Script[Reply]:
        """Say EHLO (LMTP has a word of its own) and read the answer."""
        yield from self.say(f"{self.hello} {self.hello_name}\r\n".encode("ascii"))
        return (yield from self.read_reply())

    def replies_unasked(self, command: bytes) -> bool:
        """Anything does but 421, which may come at any time (RFC 5321 §3.8)."""
        return super().replies_unasked(command) and not b"421".startswith(self.trailing_data[:3])


class Smtp(SmtpTalk[StartTls], Upgrade):
    """From the greeting to the go-ahead."""

    def script(self) -> Script[StartTls]:
        """See the diagram at the head of the module."""
        greeting = yield from self.read_reply()
        if greeting.code < 400 and greeting.code != 220:
            raise Violation("not a greeting", b"%d %s" % (greeting.code, greeting.text))
        if greeting.code != 220:
            return self.result(self.session_refusal(greeting))
        self.stage = Stage.CAPABILITIES
        reply = yield from self.ehlo()
        if reply.code != 250:
            # FTP and LMTP greet alike, but for what they call themselves, in whichever of their lines.
            hint = hint_of(b"220 " + b" ".join(greeting.lines))
            if hint not in (None, "smtp", self.protocol):
                return self.result(Verdict.PROTOCOL_MISMATCH, hint=hint)
            return (yield from self.hello_refused(reply))
        self.before = capabilities_of(reply)
        self.advertised = "STARTTLS" in _keywords(self.before)
        if self.before.auth:
            self.required = False  # whoever may log in here need not have TLS
        if not self.advertised:
            return self.result(Verdict.NOT_OFFERED)
        if self.inquiring and self.required is None:
            reset = yield from self._rset()
            if reset.code == _SERVICE_CLOSES:
                return self.result(self.session_refusal(reset))
        self.stage = Stage.REPLY
        yield from self.say(b"STARTTLS\r\n" + self.injected)
        return self.result(self._upgrade_verdict((yield from self.read_reply())))

    def _rset(self) -> Script[Reply]:
        """Is TLS required? A login cannot be what 530 asks for here: RSET needs none (RFC 4954 §6)."""
        yield from self.say(b"RSET\r\n")
        reply = yield from self.read_reply()
        if reply.code == _TLS_FIRST:
            self.required = True
        return reply

    def hello_refused(self, reply: Reply) -> Script[StartTls]:
        """Is it the command that is not known, or we?"""
        if reply.code in _UNKNOWN and not speaks_of_too_many(reply.text):
            return (yield from self._helo())
        return self.result(self.session_refusal(reply))

    def _helo(self) -> Script[StartTls]:
        """A server without EHLO has no extensions; HELO makes sure that it is there at all."""
        self.flags.add(Flag.EHLO_UNSUPPORTED)
        yield from self.say(f"HELO {self.hello_name}\r\n".encode("ascii"))
        reply = yield from self.read_reply()
        if reply.code == 250:
            self.advertised = False
            return self.result(Verdict.NOT_OFFERED)
        if reply.code in _UNKNOWN and (yield from self._is_lmtp()):
            return self.result(Verdict.PROTOCOL_MISMATCH, hint="lmtp")
        return self.result(self.session_refusal(reply))

    def _is_lmtp(self) -> Script[bool]:
        """Who knows neither EHLO nor HELO is no SMTP server. LMTP has a word of its own (RFC 2033 §4.1)."""
        yield from self.say(f"LHLO {self.hello_name}\r\n".encode("ascii"))
        return (yield from self.read_reply()).code == 250

    @staticmethod
    def session_refusal(reply: Reply) -> Verdict:
        """What a greeting or an answer to EHLO means that is not the positive one."""
        if (reply.code == 421 and reply.enhanced == b"4.7.0") or (reply.code >= 400 and speaks_of_too_many(reply.text)):
            return Verdict.RATE_LIMITED
        if 400 <= reply.code < 500:
            return Verdict.UNAVAILABLE
        return Verdict.REFUSED_SESSION if reply.code >= 500 else Verdict.VIOLATION

    @staticmethod
    def _upgrade_verdict(reply: Reply) -> Verdict:
        """What the answer to STARTTLS means (RFC 3207 §4, RFC 3463)."""
        if reply.code == 220:
            return Verdict.OK
        if reply.code < 400:
            return Verdict.VIOLATION
        if (reply.code == 421 and reply.enhanced == b"4.7.0") or speaks_of_too_many(reply.text):
            return Verdict.RATE_LIMITED
        if reply.code < 500:
            return Verdict.UNAVAILABLE if reply.code == 421 else Verdict.REFUSED_TEMPORARY
        about_policy = reply.enhanced is None or reply.enhanced.startswith(b"5.7.")
        if reply.code in _POLICY_CODES and about_policy:
            return Verdict.REFUSED_POLICY
        return Verdict.REFUSED_PERMANENT


class SmtpInside(SmtpTalk[Inside], Within):
    """EHLO again, inside TLS (RFC 3207 §4.2); after an implicit handshake the greeting comes first."""

    def __init__(self, hello_name: str, *, greeting: bool) -> None:
        super().__init__(hello_name)
        self.greeting = greeting

    def script(self) -> Script[Inside]:
        """The greeting where there is one, then the capabilities."""
        if self.greeting:
            greeting = yield from self.read_reply()
            if greeting.code != 220:
                return self.turned_away(Smtp.session_refusal(greeting))
        reply = yield from self.ehlo()
        if reply.code == 250:
            return Inside(capabilities_of(reply))
        if reply.code in _UNKNOWN and not speaks_of_too_many(reply.text):
            return Inside(None)  # a server without EHLO has no list, and may be used
        return self.turned_away(Smtp.session_refusal(reply))


class SmtpProof(SmtpTalk[Injection], Proof):
    """EHLO and QUIT: nothing but QUIT is answered with 221, so two replies up to that are none too many, and three are.

    But where the first of three has several lines, it is half of a list that was torn in two, and answers no NOOP.
    Neither 220, a second greeting that some servers send inside TLS, nor 421 answers a command of ours; and NOOP is
    answered with 250, or not known (RFC 5321 §4.1.1.9): any other code in its place is about the session.
    """

    def script(self) -> Script[Injection]:
        """Two commands, and their replies up to the 221."""
        yield Send(f"{self.hello} {self.hello_name}\r\n".encode("ascii"))
        first = yield from self.read_reply()
        evidence = self.code, self.text
        yield Send(FAREWELL)
        second = yield from self.read_reply()
        if _NOT_ASKED_FOR & {first.code, second.code} or first.code == 221:
            return self.unclear()
        if second.code == 221:
            return self.no()
        third = yield from self.read_reply()
        to_noop = first.code in _TO_NOOP and len(first.lines) == 1
        return self.vulnerable(*evidence) if to_noop and third.code == 221 else self.unclear()


def capabilities_of(reply: Reply) -> Capabilities:
    """Keywords with their parameters; the first line is the server's name, not a keyword (RFC 5321 §4.1.1.1)."""
    lines = reply.lines[1:]
    return _remembered(lines) if sum(map(len, lines)) <= MAX_REMEMBERED_BYTES else _listed(lines)


@lru_cache(maxsize=MAX_LISTS)  # a server tells the same on each connection, and many servers do
def _remembered(lines: tuple[bytes, ...]) -> Capabilities:
    return _listed(lines)


def _listed(lines: tuple[bytes, ...]) -> Capabilities:
    keywords = shown(lines)
    auth: dict[str, None] = {}
    for keyword in keywords:
        name, *parameters = upper(keyword).replace("AUTH=", "AUTH ", 1).split()  # the form before RFC 2554
        if name == "AUTH":
            auth.update(dict.fromkeys(parameters))
    return Capabilities(keywords, tuple(auth))


def _keywords(capabilities: Capabilities) -> set[str]:
    return {upper(line.split()[0]) for line in capabilities.capabilities}
