r"""IRC (RFC 2812, RFC 1459) and the STARTTLS of IRCv3, deprecated in favour of STS and still there
(https://ircv3.net/specs/deprecated/tls).

    C: CAP LS 302, STARTTLS ──▶ S: [NOTICE, PING, CAP * LS :… tls …] ──▶ S: 670 ──▶ TLS
                                     └ C: PONG                            └ 691, 421, 451, ERROR, or nothing

No greeting need be waited for: a server says something to begin with, or it does not. Servers that do not know CAP or
STARTTLS ignore them, or answer 421 or 451; so both go out at once, STARTTLS last, and only the answer to STARTTLS
decides. Who answers PINGs only, or talks of anything else and falls silent, does not offer it.
"""

from dataclasses import dataclass, replace
from typing import TypeVar

from scanner.dialogue import End, LimitExceeded, Script, Send, Stop, Violation, WireEnded
from scanner.hint import hint_of
from scanner.outcome import Flag, Stage, Verdict
from scanner.starttls.result import Capabilities, Conversation, Inside, StartTls, Upgrade, Within, shown, upper
from scanner.starttls.words import speaks_of_too_many

T = TypeVar("T")

FAREWELL = b"QUIT\r\n"
_REQUEST = b"CAP LS 302\r\nSTARTTLS\r\n"
MAX_MESSAGES = 256  # in all
MAX_PONGS = 3  # servers ask every half minute or so: who asks a fourth time has let STARTTLS go by
MAX_PING_BYTES = 400  # of a PING's token that we say back; a line has 512 (RFC 2812 §2.3)
MAX_CAPABILITIES = 1_024

# What a server says in its own name; numerics have a prefix always (RFC 2812 §2.4), so `220 ready` is no IRC.
_WITHOUT_PREFIX = {"PING", "NOTICE", "ERROR", "CAP", "PONG"}
_UNKNOWN = {"421", "451"}  # unknown command; not registered (from before there were commands for the unregistered)
_ANSWERS_TO_PING = {"PONG", "409", "461", *_UNKNOWN}  # no origin, too few parameters: no two servers want the same
_BANNED = {"465", "466"}


@dataclass(frozen=True, slots=True)
class Message:
    """A message: a command or a numeric, and its parameters, the last of which may hold spaces."""

    command: str
    parameters: tuple[bytes, ...]
    trailing: bytes | None

    def names(self, command: bytes) -> bool:
        """Is it about this command of ours?"""
        return command in (parameter.upper() for parameter in self.parameters)


class IrcTalk(Conversation[T]):
    """Messages and capabilities, the same before and inside TLS."""

    protocol = "irc"

    def __init__(self) -> None:
        super().__init__()
        self.heard = 0
        self.pinged = 0
        self.listed: list[bytes] = []
        self.known: Capabilities | None = None

    def read_message(self) -> Script[Message]:
        """The next message that is for us; PINGs are answered on the way, as long as it makes sense."""
        while True:
            line = yield from self.read_line()
            self.heard += 1
            if self.heard > MAX_MESSAGES:
                raise LimitExceeded
            if self.heard == 1 and line == _REQUEST.partition(b"\r")[0]:
                raise Violation("our own words", line)
            if not line.strip():
                continue  # "Empty messages are silently ignored" (RFC 2812 §2.3.1)
            message = _message(line)
            self.remember(message.command, line)
            if self.stage is Stage.GREETING:
                self.stage = Stage.REPLY
            if message.command != "PING" or self.pinged >= MAX_PONGS:
                self._learn(message)
                return message
            self.pinged += 1
            token = message.trailing if message.trailing is not None else b" ".join(message.parameters)
            yield Send(b"PONG :" + token[:MAX_PING_BYTES] + b"\r\n")

    def _learn(self, message: Message) -> None:
        """`CAP * LS * :more to come` and `CAP * LS :the last` (IRCv3 capability negotiation)."""
        if message.command != "CAP" or not message.names(b"LS"):
            return
        more = message.trailing is not None and message.parameters[2:3] == (b"*",)
        self.listed += message.parameters[2:] if message.trailing is None else message.trailing.split()
        if len(self.listed) > MAX_CAPABILITIES:
            raise LimitExceeded
        if not more:
            words, self.listed = shown(self.listed), []  # the next answer is another list
            mechanisms = (upper(word[5:]).split(",") for word in words if word.startswith("sasl="))
            self.known = Capabilities(words, tuple(dict.fromkeys(name for each in mechanisms for name in each if name)))


class Irc(IrcTalk[StartTls], Upgrade):
    """From our first words to the go-ahead."""

    cap_answered = False

    def script(self) -> Script[StartTls]:
        """See the diagram at the head of the module."""
        yield from self.say(_REQUEST)
        while True:
            message = yield from self.read_message()
            if self.known and self.before is None:
                self.before = self.known
                self.advertised = any(word.partition("=")[0] == "tls" for word in self.known.capabilities)
            if verdict := self._verdict(message):
                return self.result(verdict)

    def result(self, verdict: Verdict, *, cause: str | None = None, hint: str | None = None) -> StartTls:
        """What is known now. STARTTLS is older than the lists, so that where none was heard there is nothing odd."""
        result = super().result(verdict, cause=cause, hint=hint)
        return result if self.before else replace(result, flags=result.flags - {Flag.UNADVERTISED})

    def guess(self, data: bytes) -> str | None:
        """Is it an echo, or whose first bytes are these?"""
        return hint_of(data, _REQUEST)

    def stopped(self, stop: Stop) -> StartTls:
        """Silence of a server that speaks IRC is its answer to a command that it does not know."""
        if isinstance(stop, WireEnded) and self.stage is Stage.REPLY:
            if self.code in ("NOTICE", "ERROR") and _too_many((self.text or "").encode()):
                return self.result(Verdict.RATE_LIMITED)
            if stop.end is End.TIMEOUT or (stop.end is End.DEADLINE and self.pinged):
                return self.result(Verdict.NOT_OFFERED)
            if stop.end is End.EOF and self.advertised is False:
                return self.result(Verdict.NOT_OFFERED)  # ngIRCd has waited for a registration, until it was enough
        return super().stopped(stop)

    def _verdict(self, message: Message) -> Verdict | None:
        """None where the message is no answer to STARTTLS."""
        said = (self.text or "").encode()
        match message.command:
            case "670":
                return Verdict.OK
            case "691":
                return Verdict.RATE_LIMITED if _too_many(said) else Verdict.REFUSED_SERVER_ERROR
            case command if command in _BANNED | {"ERROR"}:
                return _session_refusal(message, self.text)
            case "PING":
                return Verdict.NOT_OFFERED
            case "CAP":
                self.cap_answered = True
                return None
            case command if command in _UNKNOWN:
                return self._unknown(message)
            case _:
                return None

    def _unknown(self, message: Message) -> Verdict | None:
        """Which of our two commands is unknown? Answers that do not name it come in the commands' order."""
        if message.names(b"STARTTLS") or (self.cap_answered and not message.names(b"CAP")):
            return Verdict.NOT_OFFERED
        self.cap_answered = True
        return None


class IrcInside(IrcTalk[Inside], Within):
    """The capabilities inside TLS."""

    def script(self) -> Script[Inside]:
        """CAP LS, and its answer behind whatever else is said.

        InspIRCd without its cap module passes over CAP, and answers a PING. (Behind STARTTLS nothing may be sent.)
        """
        yield from self.say(b"CAP LS 302\r\nPING tlsweep\r\n")
        while self.known is None:
            message = yield from self.read_message()
            if message.command in _BANNED | {"ERROR"}:
                return self.turned_away(_session_refusal(message, self.text))
            if message.command in _ANSWERS_TO_PING | {"PING"}:
                return Inside(None)
        return Inside(self.known)


def _session_refusal(message: Message, text: str | None) -> Verdict:
    """What ERROR and the numerics of a ban mean, by the line's words."""
    if _too_many((text or "").encode()):
        return Verdict.RATE_LIMITED
    return Verdict.UNAVAILABLE if message.command == "ERROR" else Verdict.REFUSED_SESSION


def _too_many(text: bytes) -> bool:
    """IRC servers have words of their own for it too."""
    return speaks_of_too_many(text) or b"no more connections" in text.lower()  # ircd-hybrid


def _message(line: bytes) -> Message:
    rest = line
    if rest.startswith(b"@"):  # IRCv3 message tags
        rest = rest.partition(b" ")[2].lstrip(b" ")
    prefixed = rest.startswith(b":")
    if prefixed:
        rest = rest.partition(b" ")[2].lstrip(b" ")
    head, colon, trailing = rest.partition(b" :")
    words = head.split(b" ")
    command = words[0].decode("latin-1").upper()
    if b"\r" in line or b"\x00" in line or not command.isascii():
        raise Violation("not a message", line)
    numeric = len(command) == 3 and command.isdigit()
    if not (prefixed and (numeric or command.isalpha())) and command not in _WITHOUT_PREFIX:
        raise Violation("not a message", line)
    return Message(command, tuple(filter(None, words[1:])), trailing if colon else None)
