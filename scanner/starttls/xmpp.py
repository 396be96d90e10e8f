r"""XMPP streams (RFC 6120 §4) and their STARTTLS (§5), of clients and of servers.

    C: <stream:stream to=…> ──▶ S: <stream:stream> <features> ──▶ C: <starttls/> ──▶ S: <proceed/> ──▶ TLS
                                        └ at any time: <stream:error>…</stream:error></stream:stream>

We speak first. TLS begins right behind the `>` of `<proceed/>` (§5.4.3.3): expat is handed the bytes up to each `>`
and no further, so that what stands behind the end of an element is still in our buffer.
"""

from dataclasses import dataclass, field
from html import escape
from typing import TypeVar
from xml.parsers import expat

from scanner.dialogue import End, LimitExceeded, Script, Stop, Violation, WireEnded
from scanner.outcome import Flag, Stage, Verdict
from scanner.starttls.result import Capabilities, Conversation, Inside, StartTls, Upgrade, Within, shown, upper
from scanner.starttls.words import speaks_of_too_many
from scanner.wire_text import MAX_TEXT_BYTES, printable

T = TypeVar("T")

FAREWELL = b"</stream:stream>"
MAX_MARKUP_BYTES = 8_192  # up to the next `>`
MAX_ELEMENT_BYTES = 65_536  # a whole <features>
MAX_DEPTH = 16  # deeper than all features that are registered
MAX_ATTRIBUTES = 64
MAX_NAME_CHARS = 131_072  # of all names together: expat puts its whole namespace before each
MAX_UNFINISHED = 16  # `>` in an attribute's value is legal; each has expat read the tag from its beginning again

_STREAMS = "http://etherx.jabber.org/streams"
_TLS = "urn:ietf:params:xml:ns:xmpp-tls"
_SASL = ("urn:ietf:params:xml:ns:xmpp-sasl", "urn:xmpp:sasl:2")
_OLD_LOGIN = "http://jabber.org/features/iq-auth"  # XEP-0078, of before SASL
_ERRORS = "urn:ietf:params:xml:ns:xmpp-streams"
_SPACES = b" \t\r\n"

# RFC 6120 §4.9.3. What is not here passes, or is not known to stay: `unavailable`.
_NOT_US = {"host-unknown", "host-gone", "improper-addressing", "not-authorized", "policy-violation"}
# Inside TLS.
_LASTING = {"unsupported-version": Verdict.REFUSED_SESSION, "invalid-namespace": Verdict.PROTOCOL_MISMATCH}
_OTHER_SERVICE = {"client": "xmpp-server", "server": "xmpp-client"}


@dataclass(slots=True)
class Element:
    """An element: its name as expat tells it (namespace, space, local name), and what it holds."""

    name: str
    attributes: dict[str, str]
    text: str = ""
    children: list["Element"] = field(default_factory=list)

    @property
    def namespace(self) -> str:
        """What its name belongs to; empty when to nothing."""
        return self.name.rpartition(" ")[0]

    @property
    def local(self) -> str:
        """Its name without prefix."""
        return self.name.rpartition(" ")[2]


class Stream:
    """An XML parser that knows what XMPP forbids (RFC 6120 §11.1), and keeps one element below the root at a time."""

    def __init__(self) -> None:
        self.header: Element | None = None
        self.finished: Element | None = None  # below the root, and complete
        self.over = False  # the root is complete
        self.events = 0
        self.unfinished = 0
        self._open: list[Element] = []  # the root first
        self._name_chars = 0
        self._parser = parser = expat.ParserCreate("UTF-8", " ")
        if hasattr(parser, "SetReparseDeferralEnabled"):
            parser.SetReparseDeferralEnabled(False)  # expat 2.6: a tag may come in two pieces, and is due at once
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text
        parser.XmlDeclHandler = self._declaration
        parser.StartDoctypeDeclHandler = parser.CommentHandler = parser.ProcessingInstructionHandler = self._forbidden

    @property
    def between(self) -> bool:
        """Is nothing open but the root?"""
        return len(self._open) == 1

    def feed(self, markup: bytes) -> None:
        """Take what ends in `>`. Raises Violation and LimitExceeded."""
        before = self.events
        self.finished = None
        try:
            self._parser.Parse(markup, False)
        except expat.ExpatError as error:
            raise Violation(f"XML: {expat.ErrorString(error.code)}", markup) from error
        except Violation as violation:
            raise Violation(str(violation), markup) from None
        self.unfinished = 0 if self.events > before else self.unfinished + 1
        if self.unfinished > MAX_UNFINISHED:
            raise LimitExceeded

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self.events += 1
        element = Element(name, attributes)
        self._name_chars += len(name) + sum(map(len, attributes))
        if len(self._open) >= MAX_DEPTH or len(attributes) > MAX_ATTRIBUTES or self._name_chars > MAX_NAME_CHARS:
            raise LimitExceeded
        if self._open:
            self._open[-1].children.append(element)
        else:
            self.header = element
        self._open.append(element)

    def _end(self, _: str) -> None:
        self.events += 1
        element = self._open.pop()
        if len(self._open) == 1:
            self.finished = element
            self._open[0].children.clear()
        self.over = not self._open

    def _text(self, text: str) -> None:
        self.events += 1
        if len(self._open) > 1:
            self._open[-1].text += text[: MAX_TEXT_BYTES - len(self._open[-1].text)]
        elif text.strip():
            raise Violation("text between elements")

    def _declaration(self, _version: str, encoding: str | None, _standalone: int) -> None:
        self.events += 1
        if encoding and encoding.upper() != "UTF-8":
            raise Violation("not UTF-8")  # RFC 6120 §11.6

    def _forbidden(self, *_: object) -> None:
        raise Violation("restricted XML")


class XmppTalk(Conversation[T]):
    """A stream up to its features, the same before and inside TLS."""

    def __init__(self, host: str, kind: str) -> None:
        super().__init__()
        self.host = host
        self.kind = kind  # "client" or "server"
        self.protocol = f"xmpp-{kind}"
        self.echoed = False  # did our own header come back?
        self.stream = Stream()

    def open_stream(self) -> Script[None]:
        """Exchange stream headers (RFC 6120 §4.2)."""
        header = (
            f"<?xml version='1.0'?><stream:stream to=\"{escape(self.host)}\" version='1.0' xml:lang='en'"
            f" xmlns='jabber:{self.kind}' xmlns:stream='{_STREAMS}'>"
        )
        yield from self.say(header.encode())
        raw = bytearray()
        while (root := self.stream.header) is None:
            try:
                raw += yield from self._feed()
            except Violation as violation:  # which protocol it was is told by how it began
                raise Violation(str(violation), bytes(raw) + violation.data) from violation
            except LimitExceeded:
                if raw:  # and not what else has come by now
                    self.text = printable(bytes(raw))
                raise
            if len(raw) > MAX_ELEMENT_BYTES:
                raise LimitExceeded
        if root.name != f"{_STREAMS} stream":
            raise Violation("not a stream", bytes(raw))
        if raw == header.encode():
            self.echoed = True
            raise Violation("our own words", bytes(raw))
        self.remember("stream", bytes(raw))
        if not root.attributes.get("version", "0").strip().partition(".")[0].strip("0"):
            self.flags.add(Flag.NO_STREAM_VERSION)  # older than RFC 3920: no features will come (RFC 6120 §4.7.5)

    def read_element(self) -> Script[Element]:
        """The next element below the root. The end of the stream is an end like FIN."""
        raw = bytearray()
        while (element := self.stream.finished) is None:
            if self.stream.over:
                raise WireEnded(End.EOF)
            raw += yield from self._feed()
            if len(raw) > MAX_ELEMENT_BYTES:
                raise LimitExceeded
        self.stream.finished = None
        self.remember(printable(element.local.encode()), bytes(raw).strip())
        return element

    def read_error(self, element: Element) -> tuple[str, Verdict]:
        """(condition, what it means as such) of a stream error (RFC 6120 §4.9). Raises Violation where it is none."""
        if element.name != f"{_STREAMS} error":
            raise Violation("not the element that is due", (self.text or "").encode())
        named = (child for child in element.children if child.namespace == _ERRORS and child.local != "text")
        condition = next(named, element).local
        self.code = printable(condition.encode())
        if speaks_of_too_many((self.text or "").encode()):
            return condition, Verdict.RATE_LIMITED
        return condition, Verdict.REFUSED_SESSION if condition in _NOT_US else Verdict.UNAVAILABLE

    def replies_unasked(self, command: bytes) -> bool:
        """Whitespace keeps a connection alive (RFC 6120 §4.6.1), and an error or the end may come at any time."""
        there = self.trailing_data.lstrip(_SPACES)
        return not (b"<stream:error".startswith(there[:13]) or b"</".startswith(there[:2]))

    def _feed(self) -> Script[bytes]:
        """Hand what comes next to the parser, up to `>`. What does not begin like XML is told by its first line."""
        if self.stream.header is None and not self.stream.events:
            while not self._buffer:
                yield from self.more()
            if self._buffer[0] != ord("<"):
                raise Violation("not XML", (yield from self.read_line()))
        while (end := self._buffer.find(b">", self._searched)) < 0:
            self._searched = len(self._buffer)
            if self._searched > MAX_MARKUP_BYTES:
                break
            yield from self.more()
        if not 0 <= end <= MAX_MARKUP_BYTES:  # the same whether it came whole or in pieces
            raise LimitExceeded
        markup = self._take(end + 1)
        self.stream.feed(markup)
        return markup


class Xmpp(XmppTalk[StartTls], Upgrade):
    """From the stream headers to the go-ahead."""

    def script(self) -> Script[StartTls]:
        """See the diagram at the head of the module."""
        yield from self.open_stream()
        self.stage = Stage.CAPABILITIES
        features = yield from self.read_element()
        if features.name != f"{_STREAMS} features":
            return self._other(features)
        self.before = capabilities_of(features)
        starttls = next((child for child in features.children if child.name == f"{_TLS} starttls"), None)
        self.advertised = starttls is not None
        self.required = self._is_required(features, starttls)
        if starttls is None:
            return self.result(Verdict.NOT_OFFERED)
        self.stage = Stage.REPLY
        yield from self.say(f"<starttls xmlns='{_TLS}'/>".encode())
        reply = yield from self.read_element()
        if reply.name == f"{_TLS} proceed":
            return self.result(Verdict.OK)
        if reply.name == f"{_TLS} failure":
            too_many = speaks_of_too_many((self.text or "").encode())
            return self.result(Verdict.RATE_LIMITED if too_many else Verdict.REFUSED_SERVER_ERROR)
        return self._other(reply)

    def _is_required(self, features: Element, starttls: Element | None) -> bool | None:
        """By RFC 6120 §5.3.1; else not, where a login is offered without it, or for servers, which need none."""
        demanded = starttls is not None and any(child.local == "required" for child in starttls.children)
        if demanded or (starttls is not None and len(features.children) == 1):
            return True
        login = capabilities_of(features).auth or any(child.namespace == _OLD_LOGIN for child in features.children)
        return False if login or self.kind == "server" else None

    def stopped(self, stop: Stop) -> StartTls:
        """A stream of before version 1.0 has no features, and so nothing to wait for."""
        half = self.trailing_data.strip(_SPACES) or not self.stream.between
        silence = isinstance(stop, WireEnded) and stop.end is End.TIMEOUT and not half
        if silence and Flag.NO_STREAM_VERSION in self.flags and self.stage is Stage.CAPABILITIES:
            return self.result(Verdict.NOT_OFFERED)
        return super().stopped(stop)

    def guess(self, data: bytes) -> str | None:
        """Half a stream header is of either service; one of the other's is told by an error."""
        hint = "echo" if self.echoed else super().guess(data)
        return self.protocol if hint in ("xmpp-client", "xmpp-server") else hint

    def _other(self, element: Element) -> StartTls:
        """What a stream error means that came in place of what was due."""
        condition, verdict = self.read_error(element)
        if verdict is Verdict.RATE_LIMITED:
            return self.result(verdict)
        if condition == "policy-violation" and self.stage is Stage.REPLY:
            return self.result(Verdict.REFUSED_POLICY)
        if condition == "unsupported-version":  # it knows no 1.0, and STARTTLS came with it
            return self.result(Verdict.NOT_OFFERED)
        if condition == "invalid-namespace":  # ours is right for one of the two services, and so wrong for the other
            return self.result(Verdict.PROTOCOL_MISMATCH, hint=_OTHER_SERVICE[self.kind])
        return self.result(verdict)


class XmppInside(XmppTalk[Inside], Within):
    """A fresh stream inside TLS, and its features (RFC 6120 §5.4.3.3). In implicit mode it is the first one."""

    def script(self) -> Script[Inside]:
        """Headers, then features."""
        yield from self.open_stream()
        element = yield from self.read_element()
        if element.name == f"{_STREAMS} features":
            return Inside(capabilities_of(element))
        condition, verdict = self.read_error(element)
        return self.turned_away(_LASTING.get(condition, verdict))


def capabilities_of(features: Element) -> Capabilities:
    """Local names of the features, and the mechanisms of SASL and SASL2."""
    names = shown(child.local.encode() for child in features.children)
    mechanisms = shown(
        upper(mechanism.text).encode()
        for child in features.children
        if child.namespace in _SASL
        for mechanism in child.children
        if mechanism.local == "mechanism"
    )
    return Capabilities(names, tuple(dict.fromkeys(mechanisms)))
