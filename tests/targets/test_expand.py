"""Targets → endpoints and rejections."""

from collections.abc import Sequence
from ipaddress import ip_network
from itertools import islice

import pytest

from targets.exclude import Exclusions
from targets.expand import CHUNK, Expander, Item
from targets.parse import Parser
from targets.resolver import NoNameServersError, Resolver
from targets.seen import Seen
from targets.services import services_named
from targets.target import Endpoint, Host, Network, Reason, Rejection, Target
from tests.peers.nameserver import Trouble, Zone, name_server

ZONE: Zone = {
    "mx.example.org": {"A": ["1.1.1.1", "1.1.1.2"], "AAAA": ["2a00::1"]},
    "inside.example.org": {"A": ["1.1.1.1", "10.0.0.1"], "AAAA": ["::1"]},
    "private.example.org": {"A": ["10.0.0.1"]},
    "half.example.org": {"A": ["1.1.1.1"], "AAAA": Trouble.SERVFAIL},
    "broken.example.org": {"A": Trouble.SERVFAIL, "AAAA": Trouble.REFUSED},
}


def expander(resolver: Resolver | None = None, block: Sequence[str] = ()) -> Expander:
    return Expander(Exclusions(block=map(ip_network, block)), Seen(), resolver or Resolver(resolv_conf="/nonexistent"))


def target(line: str, services: str = "smtp", header: str = "") -> Target:
    parser = Parser(services_named(services))
    if header:
        parser.parse(header.encode())
    found = parser.parse(line.encode(), 1)
    assert not isinstance(found, Rejection | None)
    return found


async def expanded(own: Expander, line: str, services: str = "smtp", header: str = "") -> list[Item]:
    found = target(line, services, header)
    if isinstance(found, Host) and found.address is None:
        return await own.resolve(found)
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
    with pytest.raises(ValueError, match="has to be resolved"):
        expander().chunks(target("mx.example.org"))


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
    """A network gives all its addresses, service by service."""
    items = await expanded(expander(), "1.1.1.0/31", "smtp,imap")
    assert ids(items) == ["smtp://1.1.1.0:25", "smtp://1.1.1.1:25", "imap://1.1.1.0:143", "imap://1.1.1.1:143"]


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
    assert ids(first)[0] == "smtp://1.0.0.0:25"
    assert (len(first), len(second)) == (CHUNK, CHUNK)
