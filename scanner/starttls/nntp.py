r"""NNTP (RFC 3977) with STARTTLS (RFC 4642).

    S: 200, 201 greeting ──▶ C: CAPABILITIES ──▶ S: 101 list ──▶ [C: MODE READER …] ──▶ C: STARTTLS ──▶ S: 382 ──▶ TLS
                                   └ 500 (a server of before RFC 3977) ──▶ C: STARTTLS all the same

The bracket is for a server that begins as one of peers, lists MODE-READER and no STARTTLS, and may offer it to readers
(RFC 3977 §3.4.2, §5.3): ──▶ S: 200, 201 ──▶ C: CAPABILITIES ──▶ S: 101 list. The switch has to come before STARTTLS,
for behind it there is none (RFC 4642 §2.2.2). It may hand the connection to another program, as innd does to nnrpd; but
that is whom the users of this port meet.
"""

import re
from dataclasses import dataclass
from typing import TypeVar

from scanner.dialogue import LimitExceeded, Script, Violation
from scanner.outcome import Stage, Verdict
from scanner.starttls.result import Capabilities, Conversation, Inside, StartTls, Upgrade, Within, shown, upper
from scanner.starttls.words import speaks_of_too_many

T = TypeVar("T")

FAREWELL = b"QUIT\r\n"
MAX_CAPABILITIES = 256

_REPLY = re.compile(rb"([1-5]\d\d)(?: .*)?", re.DOTALL)
_GREETING = re.compile(rb"(?:20[01]|400|502)(?: |$)")  # RFC 3977 §5.1.1
_SERVED = {200, 201}  # to the greeting, and to MODE READER: with posting or without (RFC 3977 §5.1.1, §5.3.1)
_NO_SUCH_COMMAND = {500, 503}  # RFC 3977 §3.2.1
_PRIVACY_FIRST = 483
_LOGIN_OR_PRIVACY_FIRST = {480, _PRIVACY_FIRST}  # RFC 3977 §3.2.1; never in answer to STARTTLS (RFC 4642 §2.2)


@dataclass(frozen=True, slots=True)
class Reply:
    """The first line of a response, which is all of most."""

    code: int
    text: bytes


class NntpTalk(Conversation[T]):
    """Responses and capabilities, the same before and inside TLS."""

    protocol = "nntp"

    def read_reply(self) -> Script[Reply]:
        """One response line (RFC 3977 §3.2)."""
        line = yield from self.read_line()
        match = _REPLY.fullmatch(line)
        if match is None:
            raise Violation("not a response", line)
        self.remember(match[1].decode(), line)
        return Reply(int(match[1]), line)

    def read_greeting(self) -> Script[Reply]:
        """The greeting: 200, 201, or a refusal (RFC 3977 §5.1.1)."""
        greeting = yield from self.read_reply()
        if greeting.code < 400 and greeting.code not in _SERVED:
            raise Violation("not a greeting", greeting.text)
        return greeting

    def capabilities(self) -> Script[tuple[Reply, Capabilities | None]]:
        """The answer to CAPABILITIES, and the list, ended by a lone dot, where there is one (RFC 3977 §5.2)."""
        yield from self.say(b"CAPABILITIES\r\n")
        reply = yield from self.read_reply()
        if reply.code != 101:
            return reply, None
        lines: list[bytes] = []
        while (line := (yield from self.read_line())) != b".":
            lines.append(line[1:] if line.startswith(b".") else line)
            if len(lines) > MAX_CAPABILITIES:
                raise LimitExceeded
        return reply, _capabilities(lines)

    def replies_unasked(self, command: bytes) -> bool:
        """Anything does but 400, with which a server may leave at any time (RFC 3977 §3.2.1)."""
        return super().replies_unasked(command) and not b"400".startswith(self.trailing_data[:3])


class Nntp(NntpTalk[StartTls], Upgrade):
    """From the greeting to the go-ahead."""

    def script(self) -> Script[StartTls]:
        """See the diagram at the head of the module."""
        greeting = yield from self.read_greeting()
        if greeting.code not in _SERVED:
            return self.result(_session_refusal(greeting))
        self.stage = Stage.CAPABILITIES
        refusal = yield from self._ask()
        if refusal is None and self.advertised is False and _switches_mode(self.before):
            refusal = yield from self._as_reader()
        if refusal:
            return self.result(refusal)
        if self.advertised is False:
            return self.result(Verdict.NOT_OFFERED)
        self.stage = Stage.REPLY
        yield from self.say(b"STARTTLS\r\n")
        return self.result(self._upgrade_verdict((yield from self.read_reply())))

    def _ask(self) -> Script[Verdict | None]:
        """Ask for the list, and take note of it; what it means, where it ends the session."""
        reply, listed = yield from self.capabilities()
        self.advertised = None
        if listed is not None:
            self._note(listed)
        elif reply.code < 400:
            raise Violation("no answer to CAPABILITIES", reply.text)
        elif reply.code == _PRIVACY_FIRST:
            self.required = True
        elif _is_session_refusal(reply):
            return _session_refusal(reply)
        return None

    def _note(self, listed: Capabilities) -> None:
        self.before = listed
        names = {upper(line.split()[0]) for line in listed.capabilities}
        self.advertised = "STARTTLS" in names
        if listed.auth or any(upper(line).startswith("AUTHINFO ") for line in listed.capabilities):
            self.required = False
        elif "AUTHINFO" in names and self.advertised:  # without arguments: none of its commands now (RFC 4643 §2.1)
            self.required = True  # without STARTTLS it means nothing: innd says so to peers that need no login

    def _as_reader(self) -> Script[Verdict | None]:
        """Switch the mode, and ask again. Where readers are not served, or not now, the list of before stands."""
        yield from self.say(b"MODE READER\r\n")
        reply = yield from self.read_reply()
        if reply.code in _SERVED:
            return (yield from self._ask())
        if reply.code < 400:
            raise Violation("no answer to MODE READER", reply.text)
        if reply.code == _PRIVACY_FIRST:
            self.required = True
        return _session_refusal(reply) if _is_session_refusal(reply) else None

    def guess(self, data: bytes) -> str | None:
        """The codes of NNTP's greetings are its own, or shared with others that it may not be taken for."""
        return self.protocol if _GREETING.match(data) else super().guess(data)

    def _upgrade_verdict(self, reply: Reply) -> Verdict:
        """What the answer to STARTTLS means (RFC 4642 §2.2)."""
        if reply.code == 382:
            return Verdict.OK
        if reply.code < 400:
            return Verdict.VIOLATION
        if speaks_of_too_many(reply.text):
            return Verdict.RATE_LIMITED
        if reply.code in _LOGIN_OR_PRIVACY_FIRST:
            return Verdict.VIOLATION
        if reply.code == 400:
            return Verdict.UNAVAILABLE
        if reply.code < 500 or reply.code == 580:
            return Verdict.REFUSED_TEMPORARY
        unknown = self.advertised is None and reply.code in _NO_SUCH_COMMAND
        return Verdict.NOT_OFFERED if unknown else Verdict.REFUSED_PERMANENT


class NntpInside(NntpTalk[Inside], Within):
    """CAPABILITIES inside TLS; after an implicit handshake the greeting comes first."""

    def __init__(self, *, greeting: bool) -> None:
        super().__init__()
        self.greeting = greeting

    def script(self) -> Script[Inside]:
        """The greeting where there is one, then the list."""
        if self.greeting:
            greeting = yield from self.read_greeting()
            if greeting.code not in _SERVED:
                return self.turned_away(_session_refusal(greeting))
        reply, listed = yield from self.capabilities()
        if reply.code >= 400 and _is_session_refusal(reply):
            return self.turned_away(_session_refusal(reply))
        return Inside(listed)


def _is_session_refusal(reply: Reply) -> bool:
    """Is a "no" to CAPABILITIES, or to MODE READER, about more than that? 480 and 483 are about no more."""
    about_the_list = reply.code >= 500 or reply.code in _LOGIN_OR_PRIVACY_FIRST
    return not about_the_list or speaks_of_too_many(reply.text)


def _switches_mode(listed: Capabilities | None) -> bool:
    """Does it begin as a server of peers, and is there one of readers behind it (RFC 3977 §3.4.2)?"""
    return listed is not None and "MODE-READER" in {upper(line.split()[0]) for line in listed.capabilities}


def _session_refusal(reply: Reply) -> Verdict:
    """What a greeting, or a temporary answer to CAPABILITIES, means."""
    if speaks_of_too_many(reply.text):
        return Verdict.RATE_LIMITED
    return Verdict.UNAVAILABLE if reply.code < 500 else Verdict.REFUSED_SESSION


def _capabilities(lines: list[bytes]) -> Capabilities:
    """`SASL` lists mechanisms, `AUTHINFO USER` is a login by password (RFC 4643 §2.1); both count before TLS."""
    listed = shown(lines)
    auth: dict[str, None] = {}
    for line in listed:
        name, *arguments = upper(line).split()
        if name == "SASL":
            auth.update(dict.fromkeys(arguments))
        elif name == "AUTHINFO" and "USER" in arguments:
            auth["USER"] = None
    return Capabilities(listed, tuple(auth))
