r"""ManageSieve (RFC 5804): the server tells its capabilities unasked, on connecting and again inside TLS (§2.2).

    S: "IMPLEMENTATION" … / "STARTTLS" / OK ──▶ C: STARTTLS ──▶ S: OK ──▶ TLS ──▶ S: capabilities / OK
                                     └ NO, BYE

Strings are quoted or literals (§1.2); names, OK, NO and BYE are of any case. Where SASL is empty (§1.7), or left out as
Cyrus does it then, nobody logs in without TLS.
"""

import re
from dataclasses import dataclass
from typing import TypeVar

from scanner.dialogue import LimitExceeded, Script, Send, Violation
from scanner.outcome import Stage, Verdict
from scanner.starttls.injection import Injection, Proof
from scanner.starttls.result import Capabilities, Conversation, Inside, StartTls, Upgrade, Within, shown, upper
from scanner.starttls.words import speaks_of_too_many
from scanner.wire_text import printable

T = TypeVar("T")

FAREWELL = b"LOGOUT\r\n"
INJECTED_TAG, REAL_TAG = b"injected", b"real"
INJECTED = b'NOOP "%s"\r\n' % INJECTED_TAG
MAX_CAPABILITIES = 256
MAX_LITERAL_BYTES = 65_536

_LITERAL_AT_END = re.compile(rb"\{(\d{1,9})\+?\}$")
_LITERAL = re.compile(rb"\{(\d{1,9})\+?\}\r\n")
_QUOTED = re.compile(rb'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_SAYS_BACK = re.compile(rb"OK +\(TAG +", re.IGNORECASE)
_STATUS = re.compile(rb"(OK|NO|BYE)(?: +\(([A-Z][A-Z0-9/_-]*)[ )]|(?= )|$)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Status:
    """What ends a response: OK, NO or BYE, with its response code (§1.3) where there is one."""

    word: str
    code: str | None
    text: bytes


class SieveTalk(Conversation[T]):
    """Responses and capabilities, the same before and inside TLS."""

    protocol = "sieve"

    def read_response(self) -> Script[tuple[Capabilities, Status]]:
        """The capabilities that come before a status, and the status."""
        listed: list[tuple[bytes, bytes]] = []
        while len(listed) <= MAX_CAPABILITIES:
            whole = yield from self._read_whole_line()
            if match := _STATUS.match(whole):
                word = upper(match[1].decode())
                self.remember(word, whole)
                return _capabilities(listed), Status(word, upper(match[2].decode()) if match[2] else None, whole)
            listed.append(_capability(whole))
            self.text = printable(whole)
        raise LimitExceeded

    def _read_whole_line(self) -> Script[bytes]:
        """A line with its literals (§1.2)."""
        line = yield from self.read_line()
        pieces = [line]
        while literal := _LITERAL_AT_END.search(line):
            if int(literal[1]) > MAX_LITERAL_BYTES:
                self.text = printable(line)
                raise LimitExceeded
            data = yield from self.read_exactly(int(literal[1]))
            line = yield from self.read_line()
            pieces += (b"\r\n", data, line)
        return b"".join(pieces)


class Sieve(SieveTalk[StartTls], Upgrade):
    """From the greeting to the go-ahead."""

    def script(self) -> Script[StartTls]:
        """See the diagram at the head of the module."""
        listed, status = yield from self.read_response()
        if status.word != "OK":
            return self.result(_session_refusal(status))
        self.before = listed
        self.advertised = "STARTTLS" in {upper(line.split(" ")[0]) for line in listed.capabilities}
        self.required = not listed.auth
        if not self.advertised:
            return self.result(Verdict.NOT_OFFERED)
        self.stage = Stage.REPLY
        yield from self.say(b"STARTTLS\r\n" + self.injected)
        listed, status = yield from self.read_response()
        if listed.capabilities:
            raise Violation("capabilities in answer to STARTTLS", status.text)
        return self.result(_upgrade_verdict(status))


class SieveInside(SieveTalk[Inside], Within):
    """The capabilities that the server sends inside TLS, whether it greets there or greeted before."""

    def script(self) -> Script[Inside]:
        """Listen."""
        listed, status = yield from self.read_response()
        return Inside(listed) if status.word == "OK" else self.turned_away(_session_refusal(status))


class SieveProof(SieveTalk[Injection], Proof):
    """NOOP with a string, which the server says back in its OK (§2.13): that tells two NOOPs apart.

    Of a server that does not say it back the replies are counted: between the capabilities that it sends unasked, and
    those that CAPABILITY asks for, there is one, or one too many.
    """

    def script(self) -> Script[Injection]:
        """NOOP, CAPABILITY where that did not tell, and LOGOUT."""
        yield Send(b'NOOP "%s"\r\n' % REAL_TAG)
        unasked, reply = yield from self.read_response()
        listed = unasked
        if unasked.capabilities:
            listed, reply = yield from self.read_response()
        evidence = self.code, self.text
        said_back = _said_back(reply)
        if listed.capabilities or said_back not in (REAL_TAG, INJECTED_TAG, None):
            result = self.unclear()
        elif said_back == REAL_TAG:
            result = self.no()
        elif said_back == INJECTED_TAG:
            while _said_back(reply) != REAL_TAG:
                _, reply = yield from self.read_response()
            result = self.vulnerable(*evidence)
        else:
            result = (yield from self._counted(reply, *evidence)) if unasked.capabilities else self.unclear()
        yield Send(FAREWELL)
        return result

    def _counted(self, first: Status, code: str | None, text: str | None) -> Script[Injection]:
        """The result by the number of replies. `code` and `text` are the first's.

        Two NOOPs get the same answer; another one is something that the server says unasked.
        """
        yield Send(b"CAPABILITY\r\n")
        listed, second = yield from self.read_response()
        if listed.capabilities:
            return self.no()
        listed, _ = yield from self.read_response()
        return self.vulnerable(code, text) if listed.capabilities and first == second else self.unclear()


def _said_back(status: Status) -> bytes | None:
    """The string of a NOOP that this answers, where it says that."""
    found = _SAYS_BACK.match(status.text)
    return _string(status.text[found.end() :], status.text)[0] if found else None


def _session_refusal(status: Status) -> Verdict:
    """What a greeting means that is not OK."""
    if speaks_of_too_many(status.text):
        return Verdict.RATE_LIMITED
    passes = status.word == "BYE" or status.code in ("TRYLATER", "REFERRAL")
    return Verdict.UNAVAILABLE if passes else Verdict.REFUSED_SESSION


def _upgrade_verdict(status: Status) -> Verdict:
    """What the answer to STARTTLS means. NO is all that there is for a server that cannot, as in IMAP (§1.3)."""
    if status.word == "OK":
        return Verdict.OK
    if speaks_of_too_many(status.text):
        return Verdict.RATE_LIMITED
    if status.word == "BYE" or status.code == "REFERRAL":
        return Verdict.UNAVAILABLE
    return Verdict.REFUSED_TEMPORARY if status.code == "TRYLATER" else Verdict.REFUSED_SERVER_ERROR


def _capability(whole: bytes) -> tuple[bytes, bytes]:
    """A line's name and its value: one string or two."""
    name, rest = _string(whole, whole)
    if not rest.strip(b" "):
        return name, b""
    value, behind = _string(rest.lstrip(b" "), whole)
    if behind.strip(b" ") or not rest.startswith(b" "):
        raise Violation("not a capability", whole)
    return name, value


def _string(data: bytes, whole: bytes) -> tuple[bytes, bytes]:
    """The string that `data` begins with, and what follows it."""
    if quoted := _QUOTED.match(data):
        return re.sub(rb"\\(.)", rb"\1", quoted[1], flags=re.DOTALL), data[quoted.end() :]
    if literal := _LITERAL.match(data):
        end = literal.end() + int(literal[1])
        return data[literal.end() : end], data[end:]
    raise Violation("neither a capability nor a status", whole)


def _capabilities(listed: list[tuple[bytes, bytes]]) -> Capabilities:
    lines = shown(name + b" " + value for name, value in listed)
    auth: dict[str, None] = {}
    for name, value in listed:
        if name.upper() == b"SASL":
            auth.update(dict.fromkeys(upper(printable(word)) for word in value.split()))
    return Capabilities(lines, tuple(auth))
