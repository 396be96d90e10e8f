"""nmap's XML as a stream."""

import tracemalloc
from itertools import islice

import pytest

from targets.nmap import XmlReader
from targets.target import FormatError
from tests.targets.forms import SAMPLES, named, told

HEAD = b"<nmaprun><host><address addr='00:00:5E:00:53:01' addrtype='mac'/><address addr='1.1.1.1' addrtype='ipv4'/>"
OPEN = b"<port protocol='tcp' portid='25'><state state='open'/></port>"
TAIL = b"</host></nmaprun>"


def document(inner: bytes) -> list[str | None]:
    return told(named(HEAD + inner + TAIL))


def test_ports() -> None:
    """Open TCP ports are targets, each at its host's address; others count and name nothing."""
    assert document(OPEN) == ["1.1.1.1/32 smtp:25"]
    assert document(OPEN.replace(b"tcp", b"udp") + OPEN.replace(b"open", b"filtered")) == [None, None]
    assert document(b"<port protocol='tcp' portid='25'/>" + OPEN) == [None, "1.1.1.1/32 smtp:25"]
    assert document(OPEN.replace(b"25", b"x")) == ["'x' is not a port; ports are numbers from 1 to 65535"]
    assert document(b"") == [None]


def test_names() -> None:
    """The name that was given to nmap is sent as SNI; that of a PTR record is a tag, with nothing raw in it."""
    names = (
        "<hostnames><hostname name='a.example' type='user'/><hostname name='p\u2028.example' type='PTR'/></hostnames>"
    )
    (answer,) = named(HEAD + names.encode() + OPEN + TAIL)
    assert told([answer]) == ["a.example@1.1.1.1 smtp:25"]
    assert answer is not None
    assert answer.origin.input == "a.example:25"
    assert answer.origin.tags == {"ptr": "p\\u2028.example"}


def test_hosts_do_not_mix() -> None:
    """A host without an address or a name has none of the one before."""
    content = HEAD + b"<hostname name='a.example' type='user'/>" + OPEN + b"</host><host>" + OPEN + TAIL
    assert told(named(content)) == ["a.example@1.1.1.1 smtp:25", "the line has neither a host nor an address"]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"<html></html>", "the XML is not nmap's: its root is 'html'"),
        (b"<!DOCTYPE nmaprun [<!ENTITY a 'b'>]><nmaprun>&a;</nmaprun>", "declares entities"),
        (b"<!DOCTYPE nmaprun [<!ENTITY a SYSTEM 'file:///etc/passwd'>]><nmaprun>&a;</nmaprun>", "declares entities"),
        (b"<!DOCTYPE nmaprun [<!ENTITY % a 'b'>%a;]><nmaprun/>", "declares entities"),
        (b"<!DOCTYPE nmaprun [<!ATTLIST port x CDATA 'y'>]><nmaprun/>", "declares attributes"),
        (b"<nmaprun>&a;</nmaprun>", "undefined entity"),
        (b"<nmaprun>" + b"<a>" * 100, "nested deeper"),
        (HEAD + OPEN, r"not well-formed XML \(no element found\)"),
        (HEAD + b"</nmaprun>", r"not well-formed XML \(mismatched tag\)"),
        (b"<nmaprun/>\n<nmaprun/>", r"not well-formed XML \(junk after document element\)"),
        (b"<nmaprun a='" + b"x" * 2_000_000, "longer than 1,048,576 bytes"),
        (b"<?xml version='1.0' encoding='klingon'?>\n<nmaprun a='\xfc'/>", r"not well-formed XML \(not well-formed"),
    ],
)
def test_what_is_not_nmaps(content: bytes, why: str) -> None:
    """What nmap never writes, and what is cut off, is said, with its line."""
    with pytest.raises(FormatError, match=why) as caught:
        named(content)
    assert caught.value.line in (1, 2)


def test_what_stands_before_a_mistake() -> None:
    """A port that was complete is a target, also where the same block of bytes goes wrong behind it."""
    found = XmlReader().feed(HEAD + OPEN + OPEN.replace(b"25", b"26") + b"</wrong>" + OPEN)
    assert [row.port for _, row in islice(found, 2) if row] == ["25", "26"]
    with pytest.raises(FormatError, match="mismatched tag"):
        next(found)


def test_an_nmap_that_was_stopped() -> None:
    """What stands before the place where the document breaks off is named."""
    content = (SAMPLES / "nmap.xml").read_bytes()
    reader = XmlReader()
    assert len(list(reader.feed(content[: content.index(b"127.0.0.3")]))) == 8
    with pytest.raises(FormatError, match="what stands before was read"):
        reader.end()


@pytest.mark.parametrize("block", [b"<a b='c'/>" * 6000, b"<!-- " + b"x" * 60_000 + b" -->", b"x" * 65_536])
def test_a_large_document_takes_no_memory(block: bytes) -> None:
    """A hundred blocks of whatever kind are read and not kept."""
    reader = XmlReader()
    list(reader.feed(b"<nmaprun>" + block * 2))
    tracemalloc.start()
    try:
        for _ in range(100):
            assert list(reader.feed(block)) == []
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()
