r"""FTP (RFC 959) with FEAT (RFC 2389) and AUTH TLS (RFC 2228 §3, RFC 4217 §4).

    S: [120, then] 220 greeting ──▶ C: FEAT ──▶ S: 211 list ──▶ C: AUTH TLS ──▶ S: 234 ──▶ TLS
                                          └ anything else ──▶ C: AUTH TLS all the same

A list that lacks AUTH does not decide either: there are servers that leave it out, and others that list AUTH without
its mechanisms (testssl.sh#2132). Lines within a reply are free text, which may look like replies (RFC 959 §4.2).

Where the list has `AUTH SSL` alone, which is the name of before RFC 4217, and AUTH TLS is not known, it is said too.
TLS begins behind it in the same way; but for the data connections, which are then protected without PROT.
"""

import re
from dataclasses import dataclass
from typing import TypeVar

from scanner.dialogue import End, LimitExceeded, Script, Stop, Violation, WireEnded
from scanner.outcome import Flag, Stage, Verdict
from scanner.starttls.result import Capabilities, Conversation, Inside, StartTls, Upgrade, Within, shown, upper
from scanner.starttls.words import speaks_of_too_many
from scanner.wire_text import printable

T = TypeVar("T")

FAREWELL = b"QUIT\r\n"
MAX_REPLY_LINES = 256
MAX_DELAYS = 8  # replies 120 before the greeting

_FIRST_LINE = re.compile(rb"([1-5]\d\d)(?:([ -])(.*))?", re.DOTALL)
_GREETING = re.compile(rb"(?!20[01])[1-5]\d\d(?:[ -]|$)")  # 200 and 201 are how NNTP greets
_MAIL_GREETING = re.compile(rb"\b(?:E(SMTP)|(LMTP))\b")  # they say 220 too, and take AUTH for SASL
_ABOUT_TLS = re.compile(rb"\b(?:TLS|SSL|FTPS|AUTH|encrypt\w*)\b", re.IGNORECASE)
_UNKNOWN = {500, 502}  # RFC 959 §5.4
_NOT_BY_THIS_NAME = _UNKNOWN | {504}  # the mechanism is not (RFC 2228 §5.1)
_POLICY_CODES = {530, 534}
_OLD_NAME = "SSL"  # [MS-FTPS]
_TLS_MECHANISMS = {"TLS", "TLS-C", "TLS-P", _OLD_NAME}  # RFC 4217, TLS-PARM


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole reply: its code, and the text of each line without it."""

    code: int
    lines: tuple[bytes, ...]

    @property
    def text(self) -> bytes:
        """All of it as one text."""
        return b"\n".join(self.lines)


class FtpTalk(Conversation[T]):
    """Replies and features, the same before and inside TLS."""

    protocol = "ftp"

    def read_reply(self) -> Script[Reply]:
        """A reply: one line, or all up to the line that begins with the same code and no hyphen (RFC 959 §4.2)."""
        line = yield from self.read_line()
        match = _FIRST_LINE.fullmatch(line)
        if match is None:
            raise Violation("not a reply line", line)
        self.text = printable(line)  # whatever the free text looks like, this is how it began
        lines = [match[3] or b""]
        more = match[2] == b"-"
        while more:
            if len(lines) >= MAX_REPLY_LINES:
                raise LimitExceeded
            line = yield from self.read_line()
            more = line != match[1] and not line.startswith(match[1] + b" ")
            lines.append(line.removeprefix(match[1] + (b"-" if more else b" ")))
        self.remember(match[1].decode(), b" ".join((match[1], b" / ".join(lines))))
        return Reply(int(match[1]), tuple(lines))

    def read_greeting(self) -> Script[Reply]:
        """The greeting, 220 or a refusal, after any number of minutes that 120 speaks of (RFC 959 §5.4)."""
        for _ in range(MAX_DELAYS):
            greeting = yield from self.read_reply()
            if greeting.code == 220 or greeting.code >= 400:
                return greeting
            if greeting.code != 120:
                raise Violation("not a greeting", b"%d %s" % (greeting.code, greeting.text))
        raise LimitExceeded

    def feat(self) -> Script[Reply]:
        """Ask for the features."""
        yield from self.say(b"FEAT\r\n")
        return (yield from self.read_reply())

    def replies_unasked(self, command: bytes) -> bool:
        """Anything does but 421, which may answer any command, and tells of a shutdown (RFC 959 §5.4)."""
        return super().replies_unasked(command) and not b"421".startswith(self.trailing_data[:3])


class Ftp(FtpTalk[StartTls], Upgrade):
    """From the greeting to the go-ahead."""

    def script(self) -> Script[StartTls]:
        """See the diagram at the head of the module."""
        greeting = yield from self.read_greeting()
        if greeting.code != 220:
            return self.result(_session_refusal(greeting))
        if mail := _MAIL_GREETING.search(greeting.lines[0]):
            return self.result(Verdict.PROTOCOL_MISMATCH, hint="smtp" if mail[1] else "lmtp")
        self.stage = Stage.CAPABILITIES
        features = yield from self.feat()
        if _is_session_refusal(features):
            return self.result(_session_refusal(features))
        if not 200 <= features.code < 300 and features.code < 500:
            raise Violation("no answer to FEAT", b"%d %s" % (features.code, features.text))
        self._note(features)
        self.stage = Stage.REPLY
        reply = yield from self._auth(b"TLS")
        if reply.code in _NOT_BY_THIS_NAME and self._only_by_old_name() and not speaks_of_too_many(reply.text):
            reply = yield from self._auth(b"SSL")
            if reply.code == 234:
                self.flags.add(Flag.AUTH_SSL)
        return self.result(self._upgrade_verdict(reply))

    def _auth(self, mechanism: bytes) -> Script[Reply]:
        yield from self.say(b"AUTH " + mechanism + b"\r\n")
        return (yield from self.read_reply())

    def stopped(self, stop: Stop) -> StartTls:
        """A delay of minutes that nothing follows is the server's word that it is not there now."""
        delayed = self.stage is Stage.GREETING and self.code == "120"
        if delayed and isinstance(stop, WireEnded) and stop.end in (End.EOF, End.RESET, End.TIMEOUT):
            return self.result(Verdict.UNAVAILABLE, cause=stop.end.value)
        return super().stopped(stop)

    def guess(self, data: bytes) -> str | None:
        """Half a greeting is as much FTP's as SMTP's."""
        return self.protocol if _GREETING.match(data) else super().guess(data)

    def _note(self, features: Reply) -> None:
        if features.code == 211:
            self.before = _capabilities(features)
            self.advertised = any(map(_is_auth_tls, self.before.capabilities))
        elif features.code == 534 or (features.code == 530 and _ABOUT_TLS.search(features.text)):
            self.required = True  # 530 alone is about a login (vsftpd says it to every command before one)

    def _only_by_old_name(self) -> bool:
        """Is TLS in the list as SSL, and as nothing else?"""
        lines = filter(_is_auth_tls, self.before.capabilities if self.before else ())
        return {frozenset(_mechanisms(line) or ()) & _TLS_MECHANISMS for line in lines} == {frozenset({_OLD_NAME})}

    def _upgrade_verdict(self, reply: Reply) -> Verdict:
        """What the answer to AUTH means (RFC 2228 §3, RFC 4217 §4.2)."""
        if reply.code == 234:
            return Verdict.OK
        if reply.code < 400:
            return Verdict.VIOLATION  # 334 wants ADAT, which TLS has no use for
        if speaks_of_too_many(reply.text):
            return Verdict.RATE_LIMITED
        if reply.code < 500:
            return Verdict.UNAVAILABLE if reply.code == 421 else Verdict.REFUSED_TEMPORARY
        if reply.code in _UNKNOWN and not self.advertised:
            return Verdict.NOT_OFFERED
        if reply.code == 530 and self.advertised is False:
            # No policy about TLS: vsftpd says "log in first" to all that it does not know, be it AUTH TLS (with
            # ssl_enable=NO) or NOSUCH, and Pure-FTPd to NOSUCH too. Their lists are whole, and lack AUTH.
            return Verdict.NOT_OFFERED
        return Verdict.REFUSED_POLICY if reply.code in _POLICY_CODES else Verdict.REFUSED_PERMANENT


class FtpInside(FtpTalk[Inside], Within):
    """FEAT inside TLS; after an implicit handshake the greeting comes first."""

    def __init__(self, *, greeting: bool) -> None:
        super().__init__()
        self.greeting = greeting

    def script(self) -> Script[Inside]:
        """The greeting where there is one, then the list."""
        if self.greeting:
            greeting = yield from self.read_greeting()
            if greeting.code != 220:
                return self.turned_away(_session_refusal(greeting))
        features = yield from self.feat()
        if _is_session_refusal(features):
            return self.turned_away(_session_refusal(features))
        return Inside(_capabilities(features) if features.code == 211 else None)


def _is_session_refusal(features: Reply) -> bool:
    """Is the answer to FEAT about more than the list?"""
    return 400 <= features.code < 500 or (features.code >= 500 and speaks_of_too_many(features.text))


def _session_refusal(reply: Reply) -> Verdict:
    """What a greeting, or a temporary answer to FEAT, means."""
    if speaks_of_too_many(reply.text):
        return Verdict.RATE_LIMITED
    return Verdict.UNAVAILABLE if reply.code < 500 else Verdict.REFUSED_SESSION


def _capabilities(features: Reply) -> Capabilities:
    """The lines between the first and the last (RFC 2389 §3.2)."""
    return Capabilities(shown(features.lines[1:-1]), ())


def _is_auth_tls(line: str) -> bool:
    """Does a line say `AUTH TLS;TLS-C;`, `AUTH SSL TLS`, or nothing but `AUTH`?"""
    mechanisms = _mechanisms(line)
    return mechanisms is not None and (not mechanisms or not _TLS_MECHANISMS.isdisjoint(mechanisms))


def _mechanisms(line: str) -> list[str] | None:
    """What stands behind AUTH; None in another line."""
    name, *mechanisms = upper(line).replace(";", " ").replace(",", " ").split() or [""]
    return mechanisms if name == "AUTH" else None
