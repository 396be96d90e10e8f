"""What is remembered, for how long, and how much memory it takes."""

import tracemalloc

import pytest
from dns.rdatatype import RdataType

from targets.answer import DnsAnswer, DnsStatus
from targets.resolving.cache import ENTRY_BYTES, MAX_BYTES, RECORD_BYTES, Cache, Key
from targets.resolving.question import question_of
from targets.resolving.reply import read_reply
from tests.targets.resolving.replies import response

A = RdataType.A
ONE = ENTRY_BYTES + RECORD_BYTES  # an answer with one address


def answer(name: str = "mx.example", kind: RdataType = A, data: tuple[str, ...] = ("192.0.2.1",)) -> DnsAnswer:
    """As it comes from the wire, for a minute."""
    asked = question_of(name, kind)
    wire = response(asked, *(f"{name}. 60 {kind.name} {each}" for each in data)).to_wire(max_size=65535)
    return DnsAnswer(DnsStatus.OK, read_reply(wire, asked).records, ttl_s=60)


def test_an_answer_holds_for_its_ttl() -> None:
    """It is there until its time is over, and not of another type."""
    cache, kept = Cache(), answer()
    cache.put(("mx.example", A), kept, 100)
    assert cache.get(("mx.example", A), 159.9) is kept
    assert cache.get(("mx.example", A), 160) is None
    assert cache.get(("mx.example", RdataType.AAAA), 100) is None


def test_what_was_used_longest_ago_goes_first() -> None:
    """The bound is one of bytes; a use is a reason to stay."""
    cache, keys = Cache(3 * ONE), [(f"{number}.example", A) for number in range(4)]
    for key in keys[:3]:
        cache.put(key, answer(), 0)
    cache.get(keys[0], 1)
    cache.put(keys[3], answer(), 1)
    assert [cache.get(key, 1) is not None for key in keys] == [True, False, True, True]
    assert cache.bytes == 3 * ONE


def test_an_answer_replaces_the_one_before() -> None:
    """The same key is weighed once."""
    cache, key = Cache(), ("mx.example", A)
    for _ in range(3):
        cache.put(key, answer(), 0)
    assert (len(cache), cache.bytes) == (1, ONE)


def test_what_is_too_large_is_not_kept() -> None:
    """One huge answer does not drive out all others."""
    cache = Cache(3 * ONE)
    cache.put(("mx.example", A), answer(), 0)
    huge = answer("huge.example", RdataType.TXT, tuple(f'"{number}{"x" * 250}"' for number in range(20)))
    cache.put(("huge.example", RdataType.TXT), huge, 0)
    assert len(cache) == 1
    assert cache.get(("mx.example", A), 0)


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        (A, ("192.0.2.{}",)),
        (A, tuple(f"192.0.{each}.{{}}" for each in range(10))),
        (RdataType.AAAA, ("2001:db8::{}",)),
        (RdataType.MX, tuple(f"{each} mx{each}.host{{}}.example.net." for each in range(5))),
        (RdataType.MX, tuple(f"{each} {'a.' * 120}" for each in range(5))),
        (RdataType.SRV, ("0 1 993 imap.host{}.example.net.",)),
        (RdataType.TXT, ('"' + "x" * 200 + '{}"',)),
        (RdataType.TXT, (" ".join(['"' + "x" * 250 + '"'] * 16),)),
        (RdataType.TLSA, ("3 1 1 " + "ab" * 32,)),
        (RdataType.NS, ("ns{}.example.net.",)),
    ],
)
def test_memory(kind: RdataType, data: tuple[str, ...]) -> None:
    """No answer takes more than it is weighed."""
    labels = data[0].count(".")
    cache, count = Cache(), 20 if labels > 100 else 200  # so many labels take the library a tenth of a second to write
    names = [f"host-{number}.mail.some-example.org" for number in range(count)]
    wires = [
        response(question_of(name, kind), *(f"{name}. 60 {kind.name} {each.format(place)}" for each in data)).to_wire(
            max_size=65535
        )
        for place, name in enumerate(names)
    ]
    tracemalloc.start()
    try:
        for name, wire in zip(names, wires, strict=True):
            asked = question_of(f"{name}", kind)
            key: Key = (name.replace("host", "mail"), kind)
            cache.put(key, DnsAnswer(DnsStatus.OK, read_reply(wire, asked).records, ttl_s=60), 0.5)
        measured, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(cache) == count
    assert measured <= cache.bytes + 8_192  # its table of keys grows in steps


def test_how_many_fit() -> None:
    """At least 20,000 names with an address stay, in 16 MiB."""
    assert MAX_BYTES / ONE > 20_000
