r"""LDAP (RFC 4511) with the StartTLS operation (§4.14).

    C: search of the root DSE ──▶ S: its attributes / result ──▶ C: StartTLS ──▶ S: result 0 ──▶ TLS

Nobody greets; the client speaks first. The root DSE (RFC 4512 §5.1) tells what the server can do. It may be hidden
from people without a name, so StartTLS is asked for whatever it says. A Notice of Disconnection (§4.4.1) may come at
any time.
"""

import re
from dataclasses import dataclass
from typing import TypeVar

from scanner.dialogue import LimitExceeded, Script, Violation
from scanner.outcome import Stage, Verdict
from scanner.starttls.ber import Element, Tag, elements, encoded, header_size, length_of
from scanner.starttls.binary import Binary, BinaryUpgrade
from scanner.starttls.result import Capabilities, Inside, StartTls, Within, shown, upper
from scanner.starttls.words import speaks_of_too_many

T = TypeVar("T")
Attributes = dict[bytes, list[bytes]]  # the values of each

MAX_MESSAGE_BYTES = 65_536
MAX_MESSAGES = 64  # before the one that was asked for
MAX_VALUES = 256

START_TLS_OID = b"1.3.6.1.4.1.1466.20037"
DISCONNECTION_OID = b"1.3.6.1.4.1.1466.20036"
_START_TLS_ID, _SEARCH_ID, _UNBIND_ID = 1, 2, 3  # any will do that differ
_ENTRY, _DONE, _REFERENCE, _EXTENDED = 0x64, 0x65, 0x73, 0x78  # responses, by their tags
_RESPONSE_NAME = 0x8A
_WANTED = b"supportedExtension", b"supportedSASLMechanisms"
_EXTENSIONS, _MECHANISMS = b"supportedextension", b"supportedsaslmechanisms"  # names know no case


def _message(number: int, operation: bytes) -> bytes:
    return encoded(Tag.SEQUENCE, encoded(Tag.INTEGER, bytes([number])), operation)


START_TLS = _message(_START_TLS_ID, encoded(0x77, encoded(0x80, START_TLS_OID)))
FAREWELL = _message(_UNBIND_ID, encoded(0x42))
SEARCH = _message(
    _SEARCH_ID,
    encoded(
        0x63,
        encoded(Tag.OCTET_STRING),  # the object with no name,
        encoded(Tag.ENUMERATED, b"\0"),  # itself alone,
        encoded(Tag.ENUMERATED, b"\0"),  # with no alias followed,
        encoded(Tag.INTEGER, b"\0") * 2,  # no limits of ours,
        encoded(Tag.BOOLEAN, b"\0"),  # values too,
        encoded(0x87, b"objectClass"),  # that has any class,
        encoded(Tag.SEQUENCE, *(encoded(Tag.OCTET_STRING, name) for name in _WANTED)),
    ),
)

# A message whose number is 0: it answers nothing, and may be there before we speak (RFC 4511 §4.4).
_UNASKED = re.compile(rb"\x30(?:[\x00-\x7f]|\x81.|\x82.{2}|\x83.{3}|\x84.{4})\x02\x01\x00", re.DOTALL)

# Result codes (RFC 4511 appendix A).
_VERDICTS = {
    0: Verdict.OK,
    1: Verdict.REFUSED_SERVER_ERROR,  # operationsError
    2: Verdict.REFUSED_PERMANENT,  # protocolError: does not know the operation
    8: Verdict.REFUSED_POLICY,  # strongerAuthRequired
    10: Verdict.UNAVAILABLE,  # referral: another server is to be asked
    50: Verdict.REFUSED_POLICY,  # insufficientAccessRights
    51: Verdict.REFUSED_TEMPORARY,  # busy
    52: Verdict.REFUSED_TEMPORARY,  # unavailable
    53: Verdict.REFUSED_POLICY,  # unwillingToPerform
    80: Verdict.REFUSED_SERVER_ERROR,  # other: an internal error
}
_BUSY = {51, 52}
_PROTOCOL_ERROR = 2
_CONFIDENTIALITY_REQUIRED = 13
_LAST_CODE = 80  # of RFC 4511


@dataclass(frozen=True, slots=True)
class Result:
    """An LDAPResult (RFC 4511 §4.1.9)."""

    code: int
    diagnostic: bytes

    @property
    def of_too_many(self) -> bool:
        """Is it a refusal that speaks of too many connections?"""
        return self.code != 0 and speaks_of_too_many(self.diagnostic)


class Disconnected(Exception):  # noqa: N818
    """A Notice of Disconnection came."""

    def __init__(self, result: Result) -> None:
        super().__init__(result)
        self.verdict = Verdict.RATE_LIMITED if result.of_too_many else Verdict.UNAVAILABLE


class LdapTalk(Binary[T]):
    """Messages and the root DSE, the same before and inside TLS."""

    protocol = "ldap"

    def read_message(self) -> Script[tuple[int, Element]]:
        """(number, operation) of the next message (RFC 4511 §4.1.1)."""
        if (yield from self.peek(1))[0] != Tag.SEQUENCE:
            yield from self.reject("not a message")
        start = yield from self.peek(2)
        header = yield from self.peek(header_size(start[1]))
        length = length_of(header)
        if length > MAX_MESSAGE_BYTES:
            raise LimitExceeded
        whole = yield from self.read_exactly(len(header) + length)
        match elements(whole[len(header) :]):
            case (Element(tag=Tag.INTEGER) as number, operation, *_) if whole != self.asked:
                return number.number(), operation
        raise Violation("not a message", whole)

    def answer(self, number: int) -> Script[Element]:
        """The next operation that answers our message of this number. Raises Disconnected."""
        for _ in range(MAX_MESSAGES):
            of, operation = yield from self.read_message()
            if of == number:
                return operation
            if of or operation.tag != _EXTENDED:
                raise Violation("a message that answers nothing", operation.content)
            if any(part == Element(_RESPONSE_NAME, DISCONNECTION_OID) for part in operation.holds()):
                raise Disconnected(self.result_of(operation))
        raise LimitExceeded

    def result_of(self, operation: Element) -> Result:
        """The result in an operation, which is remembered."""
        match operation.holds():
            case (
                Element(tag=Tag.ENUMERATED) as code,
                Element(tag=Tag.OCTET_STRING),
                Element(tag=Tag.OCTET_STRING, content=diagnostic),
                *_,
            ):
                if (number := code.number()) < 0:
                    raise Violation("not a result code", operation.content)
                self.remember(str(number), diagnostic)
                return Result(number, diagnostic)
        raise Violation("not a result", operation.content)

    def root_dse(self) -> Script[tuple[Attributes, Result]]:
        """The attributes that tell what the server can do, and how the search for them went."""
        yield from self.say(SEARCH)
        attributes: Attributes = {}
        for _ in range(MAX_MESSAGES):
            operation = yield from self.answer(_SEARCH_ID)
            if operation.tag == _DONE:
                return attributes, self.result_of(operation)
            if operation.tag == _ENTRY:
                attributes |= _attributes(operation)
            elif operation.tag != _REFERENCE:
                raise Violation("not an answer to a search", operation.content)
        raise LimitExceeded

    def replies_unasked(self, command: bytes) -> bool:
        """Anything does but notices, which may come at any time."""
        there = self.trailing_data
        while _UNASKED.match(there):
            header = there[: header_size(there[1])]
            there = there[len(header) + length_of(header) :]
        return bool(there)


class Ldap(LdapTalk[StartTls], BinaryUpgrade):
    """From the root DSE to the go-ahead."""

    stage = Stage.CAPABILITIES

    def script(self) -> Script[StartTls]:
        """See the diagram at the head of the module."""
        try:
            return self.result((yield from self._ask()))
        except Disconnected as notice:
            return self.result(notice.verdict)

    def _ask(self) -> Script[Verdict]:
        attributes, searched = yield from self.root_dse()
        self.before = _capabilities(attributes)
        if _EXTENSIONS in attributes:
            self.advertised = START_TLS_OID in attributes[_EXTENSIONS]
        if searched.code == _CONFIDENTIALITY_REQUIRED:
            self.required = True
        self.stage = Stage.REPLY
        yield from self.say(START_TLS)
        operation = yield from self.answer(_START_TLS_ID)
        if operation.tag != _EXTENDED:
            raise Violation("not an answer to StartTLS", operation.content)
        return self._verdict(self.result_of(operation))

    def _verdict(self, result: Result) -> Verdict:
        if result.of_too_many:
            return Verdict.RATE_LIMITED
        if result.code == _PROTOCOL_ERROR and self.advertised is False:
            return Verdict.NOT_OFFERED
        unheard_of = Verdict.REFUSED_SERVER_ERROR  # "an unknown error condition" (RFC 4511 §4.1.9) is no firm no
        return _VERDICTS.get(result.code, Verdict.REFUSED_PERMANENT if result.code <= _LAST_CODE else unheard_of)


class LdapInside(LdapTalk[Inside], Within):
    """The root DSE inside TLS."""

    def script(self) -> Script[Inside]:
        """One search."""
        try:
            attributes, searched = yield from self.root_dse()
        except Disconnected as notice:
            return self.turned_away(notice.verdict)
        if searched.of_too_many:
            return self.turned_away(Verdict.RATE_LIMITED)
        if searched.code in _BUSY:
            return self.turned_away(Verdict.UNAVAILABLE)
        return Inside(_capabilities(attributes))


def _attributes(entry: Element) -> Attributes:
    """The attributes of a SearchResultEntry (RFC 4511 §4.5.2), by their names in lower case."""
    found: Attributes = {}
    match entry.holds():
        case (Element(tag=Tag.OCTET_STRING), Element(tag=Tag.SEQUENCE) as listed, *_):
            for attribute in listed.holds():
                match attribute.holds():
                    case (Element(tag=Tag.OCTET_STRING, content=name), Element(tag=Tag.SET) as values):
                        found[name.lower()] = [value.content for value in values.holds()]
                    case _:
                        raise Violation("not an attribute", attribute.content)
        case _:
            raise Violation("not an entry", entry.content)
    if sum(map(len, found.values())) > MAX_VALUES:
        raise LimitExceeded
    return found


def _capabilities(attributes: Attributes) -> Capabilities | None:
    """Extensions by their OIDs, and mechanisms; None where the server told neither."""
    if not attributes.keys() & {_EXTENSIONS, _MECHANISMS}:
        return None
    mechanisms = dict.fromkeys(map(upper, shown(attributes.get(_MECHANISMS, ()))))
    return Capabilities(shown(attributes.get(_EXTENSIONS, ())), tuple(mechanisms))
