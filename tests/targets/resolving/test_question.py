"""Questions as bytes, held against dnspython's own reading of them."""

import dns.flags
import dns.message
import dns.name
import pytest
from dns.rdatatype import RdataType
from hypothesis import given
from hypothesis import strategies as st

from targets.resolving.question import UDP_PAYLOAD_BYTES, InvalidNameError, question_of

LABELS = st.text("abcdefghijklmnopqrstuvwxyz0123456789-_", min_size=1, max_size=63)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("mx.example.org", RdataType.A),
        ("MX.Example.ORG.", RdataType.AAAA),
        ("_25._tcp.mx.example.org", RdataType.TLSA),
        ("xn--bcher-kva.example", RdataType.MX),
        ("", RdataType.SOA),  # the root
        (r"a\.b.example", RdataType.TXT),
        (r"\000\255.example", RdataType.TXT),
    ],
)
def test_a_query(name: str, kind: RdataType) -> None:
    """A query reads as what it asks: recursion, AD, EDNS of 1,232 bytes, and no signatures (RFC 6840 §5.7)."""
    query = dns.message.from_wire(question_of(name, kind).query(0xBEEF))
    (asked,) = query.question
    assert (asked.name, asked.rdtype) == (dns.name.from_text(name.lower()), kind)
    assert query.id == 0xBEEF
    assert query.flags == dns.flags.RD | dns.flags.AD
    assert (query.edns, query.payload, query.ednsflags) == (0, UDP_PAYLOAD_BYTES, 0)


def test_queries_of_other_kinds() -> None:
    """Without EDNS there is no OPT; with checking disabled there is CD."""
    question = question_of("example.org", RdataType.A)
    assert dns.message.from_wire(question.query(1, edns=False)).edns == -1
    unchecked = dns.message.from_wire(question.query(1, checking_disabled=True))
    assert unchecked.flags == dns.flags.RD | dns.flags.AD | dns.flags.CD


@given(st.lists(LABELS, min_size=1, max_size=6))
def test_any_name(labels: list[str]) -> None:
    """Written by hand, a name is what the library makes of it; or too long for both."""
    name = ".".join(labels)
    try:
        expected = dns.name.from_text(f"{name}.").to_wire()
    except dns.name.NameTooLong:
        with pytest.raises(InvalidNameError):
            question_of(name, RdataType.A)
    else:
        assert question_of(name, RdataType.A).qname == expected


@pytest.mark.parametrize(
    "name", ["a..b", ".a", "a" * 64, "a." * 127 + "aa", "\\", "é" * 40, ".", "a\\", f"{'a' * 64}.b"]
)
def test_what_is_no_name(name: str) -> None:
    """Empty labels, labels over 63 and names over 255 bytes are not in the DNS (RFC 1035 §2.3.4)."""
    if name == ".":
        assert question_of(name, RdataType.A).qname == b"\0"
        return
    with pytest.raises(InvalidNameError):
        question_of(name, RdataType.A)
