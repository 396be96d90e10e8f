"""Shares of an input: together they are the whole, and none has what another has, however the input is made."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_network
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from dns.rdatatype import RdataType
from hypothesis import given, settings
from hypothesis import strategies as st

from targets.domain_targets import DomainTargets
from targets.estimate import estimate
from targets.exclude import Exclusions
from targets.expand import CHUNK, Expander, Item
from targets.network import Row, Span, size
from targets.prefixes import Prefixes, share_of
from targets.resolver import Resolver
from targets.rules import Rules
from targets.seen import Seen
from targets.services import SERVICES, services_named
from targets.shares import WHOLE, Share
from targets.source import Source
from targets.target import Endpoint, Network, Origin, Rejection
from tests.peers.answers import Answers, Said

NAMES = [f"mx{number}.test" for number in range(5)]
DOMAINS = [f"d{number}.test" for number in range(4)]
HOSTS = {"mx:d0.test": NAMES[:2], "mx:d1.test": NAMES[3:4], "srv:d1.test": NAMES[2:3]}
ADDRESSES = 3  # of each name that may be scanned, by the one service that a domain asks for there


TABLE: Mapping[str, Said] = {
    **{f"{name} A": [f"20.{number}.{each}.1" for each in range(3)] for number, name in enumerate(NAMES[:3])},
    "mx3.test A": ["10.0.0.1", "20.3.0.1"],  # the first is blocked
    "mx3.test AAAA": ["2a00:1::1", "2a00:2:1::1"],
    "d0.test MX": ["10 mx0.test.", "20 mx1.test."],
    "d1.test MX": ["10 mx3.test."],
    "d2.test MX": ["0 ."],
    "_imaps._tcp.d1.test SRV": ["0 0 993 mx2.test."],
}


@dataclass(frozen=True, slots=True)
class Came:
    """What a share gave."""

    endpoints: Counter[str]
    domains: Counter[str]
    rejections: Counter[tuple[str | None, ...]]  # of single addresses, lines and networks
    duplicates: int  # endpoints that were there already
    lines: tuple[int, int, int, int, int]  # read, blank, expanded, rejected, those of other shares
    elsewhere: int
    source: Source


async def came(lines: Sequence[str], share: Share, rules: Rules | None = None, services: str = "smtp,imaps") -> Came:
    """All of a share of these lines."""
    expander = Expander(
        Exclusions(block=[ip_network("20.9.1.0/24")]),
        Seen(),
        Answers(TABLE),
        seed=7,
        ipv6_most=rules.ipv6_most if rules else None,
        share=share,
    )
    with TemporaryDirectory() as directory:
        path = Path(directory) / "in.txt"
        path.write_text("".join(f"{line}\n" for line in lines))
        source = Source(services_named(services), expander, inputs=[str(path)], rules=rules)
        async with source.open() as stream:
            items = [item async for item in stream]
    counts = source.counts
    return Came(
        Counter(_endpoints(items)),
        Counter(item.answer.domain.id for item in items if isinstance(item, DomainTargets) and item.is_own),
        Counter(_rejections(items)),
        sum(item.count or 1 for item in items if isinstance(item, Rejection) and item.reason == "duplicate"),
        (counts.lines, counts.blank, counts.expanded, counts.rejected, counts.elsewhere),
        expander.elsewhere,
        source,
    )


def _endpoints(items: Iterable[Item]) -> Iterable[str]:
    for item in items:
        if isinstance(item, Endpoint):
            yield item.id
        elif isinstance(item, DomainTargets):
            yield from (endpoint.id for endpoint in item.fresh)


def _rejections(items: Iterable[Item]) -> Iterable[tuple[str | None, ...]]:
    for item in items:
        if isinstance(item, Rejection) and item.reason != "duplicate":
            yield (item.origin.input, str(item.origin.line), item.reason, item.address, str(item.count))


LINES = st.lists(
    st.one_of(
        st.sampled_from(NAMES),
        st.sampled_from([f"mx:{name}" for name in (*DOMAINS, "absent.test")]),
        st.sampled_from([f"srv:{name}" for name in ("d1.test",)]),
        st.sampled_from(["", "# nothing", "no host!", "10.0.0.7", "20.9.1.1", "[2a00::1]:25", "absent.test"]),
        st.integers(0, 2**10).map(lambda number: f"20.9.{number >> 8}.{number & 255}"),
        st.sampled_from(["20.9.0.0/23", "20.9.0.0/25", "20.9.2.0/22", "9.255.255.0/22", "2a00:1::/120", "2a00::/46"]),
    ),
    max_size=12,
)


@settings(max_examples=60, deadline=None)
@given(LINES, st.integers(1, 9), st.sampled_from([Prefixes(), Prefixes(28, 64), Prefixes(12, 32)]))
async def test_the_union_of_all_shares_is_the_whole(lines: list[str], of: int, prefixes: Prefixes) -> None:
    """Endpoints, domains and rejections, each exactly once; duplicates add up; and each line counts in one share."""
    rules = Rules(ipv6_most=5)
    whole = await came(lines, WHOLE, rules)
    shares = [await came(lines, Share(number, of, prefixes), rules) for number in range(1, of + 1)]
    assert sum((each.endpoints for each in shares), Counter()) == whole.endpoints
    assert set(whole.endpoints.values()) <= {1}
    assert sum((each.domains for each in shares), Counter()) == whole.domains
    assert sum((each.rejections for each in shares), Counter()) == whole.rejections
    # What a domain and a name have in common is a duplicate only where the answers about the domain came first.
    racing = [line for line in lines if any(line in HOSTS.get(other, ()) for other in lines)]
    assert abs(sum(each.duplicates for each in shares) - whole.duplicates) <= ADDRESSES * len(racing)
    assert {each.lines[:2] for each in shares} == {whole.lines[:2]}
    assert all(each.lines[0] == sum(each.lines[1:]) for each in shares)
    assert whole.lines[1] + sum(each.lines[2] + each.lines[3] for each in shares) == whole.lines[0]
    for number, each in enumerate(shares):
        for endpoint in each.endpoints:
            address = endpoint.rpartition("@")[2].rpartition("//")[2]
            address = address.strip("[").partition("]")[0] if "[" in address else address.partition(":")[0]
            assert share_of(prefixes.network_of(address), of) == number


async def test_each_line_counts_as_in_a_whole_run() -> None:
    """By what its first address that may be scanned is to its share; without one, by its text."""
    lines = [*NAMES, "10.0.0.7", "20.9.0.1", "20.9.0.1", "20.0.0.0/22", "no host!", "mx:d0.test", "mx:d0.test", ""]
    whole = await came(lines, WHOLE)
    shares = [await came(lines, Share(number, 5)) for number in range(1, 6)]
    assert (whole.lines[2], whole.lines[3]) == (7, 5)
    assert (sum(each.lines[2] for each in shares), sum(each.lines[3] for each in shares)) == (7, 5)


async def test_what_falls_to_others_is_counted() -> None:
    """Of networks, of single addresses, of names and of mail domains."""
    lines = ["20.9.4.0/22", "20.9.2.1", "mx0.test", "mx:d1.test"]
    whole = await came(lines, WHOLE, services="smtp")
    for number in (1, 2, 3):
        share = await came(lines, Share(number, 3), services="smtp")
        assert share.elsewhere == whole.endpoints.total() - share.endpoints.total()
    assert whole.elsewhere == 0


async def test_ipv6_most_takes_the_same_addresses_in_every_share() -> None:
    """The order of the seed decides, and that is of the whole network: each share has what falls to it of those."""
    lines, rules = ["2a00::/40"], Rules(ipv6_most=300)
    whole = await came(lines, WHOLE, rules, "smtp")
    shares = [await came(lines, Share(number, 4), rules, "smtp") for number in range(1, 5)]
    assert sum((each.endpoints for each in shares), Counter()) == whole.endpoints
    assert whole.endpoints.total() == 300
    assert all(20 < each.endpoints.total() < 150 for each in shares)
    assert sum((each.rejections for each in shares), Counter()) == whole.rejections


async def test_a_domain_of_another_share_is_asked_for_no_more_than_its_endpoints_need() -> None:
    """Its hosts, and the TLSA records of those that have an address in this share: what matches them is seen here."""
    table = {**TABLE, "_25._tcp.mx0.test TLSA": ["3 1 1 " + "00" * 32], "_mta-sts.d0.test TXT": ['"v=STSv1; id=1"']}
    asked, own = Counter[str](), Counter[str]()
    for number in range(1, 10):
        share, resolver = Share(number, 9), Answers(table)
        source = Source(
            services_named("smtp"), Expander(Exclusions(), Seen(), resolver, share=share), targets=["mx:d0.test"]
        )
        async with source.open() as stream:
            items = [item async for item in stream]
        has_address = any(share.has_address(f"20.{host}.{each}.1") for host in (0, 1) for each in range(3))
        assert bool(items) == (share.has_name("d0.test") or has_address)
        asked.update(resolver.asked.keys())
        own[RdataType.to_text(RdataType.TXT)] += any(question.endswith("TXT") for question in resolver.asked)
        if not share.has_name("d0.test"):
            hosts = {n for n in (0, 1) if any(share.has_address(f"20.{n}.{each}.1") for each in range(3))}
            assert {question for question in resolver.asked if "TLSA" in question} == {
                f"_25._tcp.mx{host}.test TLSA" for host in hosts
            }
    assert own == {"TXT": 1}
    assert (asked["d0.test MX"], asked["mx0.test A"]) == (9, 9)


@given(st.lists(st.tuples(st.integers(1, 900), st.integers(1, 900)), max_size=8))
def test_a_row_has_every_address_once(steps: list[tuple[int, int]]) -> None:
    """In any order; spans that touch are one."""
    spans: list[Span] = []
    end = 2**33
    for gap, length in steps:
        first = end + gap - 1
        spans.append((first, first + length - 1))
        end = first + length
    row = Row()
    for span in spans:
        row.add(*span)
    assert len(row) == size(spans)
    assert [value for first, last in row.spans() for value in range(first, last + 1)] == [
        value for first, last in spans for value in range(first, last + 1)
    ]
    assert sorted(row.addresses(b"key")) == [value for first, last in spans for value in range(first, last + 1)]


def test_others_may_run_while_networks_are_dealt() -> None:
    """A share of a /8 begins with chunks that hold nothing, and then has full ones."""
    expander = Expander(Exclusions(), Seen(), Resolver(resolv_conf="/nonexistent"), share=Share(3, 4))
    target = Network(Origin("20.0.0.0/8"), ip_network("20.0.0.0/8"), ((SERVICES["smtp"], 25),))
    chunks = expander.chunks(target)
    first = list(islice(chunks, 40))
    assert [len(chunk) for chunk in first] == [*[0] * 16, *[CHUNK] * 24]
    assert all(
        expander.share.has_address(item.address) for chunk in first for item in chunk if isinstance(item, Endpoint)
    )


def test_very_many_networks_are_dealt_in_several_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that memory stays within its bound; nothing is lost between them."""
    monkeypatch.setattr("targets.shares.MOST_OF_A_ROW", 100)
    share = Share(1, 3, Prefixes(ipv4=32))
    rows = [row for row in share.rows(4, [(1000, 1999)]) if row is not None]
    found = [value for row in rows for value in row.addresses(b"")]
    assert len(rows) == 11
    assert sorted(found) == [
        value for value in range(1000, 2000) if share.has_address(f"0.0.{value >> 8}.{value & 255}")
    ]


@settings(deadline=None)
@given(LINES.filter(lambda lines: all("test" not in line for line in lines)), st.integers(1, 5))
async def test_what_is_announced_is_what_comes(lines: list[str], of: int) -> None:
    """Each share tells before how many endpoints it has."""
    lines = [line for line in lines if "::/46" not in line]
    for number in range(1, of + 1):
        share = Share(number, of)
        with TemporaryDirectory() as directory:
            path = Path(directory) / "in.txt"
            path.write_text("".join(f"{line}\n" for line in lines))
            told = estimate(
                services_named("smtp,imaps"),
                Exclusions(block=[ip_network("20.9.1.0/24")]),
                [],
                [str(path)],
                share=share,
            )
        assert told == (await came(lines, share)).endpoints.total()


def test_networks_that_are_far_apart() -> None:
    """The two ends of IPv6 are in one input."""
    services, networks = (
        services_named("smtp"),
        [f"{prefix}:{n}::/120" for n in range(4) for prefix in ("2a00", "fd00")],
    )
    exclusions = Exclusions(allow=[ip_network("::/0")])
    told = [estimate(services, exclusions, networks, [], share=Share(number, 2)) for number in (1, 2)]
    assert sum(each or 0 for each in told) == 8 * 256


def test_what_would_take_long_is_not_announced() -> None:
    """More networks than can be dealt in a moment."""
    services = services_named("smtp")
    assert estimate(services, Exclusions(), ["20.0.0.0/8"], [], share=Share(1, 2)) is not None
    assert estimate(services, Exclusions(), ["20.0.0.0/6"], [], share=Share(1, 2)) is None
    assert estimate(services, Exclusions(), ["20.0.0.0/6"], [], share=Share(1, 1)) == 2**26
