r"""IMAP (RFC 9051, RFC 3501) with STARTTLS (RFC 2595 §3).

    S: * OK greeting ──▶ [C: t1 CAPABILITY ──▶ S: * CAPABILITY … / t1 OK] ──▶ C: t2 STARTTLS ──▶ S: t2 OK ──▶ TLS

The bracket is left out when the greeting's own `[CAPABILITY …]` lists STARTTLS; a list that lacks it may be short for
the greeting's sake, so it is asked for before a "no" is said. It may lack LOGINDISABLED for the same reason. So one
connection that inquires whether TLS is required asks for the list, where the greeting's has not told that.
"""

import re
from dataclasses import dataclass, replace
from typing import TypeVar

from scanner.dialogue import LimitExceeded, Script, Send, Stop, Violation, WireEnded
from scanner.outcome import Stage, Verdict
from scanner.starttls.injection import Injection, Proof
from scanner.starttls.result import Capabilities, Conversation, Inside, StartTls, Upgrade, Within, shown, upper
from scanner.starttls.words import speaks_of_too_many
from scanner.wire_text import printable

T = TypeVar("T")

FAREWELL = b"t9 LOGOUT\r\n"
REAL_TAG, INJECTED_TAG = b"t3", b"x1"
INJECTED = INJECTED_TAG + b" NOOP\r\n"
MAX_RESPONSES = 256  # untagged ones before the tagged one
MAX_LITERAL_BYTES = 65_536

_LITERAL = re.compile(rb"\{(\d{1,9})\+?\}$")
_STATUS = re.compile(rb"(OK|NO|BAD|BYE|PREAUTH)(?: (.*))?", re.IGNORECASE | re.DOTALL)
_CAPABILITY_CODE = re.compile(rb"\w+ \[CAPABILITY ([^\]]*)\]", re.IGNORECASE)  # right behind the status
_CAPABILITY_DATA = re.compile(rb"CAPABILITY (.*)", re.IGNORECASE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Response:
    """A response; `status` is OK, NO, BAD, BYE, PREAUTH, or None for data."""

    tag: bytes
    status: str | None
    text: bytes


class ImapTalk(Conversation[T]):
    """Responses and capabilities, the same before and inside TLS."""

    protocol = "imap"

    def __init__(self) -> None:
        super().__init__()
        self.known: Capabilities | None = None  # the last list that came, from wherever
        self.listed = False  # has any of them had STARTTLS?
        self.asked = False  # a list that comes before that is the greeting's, and may be short
        self.preauth: Response | None = None  # logged in already, which rules STARTTLS out (RFC 9051 §6.2.1)

    def read_response(self) -> Script[Response]:
        """One response, with its literals (RFC 9051 §7)."""
        line = yield from self.read_line()
        pieces = [line]
        while literal := _LITERAL.search(line):
            if int(literal[1]) > MAX_LITERAL_BYTES:
                self.text = self.text or printable(line)  # a greeting; and not what else has come by now
                raise LimitExceeded
            data = yield from self.read_exactly(int(literal[1]))
            line = yield from self.read_line()
            pieces += (b"\r\n", data, line)
        whole = b"".join(pieces)
        tag, space, rest = whole.partition(b" ")
        if not space or not tag:
            raise Violation("not a response", whole)
        status = _STATUS.fullmatch(rest)
        response = Response(tag, status[1].decode().upper() if status else None, rest)
        if response.status:
            self.remember(response.status, whole)
        if response.status == "PREAUTH" and tag == b"*":
            self.preauth = response  # mostly the greeting; Courier puts an alert before it
        self._learn(_CAPABILITY_CODE.match(rest) if status else _CAPABILITY_DATA.fullmatch(rest))
        return response

    def read_greeting(self) -> Script[Response]:
        """The greeting: an untagged OK, PREAUTH or BYE (RFC 9051 §7.1)."""
        greeting = yield from self.read_response()
        if greeting.tag != b"*" or greeting.status not in ("OK", "PREAUTH", "BYE"):
            raise Violation("not a greeting", greeting.tag + b" " + greeting.text)
        return greeting

    def command(self, tag: bytes, command: bytes, injected: bytes = b"") -> Script[Response]:
        """Send a command; its tagged response, or the BYE that comes instead."""
        self.asked = True
        yield from self.say(tag + b" " + command + b"\r\n" + injected)
        goodbye: Response | None = None
        for _ in range(MAX_RESPONSES):
            try:
                response = yield from self.read_response()
            except WireEnded:
                if goodbye:
                    return goodbye
                raise
            if response.tag == tag and response.status in ("OK", "NO", "BAD"):
                return response
            if response.tag not in (b"*", b"+"):
                raise Violation("a tag that was not sent", response.tag + b" " + response.text)
            if response.status == "BYE":
                goodbye = response
        raise LimitExceeded

    def replies_unasked(self, command: bytes) -> bool:
        """A line with the command's own tag does; untagged responses may come at any time (RFC 9051 §7)."""
        tag, space, _ = command.partition(b" ")
        return b"\n" + tag + space in b"\n" + self.trailing_data

    def _learn(self, found: re.Match[bytes] | None) -> None:
        if found:
            words = shown(found[1].split())
            names = [upper(word) for word in words]
            auth = dict.fromkeys(name[5:] for name in names if name.startswith("AUTH=") and name != "AUTH=")
            login_disabled = "LOGINDISABLED" in names or (False if self.asked else None)
            self.known = Capabilities(words, tuple(auth), login_disabled)
            self.listed = self.listed or "STARTTLS" in names


class Imap(ImapTalk[StartTls], Upgrade):
    """From the greeting to the go-ahead."""

    def script(self) -> Script[StartTls]:
        """See the diagram at the head of the module."""
        greeting = yield from self.read_greeting()
        self._note()
        if greeting.status == "BYE":
            return self.result(_bye_verdict(greeting))
        if not self.advertised or (self.inquiring and not self.preauth and self._may_disable_login()):
            self.stage = Stage.CAPABILITIES
            of_greeting = self.known
            answer = yield from self.command(b"t1", b"CAPABILITY")
            self._note()
            if answer.status == "BYE":
                return self.result(_bye_verdict(answer))
            if answer.status != "OK" and speaks_of_too_many(answer.text):
                return self.result(Verdict.RATE_LIMITED)
            if answer.status != "OK" and self.known is of_greeting and not self.advertised:
                self.advertised = None  # the greeting's list may be short, and there is no other
        if self.preauth:
            return self._ruled_out(self.preauth)
        if self.advertised is False:
            return self.result(Verdict.NOT_OFFERED)
        self.stage = Stage.REPLY
        return self.result(self._verdict((yield from self.command(b"t2", b"STARTTLS", self.injected))))

    def stopped(self, stop: Stop) -> StartTls:
        """After PREAUTH, how the wire ends does not matter any more."""
        if self.preauth and isinstance(stop, WireEnded):
            return self._ruled_out(self.preauth)
        return super().stopped(stop)

    def _ruled_out(self, greeting: Response) -> StartTls:
        self.stage = Stage.GREETING
        self.remember("PREAUTH", b"* " + greeting.text)
        return replace(self.result(Verdict.NOT_OFFERED), preauth=True)

    def _may_disable_login(self) -> bool:
        return self.known is not None and self.known.login_disabled is None

    def _note(self) -> None:
        if self.known is not None:
            self.before = self.known
            self.advertised = self.listed  # where lists contradict each other, the answer to the command decides
            self.required = False if self.known.auth else self.known.login_disabled

    def _verdict(self, response: Response) -> Verdict:
        match response.status:
            case "OK":
                return Verdict.OK
            case "BYE":
                return _bye_verdict(response)
            case "NO" | "BAD" if speaks_of_too_many(response.text):
                return Verdict.RATE_LIMITED
            case "NO":
                return Verdict.REFUSED_SERVER_ERROR
            case _ if self.advertised is None:  # no list to be had, and the command is unknown
                return Verdict.NOT_OFFERED
            case _:
                return Verdict.REFUSED_PERMANENT


class ImapInside(ImapTalk[Inside], Within):
    """The capabilities inside TLS; after an implicit handshake the greeting comes first."""

    def __init__(self, *, greeting: bool) -> None:
        super().__init__()
        self.greeting = greeting

    def script(self) -> Script[Inside]:
        """The greeting where there is one, then the whole list."""
        if self.greeting:
            greeting = yield from self.read_greeting()
            if greeting.status == "BYE":
                return self.turned_away(_bye_verdict(greeting), self.known)
        answer = yield from self.command(b"t3", b"CAPABILITY")
        if answer.status == "BYE":
            return self.turned_away(_bye_verdict(answer), self.known)
        if answer.status != "OK" and speaks_of_too_many(answer.text):
            return self.turned_away(Verdict.RATE_LIMITED, self.known)
        return Inside(self.known)


class ImapProof(ImapTalk[Injection], Proof):
    """CAPABILITY: the injected command has a tag of its own, and so has its response (RFC 9051 §2.2.1)."""

    def script(self) -> Script[Injection]:
        """One command, and the responses up to its own."""
        yield Send(REAL_TAG + b" CAPABILITY\r\n")
        evidence: tuple[str | None, str | None] | None = None
        nameless = False  # a BAD without a tag answers a command too, and does not say which (RFC 9051 §7.1.3)
        for _ in range(MAX_RESPONSES):
            response = yield from self.read_response()
            if response.tag == b"*":
                nameless = nameless or response.status == "BAD"
            elif response.tag not in (REAL_TAG, INJECTED_TAG) or response.status not in ("OK", "NO", "BAD"):
                raise Violation("a tag that was not sent", response.tag + b" " + response.text)
            elif response.tag == INJECTED_TAG:
                evidence = self.code, self.text
            else:
                yield Send(FAREWELL)
                if evidence:
                    return self.vulnerable(*evidence)
                return self.unclear() if nameless else self.no()
        raise LimitExceeded


def _bye_verdict(response: Response) -> Verdict:
    return Verdict.RATE_LIMITED if speaks_of_too_many(response.text) else Verdict.UNAVAILABLE
