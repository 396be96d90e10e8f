"""Replies, read from bytes that dnspython wrote, or that somebody forged."""

import struct

import dns.flags
import dns.message
import dns.rcode
import pytest
from dns.rdatatype import RdataType
from hypothesis import example, given
from hypothesis import strategies as st

from targets.resolving.question import Question, question_of
from targets.resolving.reply import MAX_ALIASES, MAX_RECORDS, MalformedError, Reply, is_reply_to, name_text, read_reply
from tests.targets.resolving.replies import NUMBER, SOA, failure, question, response

A = question()


def read(wire: bytes, asked: Question = A) -> Reply:
    assert is_reply_to(wire, asked)
    return read_reply(wire, asked)


def texts(reply: Reply) -> list[str]:
    return [record.to_text() for record in reply.records]


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        (RdataType.A, ["192.0.2.1", "192.0.2.2"]),
        (RdataType.AAAA, ["2001:db8::1"]),
        (RdataType.MX, ["10 mx1.mx.example.", "20 mx2.elsewhere.test."]),
        (RdataType.TXT, ['"v=STSv1; id=1;"', '"two" "strings"']),
        (RdataType.TLSA, ["3 1 1 " + "ab" * 32]),
        (RdataType.SRV, ["0 1 993 imap.mx.example."]),
        (RdataType.CNAME, ["end.example."]),
    ],
)
def test_records(kind: RdataType, data: list[str]) -> None:
    """Records of every type that is asked for come as the library's values."""
    asked = question("mx.example", kind)
    reply = read(response(asked, *(f"mx.example. 60 {kind.name} {each}" for each in data)).to_wire(), asked)
    assert texts(reply) == data
    assert (reply.rcode, reply.ttl, reply.aliases, reply.authenticated) == (0, 60, 0, False)


def test_copies_count_once() -> None:
    """A record that comes twice, compressed or not, is one (RFC 2181 §5)."""
    asked = question("mx.example", RdataType.MX)
    twice = response(asked, "mx.example. 60 MX 10 a.mx.example.").to_wire()
    header, record = twice[:12], twice[12 + len(asked.wire) : -11]
    copy = record[: -len(b"\1a\xc0\x0c")] + b"\1A\2mx\7example\0"
    copy = copy[:10] + (2 + 14).to_bytes(2, "big") + copy[12:]
    wire = header[:6] + b"\0\2\0\0\0\0" + asked.wire + record + copy
    assert texts(read(wire, asked)) == ["10 a.mx.example."]


def test_an_answer_has_a_bound() -> None:
    """A thousand records are an answer; more only take time and memory."""
    record = b"\xc0\x0c" + struct.pack("!2HIH", RdataType.A, 1, 60, 4)
    for count in (MAX_RECORDS, MAX_RECORDS + 1):
        answer = b"".join(record + struct.pack("!I", number) for number in range(count))
        wire = struct.pack("!6H", NUMBER, 0x8180, 1, count, 0, 0) + A.wire + answer
        if count == MAX_RECORDS:
            assert len(read(wire).records) == count
        else:
            with pytest.raises(MalformedError, match="more than 1,000 records"):
                read(wire)


def test_a_chain_of_aliases() -> None:
    """Records at the end of a chain are the answer, whatever the order; its TTL is the least of all."""
    reply = read(
        response(
            A,
            "end.example. 50 A 192.0.2.1",
            "middle.example. 9 CNAME END.example.",
            "mx.example. 60 CNAME middle.example.",
            "stranger.example. 1 A 192.0.2.66",
        ).to_wire()
    )
    assert (texts(reply), name_text(reply.end), reply.aliases, reply.ttl) == (["192.0.2.1"], "end.example", 2, 9)


@pytest.mark.parametrize("length", [1, MAX_ALIASES, MAX_ALIASES + 1, 40])
def test_a_chain_has_a_bound(length: int) -> None:
    """A chain is followed for 16 links, and not for ever where it is a circle."""
    chain = [f"n{number}.example. 60 CNAME n{number + 1}.example." for number in range(length)]
    asked = question("n0.example")
    reply = read(response(asked, *chain, f"n{length}.example. 60 A 192.0.2.1").to_wire(), asked)
    assert (reply.aliases, bool(reply.records)) == (min(length, MAX_ALIASES), length <= MAX_ALIASES)
    circle = read(response(A, "mx.example. 60 CNAME b.example.", "b.example. 60 CNAME mx.example.").to_wire())
    assert (circle.aliases, circle.records) == (MAX_ALIASES, ())


@pytest.mark.parametrize(("ttl", "minimum", "expected"), [(300, 60, 60), (30, 60, 30), (300, 2**31, 0), (300, 0, 0)])
def test_a_denial(ttl: int, minimum: int, expected: int) -> None:
    """What is not there is not there for the lesser of the SOA's TTL and its last number (RFC 2308 §5)."""
    soa = f"example. {ttl} SOA ns.example. root.example. 1 2 3 4 {minimum}"
    reply = read(response(A, authority=(soa,)).to_wire())
    assert (reply.ttl, reply.has_soa, reply.is_referral, reply.records) == (expected, True, False, ())


def test_a_large_ttl_is_none() -> None:
    """A TTL with its highest bit set is 0 (RFC 2181 §8)."""
    wire = bytearray(response(A, "mx.example. 60 A 192.0.2.1").to_wire())
    place = wire.index((60).to_bytes(4, "big"))
    wire[place] = 0x80
    assert read(bytes(wire)).ttl == 0


def test_a_referral() -> None:
    """Name servers instead of an answer are a referral, unless who says so has the zone (RFC 2308 §2.2)."""
    referral = response(A, authority=("example. 60 NS ns.example.",))
    assert read(referral.to_wire()).is_referral
    referral.flags |= dns.flags.AA
    assert not read(referral.to_wire()).is_referral
    answer = response(A, "mx.example. 60 A 192.0.2.1", authority=("example. 60 NS ns.example.",))
    assert not read(answer.to_wire()).is_referral


def test_errors() -> None:
    """The whole rcode and the extended errors are read (RFC 6891 §6.1.3, RFC 8914 §2)."""
    assert read(failure(A, dns.rcode.SERVFAIL, 6, 22).to_wire()).extended_errors == (6, 22)
    assert read(failure(A, dns.rcode.BADVERS).to_wire()).rcode == dns.rcode.BADVERS
    assert read(failure(A, dns.rcode.REFUSED).to_wire()).rcode_text == "REFUSED"


def test_flags() -> None:
    """AD and TC are told; of a truncated reply nothing else is read, as it may be cut anywhere."""
    made = response(A, "mx.example. 60 A 192.0.2.1")
    made.flags |= dns.flags.AD
    assert read(made.to_wire()).authenticated
    made.flags |= dns.flags.TC
    assert read(made.to_wire()[:-5]) == Reply(0, truncated=True)


@pytest.mark.parametrize("rcode", [dns.rcode.FORMERR, dns.rcode.NOTIMP])
def test_an_error_without_the_question(rcode: dns.rcode.Rcode) -> None:
    """A server that could not read the question need not repeat it; but an answer must."""
    header = struct.Struct("!6H")
    assert read(header.pack(NUMBER, 0x8180 | rcode, 0, 0, 0, 0)).rcode == rcode
    assert not is_reply_to(header.pack(NUMBER, 0x8180, 0, 0, 0, 0), A)


def test_what_is_no_reply() -> None:
    """Another question, a query, another operation and half a header are not the reply."""
    good = response(A, "mx.example. 60 A 192.0.2.1").to_wire()
    others = [question("my.example"), question("mx.example", RdataType.AAAA), question("a.mx.example")]
    assert is_reply_to(good.replace(b"\2mx", b"\2MX", 1), A)
    assert not any(is_reply_to(good, other) for other in others)
    assert not is_reply_to(A.query(NUMBER), A)
    assert not is_reply_to(good[:2] + bytes([good[2] | 0x28]) + good[3:], A)  # UPDATE
    assert not any(is_reply_to(good[:length], A) for length in range(12 + len(A.wire)))


def test_anything_that_is_cut_or_longer_is_malformed() -> None:
    """A reply is read to its last byte, or not at all."""
    good = response(A, "mx.example. 60 CNAME b.example.", "b.example. 60 A 192.0.2.1", authority=(SOA,)).to_wire()
    for length in range(12 + len(A.wire), len(good)):
        with pytest.raises(MalformedError):
            read(good[:length])
    with pytest.raises(MalformedError):
        read(good + b"\0")


def _with_answer(answer: bytes) -> bytes:
    return struct.pack("!6H", NUMBER, 0x8180, 1, 1, 0, 0) + A.wire + answer


FIXED = struct.pack("!2HIH", RdataType.A, 1, 60, 4) + b"\xc0\0\2\1"


@pytest.mark.parametrize(
    "answer",
    [
        b"\xc0\xff" + FIXED,  # a pointer forwards
        b"\xc0" + bytes([12 + len(A.wire)]) + FIXED,  # to itself
        b"\x40a\0" + FIXED,  # a label of a kind that there is not
        b"\1a" * 128 + b"\0" + FIXED,  # 257 bytes
        b"\xc0\x0c" + FIXED.replace(b"\0\4\xc0", b"\0\3\xc0")[:-1],  # an address of three bytes
        b"\xc0\x0c" + struct.pack("!2HIH", RdataType.A, 1, 60, 5) + b"\xc0\0\2\1\1",
        b"\xc0\x0c" + struct.pack("!2HIH", RdataType.CNAME, 1, 60, 4) + b"\1a\0\0",
        b"\xc0\x0c" + struct.pack("!2HIH", RdataType.CNAME, 1, 60, 0),
    ],
)
def test_malformed_answers(answer: bytes) -> None:
    """Names that lead astray and data that are not as long as they say are malformed."""
    with pytest.raises(MalformedError):
        read(_with_answer(answer))


@pytest.mark.parametrize(("length", "is_kept"), [(3, True), (12, True), (2, False)])
def test_tlsa_data_of_a_wrong_length(length: int, is_kept: bool) -> None:
    """It is the domain's mistake, and not the message's: it is kept as it came, unless it is no TLSA record at all."""
    asked, data = question("mx.example", RdataType.TLSA), bytes(range(1, length + 1))
    answer = b"\xc0\x0c" + struct.pack("!2HIH", RdataType.TLSA, 1, 60, length) + data
    wire = struct.pack("!6H", NUMBER, 0x8180, 1, 1, 0, 0) + asked.wire + answer
    if is_kept:
        assert [(record.rdtype, record.to_wire()) for record in read(wire, asked).records] == [(RdataType.TLSA, data)]
    else:
        with pytest.raises(MalformedError):
            read(wire, asked)


def test_records_of_another_class() -> None:
    """What is not of the Internet is no answer."""
    assert read(_with_answer(b"\xc0\x0c" + FIXED.replace(b"\0\1\0\1", b"\0\1\0\3"))).records == ()


@given(st.binary(max_size=80), st.sampled_from([RdataType.A, RdataType.MX, RdataType.TXT, RdataType.TLSA]))
@example(b"", RdataType.A)
def test_any_bytes(tail: bytes, kind: RdataType) -> None:
    """Whatever stands behind header and question is a reply or malformed."""
    asked = question_of("mx.example", kind)
    for counts in ((1, 0, 0), (0, 1, 0), (0, 0, 1), (2, 1, 1)):
        wire = struct.pack("!6H", NUMBER, 0x8180, 1, *counts) + asked.wire + tail
        try:
            reply = read(wire, asked)
        except MalformedError:
            continue
        assert all(record.rdtype == kind for record in reply.records)


@given(st.data())
def test_altered_replies(data: st.DataObject) -> None:
    """A reply with one byte changed is one that dnspython reads too, or malformed."""
    wire = bytearray(
        response(A, "mx.example. 60 CNAME b.example.", "b.example. 60 A 192.0.2.1", authority=(SOA,)).to_wire()
    )
    wire[data.draw(st.integers(12 + len(A.wire), len(wire) - 1))] = data.draw(st.integers(0, 255))
    try:
        reply = read(bytes(wire))
    except MalformedError:
        return
    assert reply.aliases <= 1
    assert len(reply.records) <= 1
