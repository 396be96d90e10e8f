"""masscan's JSON, element by element."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from targets.masscan import ElementSplitter
from targets.parse import MAX_LINE_BYTES
from tests.targets.forms import SAMPLES, named, told

OPEN = (
    '{ "ip": "1.1.1.%d",   "timestamp": "1", "ports": [ {"port": 25, "proto": "tcp", "status": "open", "ttl": 64} ] }'
)
ONE, TWO = OPEN % 1, OPEN % 2
TARGETS = ["1.1.1.1/32 smtp:25", "1.1.1.2/32 smtp:25"]


@pytest.mark.parametrize(
    "content",
    [
        f"[\n{ONE}\n,\n{TWO}\n]\n",  # 1.3
        f"[\n{ONE},\n{TWO}\n]\n",
        f"[{ONE},{TWO}]",
        f"{ONE}\n{TWO}\n",
        "[\n" + f"{ONE},\n{TWO}".replace(",", ",\n  ").replace("{", "{\n\t") + "]",
        f"[\n{ONE},\n{TWO},\n]\n",
    ],
)
def test_elements(content: str) -> None:
    """However the elements are set, each is one, and the framing counts as nothing."""
    assert told(named(content)) == TARGETS


@pytest.mark.parametrize("finished", ["{finished: 1}", '{"finished": 1}', "{ finished : 1 }"])
def test_the_end_of_old_versions(finished: str) -> None:
    """The last element of versions up to 1.0 counts as a comment."""
    assert told(named(f"{ONE},\n{TWO},\n{finished}\n]\n")) == [*TARGETS, None]


def test_ports() -> None:
    """Each port of an element counts; those that are closed, not TCP, or a banner name nothing."""
    ports = '{"port": 25, "proto": "tcp", "status": "open"}, {"port": 26, "proto": "tcp", "status": "closed"}'
    banner = '{"port": 25, "proto": "tcp", "service": {"name": "smtp", "banner": "220 {\\u0022"}}'
    dns = '{"port": 53, "proto": "udp", "status": "open"}'
    answers = named('[{"ip": "1.1.1.1", "ports": [' + f"{ports}, {banner}, {dns}" + "]}]")
    assert told(answers) == ["1.1.1.1/32 smtp:25", None, None, None]
    assert told(named('[{"ip": "1.1.1.1", "ports": []}]')) == [None]


@pytest.mark.parametrize(
    ("element", "why"),
    [
        ("{}", "not an element of masscan's JSON"),
        ('{"ip": 7, "ports": []}', "not an element of masscan's JSON"),
        ('{"ip": "1.1.1.1", "ports": 25}', "not an element of masscan's JSON"),
        ('{"ip": "1.1.1.1", "ports": [{"port": "25"}]}', "a port of the element has no number"),
        ('{"ip": "1.1.1.1", "ports": [25]}', "a port of the element has no number"),
        ('{"ip": "a.example", "ports": [{"port": 25, "status": "open"}]}', "'a.example' in the address column"),
        ('{"ip": "1.1.1.1", "ports": [}', "not JSON"),
        ('{"ip": "1.1.1.1}', "not JSON"),
        ("hello", "not JSON"),
        ('"{', "not JSON"),
        ("}", "not JSON"),
        ('{"ip": "' + "1" * MAX_LINE_BYTES, "the line is longer than"),
        ("x" * MAX_LINE_BYTES * 2, "the line is longer than"),
    ],
)
def test_what_is_no_element(element: str, why: str) -> None:
    """What is not an element, or not closed, is a rejection; the next but one is read as if it had not been there."""
    first, *_, last = told(named(f"[\n{ONE},\n{element},\n{ONE},\n{TWO}\n]"))
    assert (first, last) == tuple(TARGETS) or element.count('"') % 2
    rejected = [each for each in told(named(f"[\n{element}")) if each]
    assert len(rejected) == 1
    assert rejected[0].startswith(why)


def test_an_array_that_breaks_off() -> None:
    """A masscan that was killed leaves half an element, which is a rejection."""
    *whole, half = named((SAMPLES / "masscan.json").read_bytes()[:-20])
    assert len(whole) == 11
    assert (told([half])[0] or "").startswith("not JSON")


@given(
    st.lists(st.sampled_from(['{"ip": "a}{", "p": 1}', '"', "{", "}", "\\", ",", "\n", " ", "[]", "x"]), max_size=20)
)
def test_any_pieces(words: list[str]) -> None:
    """However the bytes come, the elements are the same, and nothing but framing is lost."""
    content = "".join(words).encode()
    splitter = ElementSplitter()
    whole = [*splitter.feed(content), *splitter.end()]
    splitter = ElementSplitter()
    bytewise = [each for at in range(len(content)) for each in splitter.feed(content[at : at + 1])] + [*splitter.end()]
    assert bytewise == whole
    framing = bytes.maketrans(b"", b"")
    kept = b"".join(element for _, element in whole).translate(framing, b" \n,[]")
    assert kept == content.translate(framing, b" \n,[]")


def test_memory_is_bounded() -> None:
    """An element that never ends is kept as one byte more than the cap."""
    splitter = ElementSplitter(10)
    assert [element for _, element in splitter.feed(b"{" + b"x" * 1000)] == []
    assert list(splitter.feed(b"y" * 1000 + b"\n{}")) == [(1, b"{xxxxxxxxxx"), (2, b"{}")]
