"""Targets → endpoints and rejections."""

from collections.abc import Sequence
from ipaddress import ip_network
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from targets.exclude import Exclusions
from targets.expand import CHUNK, Expander, Item
from targets.reader import Reader
from targets.resolver import NoNameServersError, Resolver
from targets.rules import Rules
from targets.seen import Seen
from targets.services import services_named
from targets.target import Endpoint, Host, MailDomain, Network, Reason, Rejection, Target
from tests.peers.nameserver import Trouble, Zone, name_server

ZONE: Zone = {
    "mx.example.org": {"A": ["1.1.1.1", "1.1.1.2"], "AAAA": ["2a00::1"]},
    "inside.example.org": {"A": ["1.1.1.1", "10.0.0.1"], "AAAA": ["::1"]},
    "private.example.org": {"A": ["10.0.0.1"]},
    "half.example.org": {"A": ["1.1.1.1"], "AAAA": Trouble.SERVFAIL},
    "broken.example.org": {"A": Trouble.SERVFAIL, "AAAA": Trouble.REFUSED},
}


WIDE = Rules(ipv6_most=1)


def expander(
    resolver: Resolver | None = None, block: Sequence[str] = (), *, seed: int = 0, ipv6_most: int | None = None
) -> Expander:
    return Expander(
        Exclusions(block=map(ip_network, block)),
        Seen(),
        resolver or Resolver(resolv_conf="/nonexistent"),
        seed=seed,
        ipv6_most=ipv6_most,
    )


def target(line: str, services: str = "smtp", header: str = "", rules: Rules | None = None) -> Target:
    *_, found = Reader(services_named(services), rules).feed(f"{header}\n{line}\n".encode())
    assert not isinstance(found, Rejection | None)
    return found


async def expanded(
    own: Expander, line: str, services: str = "smtp", header: str = "", rules: Rules | None = None
) -> list[Item]:
    found = target(line, services, header, rules)
    assert not isinstance(found, MailDomain)
    if isinstance(found, Host) and found.address is None:
        return (await own.resolve(found)).items
    return [item for chunk in own.chunks(found) for item in chunk]


def ids(items: Sequence[Item]) -> list[str]:
    return [item.id for item in items if isinstance(item, Endpoint)]


def rejections(items: Sequence[Item]) -> list[Rejection]:
    return [item for item in items if isinstance(item, Rejection)]


async def test_a_host() -> None:
    """A name gives each service on each address of both families."""
    async with name_server(ZONE) as server:
        items = await expanded(expander(Resolver(server.servers)), "mx.example.org", "smtp,imaps")
    assert ids(items) == [
        "smtp://mx.example.org:25@1.1.1.1",
        "imaps://mx.example.org:993@1.1.1.1",
        "smtp://mx.example.org:25@1.1.1.2",
        "imaps://mx.example.org:993@1.1.1.2",
        "smtp://mx.example.org:25@[2a00::1]",
        "imaps://mx.example.org:993@[2a00::1]",
    ]
    assert len(items) == 6


async def test_a_host_with_blocked_addresses() -> None:
    """Every blocked address of a name has its rejection; the others are scanned."""
    async with name_server(ZONE) as server:
        own = expander(Resolver(server.servers))
        items = await expanded(own, "inside.example.org")
        nothing = await expanded(own, "private.example.org")
    assert ids(items) == ["smtp://inside.example.org:25@1.1.1.1"]
    assert [(one.reason, one.address) for one in rejections(items)] == [
        (Reason.BLOCKED, "10.0.0.1"),
        (Reason.BLOCKED, "::1"),
    ]
    assert [one.address for one in rejections(nothing)] == ["10.0.0.1"]


async def test_dns_failures() -> None:
    """A name that cannot be resolved has one rejection; one family's failure is told beside the endpoints."""
    async with name_server(ZONE) as server:
        own = expander(Resolver(server.servers))
        (absent,) = await expanded(own, "absent.example.org")
        (broken,) = await expanded(own, "broken.example.org")
        half = await expanded(own, "half.example.org")
    assert isinstance(absent, Rejection)
    assert absent.reason is Reason.NXDOMAIN
    assert isinstance(broken, Rejection)
    assert (broken.reason, broken.detail) == (Reason.SERVFAIL, "A: SERVFAIL; AAAA: REFUSED")
    assert ids(half) == ["smtp://half.example.org:25@1.1.1.1"]
    assert [one.detail for one in rejections(half)] == ["AAAA: SERVFAIL"]


async def test_a_host_with_its_address() -> None:
    """A name with an address beside it asks no DNS, and is blocked where its address is."""
    own = expander()
    assert ids(await expanded(own, "mx.example.org,1.1.1.1", header="host,address")) == [
        "smtp://mx.example.org:25@1.1.1.1"
    ]
    (blocked,) = await expanded(own, "mx.example.org,127.0.0.1", header="host,address")
    assert isinstance(blocked, Rejection)
    assert (blocked.reason, blocked.address) == (Reason.BLOCKED, "127.0.0.1")


async def test_a_name_needs_a_name_server() -> None:
    """Without a name server, the first name says so; it is no rejection of that name."""
    with pytest.raises(NoNameServersError):
        await expanded(expander(), "mx.example.org")
    host = target("mx.example.org")
    assert isinstance(host, Host)
    with pytest.raises(ValueError, match="has to be resolved"):
        expander().chunks(host)


async def test_a_repeated_host() -> None:
    """What a line repeats is one rejection with the number of endpoints; what it adds is scanned."""
    own, header = expander(), "host,address"
    await expanded(own, "mx.example.org,1.1.1.1", "smtp,imap", header)
    (repeated,) = await expanded(own, "MX.example.org.,1.1.1.1", "smtp,imap", header)
    more = await expanded(own, "mx.example.org,1.1.1.1", "smtp,imaps", header)
    assert isinstance(repeated, Rejection)
    assert repeated.reason is Reason.DUPLICATE
    assert (repeated.count, repeated.address) == (2, "1.1.1.1")
    assert repeated.detail == "already in this run: smtp://mx.example.org:25@1.1.1.1 and 1 more"
    assert ids(more) == ["imaps://mx.example.org:993@1.1.1.1"]
    assert [one.count for one in rejections(more)] == [1]


async def test_an_address() -> None:
    """An address without a name gives each service once, and is not the same as a name on it."""
    own = expander()
    assert ids(await expanded(own, "1.1.1.1", "smtp,imap")) == ["smtp://1.1.1.1:25", "imap://1.1.1.1:143"]
    assert ids(await expanded(own, "[2a00::0001]:2525")) == ["smtp://[2a00::1]:2525"]
    (repeated,) = await expanded(own, "1.1.1.1", "smtp,imap")
    assert isinstance(repeated, Rejection)
    assert (repeated.reason, repeated.count) == (Reason.DUPLICATE, 2)
    (blocked,) = await expanded(own, "::ffff:1.1.1.1")
    assert isinstance(blocked, Rejection)
    assert (blocked.reason, blocked.count) == (Reason.BLOCKED, None)


async def test_a_network() -> None:
    """A network gives all its addresses, service by service, each in an order of its own."""
    smtp = ids(await expanded(expander(seed=5), "1.1.1.0/28", "smtp"))
    imap = ids(await expanded(expander(seed=5), "1.1.1.0/28", "imap"))
    assert ids(await expanded(expander(seed=5), "1.1.1.0/28", "smtp,imap")) == smtp + imap
    assert set(smtp) == {f"smtp://1.1.1.{host}:25" for host in range(16)}
    assert [each.replace("imap", "smtp").replace("143", "25") for each in imap] != smtp


async def test_the_seed_decides_the_order() -> None:
    """The same seed gives the same network the same order, whatever came before; another seed another one."""
    first = ids(await expanded(expander(seed=5), "1.1.1.0/24"))
    again = expander(seed=5)
    await expanded(again, "1.1.2.0/24")
    assert ids(await expanded(again, "1.1.1.0/24")) == first
    other = ids(await expanded(expander(seed=6), "1.1.1.0/24"))
    assert other != first
    assert sorted(other) == sorted(first)


async def test_a_wide_ipv6_network() -> None:
    """With a cap, as many addresses are taken, the same for each service; the rest is one rejection with its number."""
    own = expander(ipv6_most=300, seed=5)
    items = await expanded(own, "2a00::/64", "smtp,imaps", rules=WIDE)
    (capped,) = rejections(items)
    assert (capped.reason, capped.count) == (Reason.CAPPED, 2**64 - 300)
    assert (
        capped.detail
        == "18,446,744,073,709,551,316 addresses of it are left out: --ipv6-most takes 300 of such a network"
    )
    found = ids(items)
    assert len(set(found)) == 600
    assert [each.partition("[")[2].partition("]")[0] for each in found[:300]] == [
        each.partition("[")[2].partition("]")[0] for each in found[300:]
    ]
    assert ids(await expanded(expander(ipv6_most=300, seed=5), "2a00::/64", "smtp", rules=WIDE)) == found[:300]


async def test_a_wide_ipv6_network_and_others() -> None:
    """Addresses that the cap left out are not in the run: they may come singly, or in a narrower network."""
    own = expander(ipv6_most=10, seed=5)
    await expanded(own, "2a00::5")
    taken = ids(await expanded(own, "2a00::/64", rules=WIDE))
    assert ids(await expanded(own, "2a00::6")) == ["smtp://[2a00::6]:25"]
    (repeated,) = await expanded(own, taken[0].removeprefix("smtp://").removesuffix(":25"))
    assert isinstance(repeated, Rejection)
    assert repeated.reason is Reason.DUPLICATE
    assert len(ids(await expanded(own, "2a00::/120"))) == 254
    again = await expanded(own, "2a00::/64", rules=WIDE)
    assert [(each.reason, each.count) for each in rejections(again)] == [
        (Reason.CAPPED, 2**64 - 10),
        (Reason.DUPLICATE, 10),
    ]
    assert ids(again) == []


async def test_a_wide_ipv6_network_within_the_cap() -> None:
    """A network that has no more addresses than the cap is taken whole, and so is one that is narrow."""
    for network, count in (("2a00::/111", 2**17), ("2a00::/120", 2**8)):
        items = await expanded(expander(ipv6_most=2**17, seed=5), network, rules=WIDE)
        assert (len(ids(items)), rejections(items)) == (count, [])
    items = await expanded(expander(block=["2a00::/112"], ipv6_most=2**16, seed=5), "2a00::/111", rules=WIDE)
    assert [(each.reason, each.count) for each in rejections(items)] == [(Reason.BLOCKED, 2**16)]


ROOM = st.integers(0, 255).map(lambda host: f"1.1.1.{host}")
PLACES = st.lists(ROOM | st.tuples(ROOM, st.integers(24, 31)).map(lambda place: f"{place[0]}/{place[1]}"), max_size=8)


@given(PLACES, PLACES, st.integers(0, 2**32))
async def test_every_endpoint_once(places: list[str], block: list[str], seed: int) -> None:
    """Singles and networks that overlap, in any order and with any block list: each endpoint comes once."""
    own = Expander(
        Exclusions(block=[ip_network(place, strict=False) for place in block]), Seen(), Resolver(), seed=seed
    )
    wanted, found, repeated = set[str](), list[str](), 0
    for place in places:
        items = await expanded(own, place, "smtp,imap")
        found += ids(items)
        repeated += sum(each.count or 0 for each in rejections(items) if each.reason is Reason.DUPLICATE)
        free = [each for each in ip_network(place, strict=False) if own.exclusions.blocked(each) is None]
        wanted |= {f"{service}://{each}:{port}" for each in free for service, port in (("smtp", 25), ("imap", 143))}
        assert len(found) + repeated >= len(wanted)
    assert len(found) == len(set(found))
    assert set(found) == wanted


async def test_a_network_with_blocked_addresses() -> None:
    """The blocked addresses of a network are one rejection with their number."""
    items = await expanded(expander(block=["1.1.1.4/30"]), "1.1.1.0/29")
    assert len(ids(items)) == 4
    (blocked,) = rejections(items)
    assert (blocked.reason, blocked.count) == (Reason.BLOCKED, 4)
    assert blocked.detail == "4 addresses of it are blocked: on the block list: 1.1.1.4 to 1.1.1.7"
    assert [item.count for item in rejections(await expanded(expander(), "10.0.0.0/8"))] == [2**24]


async def test_a_network_over_what_was_seen() -> None:
    """Addresses that came singly or in another network are one rejection with the number of endpoints."""
    own = expander()
    await expanded(own, "1.1.1.9")
    await expanded(own, "1.1.1.0/30")
    items = await expanded(own, "1.1.1.0/28")
    assert len(ids(items)) == 11
    (repeated,) = rejections(items)
    assert (repeated.reason, repeated.count) == (Reason.DUPLICATE, 5)
    assert ids(await expanded(own, "1.1.1.15")) == []
    assert ids(await expanded(own, "1.1.1.0/28")) == []
    assert len(ids(await expanded(own, "1.1.1.0/28", "imap"))) == 16


def test_a_large_network_begins_at_once() -> None:
    """The Internet gives its first addresses without a walk through the others."""
    whole = target("0.0.0.0/0")
    assert isinstance(whole, Network)
    (blocked,), first, second = islice(expander().chunks(whole), 3)
    assert isinstance(blocked, Rejection)
    assert (len(first), len(second)) == (CHUNK, CHUNK)
