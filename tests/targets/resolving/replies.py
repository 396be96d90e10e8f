"""Replies for tests, made by dnspython."""

import dns.edns
import dns.flags
import dns.message
import dns.rcode
import dns.rrset
from dns.rdatatype import RdataType

from targets.resolving.question import Question, question_of

NUMBER = 0x1234
SOA = "example. 300 SOA ns.example. root.example. 1 2 3 4 60"


def question(name: str = "mx.example", kind: RdataType = RdataType.A) -> Question:
    """The question of most tests."""
    return question_of(name, kind)


def response(asked: Question, *answer: str, authority: tuple[str, ...] = ()) -> dns.message.Message:
    """A response with these records, such as `mx.example. 60 A 192.0.2.1`."""
    made = dns.message.make_response(dns.message.from_wire(asked.query(NUMBER)), recursion_available=True)
    made.answer.extend(map(rrset, answer))
    made.authority.extend(map(rrset, authority))
    return made


def rrset(text: str) -> dns.rrset.RRset:
    """One record."""
    owner, ttl, kind, data = text.split(" ", 3)
    return dns.rrset.from_text(owner, int(ttl), "IN", kind, data)


def failure(asked: Question, rcode: dns.rcode.Rcode, *extended_errors: int) -> dns.message.Message:
    """A response with an error."""
    made = response(asked)
    made.use_edns(0, options=[dns.edns.EDEOption(dns.edns.EDECode.make(code)) for code in extended_errors])
    made.set_rcode(rcode)
    return made
