"""What inputs stand for, before anybody is asked: as many as a scan takes on, and nothing that it leaves out."""

import os
from collections import Counter
from ipaddress import ip_network
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from targets.census import ENDPOINTS_OF_A_DOMAIN, Census, take_census
from targets.crowd import busiest
from targets.exclude import Exclusions
from targets.excluded import EMBEDDED, Excluders
from targets.expand import Expander
from targets.lines import InputError
from targets.prefixes import Prefixes
from targets.resolver import Resolver
from targets.rules import Format, Rules
from targets.seen import Seen
from targets.services import SERVICES, services_named
from targets.shares import Share
from targets.source import Source
from targets.target import Endpoint, Reason, Rejection
from tests.targets.packed import gzip_packed

ASKED = services_named("smtp,imap")
ALLOW = (ip_network("10.1.0.0/24"), ip_network("2001:db8::/32"))
BLOCK = (ip_network("1.1.1.128/30"), ip_network("2001:db8::7/128"))
LINES = st.lists(
    st.sampled_from(
        [
            *("1.1.1.1", "1.1.1.1:25", "1.1.1.0/24", "1.1.1.128/29", "1.1.1.129", "10.0.0.0/30", "10.1.0.0/23"),
            *("https://1.1.1.0/28", "192.0.2.1", "::ffff:10.0.0.1", "2001:db8::/120", "2001:db8::7", "2001:db8::8"),
            *("2001:db8::/64", "2001:db8::/64", "# nothing", "", "no host!", "tls://1.1.1.1"),
        ]
    ),
    max_size=12,
)


def new_census(rules: Rules | None = None) -> Census:
    """With nothing in it."""
    excluders = Excluders(ALLOW, {"ours": BLOCK[:1], "theirs": BLOCK})
    return Census(Exclusions(ALLOW, BLOCK), excluders, (rules or Rules()).ipv6_most)


async def census_of(*targets: str, inputs: tuple[str, ...] = (), rules: Rules | None = None, stdin: int = 0) -> Census:
    """The census of a command line."""
    census = new_census(rules)
    await take_census(census, ASKED, targets, inputs, rules or Rules(), stdin)
    return census


@settings(deadline=None)
@given(LINES, st.integers(1, 4))
async def test_of_shares(lines: list[str], of: int) -> None:
    """Together they have the endpoints of the whole, and each what its part of a scan takes on; in the same crowds."""
    lines = [line for line in lines if line != "2001:db8::/64"]  # of which a part is assumed
    whole, shares = await census_of(*lines), []
    for number in range(1, of + 1):
        share = Share(number, of, Prefixes(30, 126))
        census = Census(Exclusions(ALLOW, BLOCK), Excluders(ALLOW, {}), share=share)
        await take_census(census, ASKED, lines, (), Rules())
        expander = Expander(Exclusions(ALLOW, BLOCK), Seen(), Resolver(resolv_conf="/nonexistent"), share=share)
        async with Source(ASKED, expander, targets=lines).open() as stream:
            came = Counter([item.service async for item in stream if isinstance(item, Endpoint)])
        assert +census.endpoints() == came
        shares.append(census)
    assert sum((each.endpoints() for each in shares), Counter()) == +whole.endpoints()
    assert max(map(most_on_an_address, shares)) == most_on_an_address(whole)


def most_on_an_address(census: Census) -> int:
    """How many endpoints one IPv4 address has."""
    found = busiest(*census.crowds(4, 0, lambda _: 1))
    return found[1] if found else 0


async def test_what_is_assumed_of_a_share() -> None:
    """Its part of what the DNS will say; all names and domains have to be looked up."""
    census = Census(Exclusions(), Excluders(), share=Share(2, 4))
    lines = [*(f"mx{number}.test" for number in range(10)), *(f"mx:d{number}.test" for number in range(10))]
    await take_census(census, services_named("smtp"), lines, (), Rules())
    assert (census.endpoints().total(), census.of_domains) == (3, 5)
    assert (len(census.names), len(census.domains), census.is_exact) == (10, 10, False)


@given(LINES)
async def test_as_a_scan_would(lines: list[str]) -> None:
    """Endpoints by service, and what is left out by reason, are those of the stream of a scan."""
    rules = Rules(ipv6_most=50)
    census = await census_of(*lines, rules=rules)
    resolver = Resolver(resolv_conf="/nonexistent")
    expander = Expander(Exclusions(ALLOW, BLOCK), Seen(), resolver, ipv6_most=50)
    taken, left_out = Counter[str](), Counter[Reason]()
    async with Source(ASKED, expander, targets=lines, rules=rules).open() as stream:
        async for item in stream:
            match item:
                case Endpoint(service=service):
                    taken[service.name] += 1
                case Rejection(reason=reason, count=count):
                    left_out[reason] += count or 1
    assert Counter({service.name: count for service, count in census.endpoints().items()}) == taken
    assert census.excluded() == left_out
    assert census.blocked.total() == left_out[Reason.BLOCKED]


async def test_who_excludes() -> None:
    """A list goes before a range, the first list before the next, and a narrow range before a wide one."""
    census = await census_of("1.1.1.128/29", "2001:db8::7", "10.0.0.0/15", "255.255.255.255", "64:ff9b::10.9.9.9")
    assert census.blocked == {
        "ours": 4,
        "theirs": 1,
        "10.0.0.0/8 (private use, RFC 1918)": 2**17 - 256,
        "255.255.255.255/32 (limited broadcast, RFC 919 §7)": 1,
        "64:ff9b::/96 (NAT64, RFC 6052)": 1,
    }
    lifted = Excluders([ip_network("64:ff9b::/96")])
    assert lifted.count(6, [(int(ip_network("64:ff9b::/96").network_address) + 1,) * 2]) == {EMBEDDED: 1}


async def test_what_has_to_be_looked_up() -> None:
    """Names and mail domains are counted once, and make the census one that assumes; nobody is asked."""
    census = await census_of(
        "mx.example.org", "MX.example.org:25", "mx.example.org:993", "mx:example.org", "mx:EXAMPLE.org"
    )
    assert not census.is_exact
    assert {name: [port for _, port in asked] for name, asked in census.names.items()} == {
        "mx.example.org": [25, 143, 993]
    }
    assert len(census.domains) * ENDPOINTS_OF_A_DOMAIN == 2
    assert census.endpoints().total() == 3
    assert census.excluded() == {Reason.DUPLICATE: 2}
    assert (await census_of("1.1.1.1")).is_exact


async def test_every_input_is_read(tmp_path: Path) -> None:
    """Packed files, other forms and standard input are read as a scan reads them, to the end."""
    packed, table = tmp_path / "targets.gz", tmp_path / "targets.csv"
    packed.write_bytes(gzip_packed(b"1.1.1.1\n" * 2 + b"1.1.1.2"))
    table.write_text("host,address,service\nmx.example.org,1.1.1.3,smtp\nmx.example.org,1.1.1.3,smtp\n")
    read, write = os.pipe()
    os.write(write, b"1.1.1.4\n\xff\n")
    os.close(write)
    census = await census_of(inputs=(str(packed), str(table), "-"), stdin=read)
    os.close(read)
    assert census.endpoints() == {SERVICES["smtp"]: 4, SERVICES["imap"]: 3}
    assert census.excluded() == {Reason.DUPLICATE: 3, Reason.INVALID: 1}


async def test_an_input_that_cannot_be_read(tmp_path: Path) -> None:
    """It ends the census, as it would the scan, with the place where."""
    path = tmp_path / "targets.csv"
    path.write_text("name,colour\nmail,green\n")
    with pytest.raises(InputError, match="the first line is no CSV header"):
        await census_of(inputs=(str(path),), rules=Rules(Format.CSV))


async def test_where_most_falls() -> None:
    """Names with an address, single addresses, networks and parts of wide ones come together in their network."""
    rules = Rules(ipv6_most=1_000)
    census = await census_of("1.1.1.0/25", "1.1.1.200", "2001:db8::/32", "https://[2001:db8::1]", rules=rules)
    crowd = busiest(*census.crowds(4, 8, lambda service: 7 if service.name == "smtp" else 1))
    assert crowd == (0x010101, 129 * 8)
    first = 0x20010DB8 << 16
    assert busiest(*census.crowds(6, 80, lambda _: 1)) == (
        first,
        1 + 2,
    )  # 1,000 of 65,536 networks: one in each, or none
