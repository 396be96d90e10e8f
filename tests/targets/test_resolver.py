"""Names → addresses, through a real name server on loopback."""

from collections.abc import Sequence
from ipaddress import IPv4Address
from pathlib import Path

import pytest
import trio
import trio.testing

from targets.resolver import Failure, NoNameServersError, Resolution, Resolver
from targets.target import Reason
from tests.peers.nameserver import NameServer, Trouble, Zone, name_server

MANY = [f"192.0.2.{host}" for host in range(1, 101)]

ZONE: Zone = {
    "both.example": {"A": ["192.0.2.2", "192.0.2.1"], "AAAA": ["2001:db8::1"]},
    "v4.example": {"A": ["192.0.2.1"]},
    "v6.example": {"AAAA": ["2001:db8::1"]},
    "alias.example": {"CNAME": ["both.example."]},
    "dangling.example": {"CNAME": ["absent.example."]},
    "empty.example": {"TXT": ["nothing here"]},
    "many.example": {"A": MANY},
    "servfail.example": {"A": Trouble.SERVFAIL, "AAAA": Trouble.SERVFAIL},
    "refused.example": {"A": Trouble.REFUSED, "AAAA": Trouble.REFUSED},
    "silent.example": {"A": Trouble.SILENCE, "AAAA": Trouble.SILENCE},
    "half.example": {"A": ["192.0.2.1"], "AAAA": Trouble.SERVFAIL},
    "half-silent.example": {"A": Trouble.SILENCE, "AAAA": ["2001:db8::1"]},
    "half-empty.example": {"AAAA": Trouble.SERVFAIL},
    "half-absent.example": {"A": ["192.0.2.1"], "AAAA": Trouble.NXDOMAIN},
}


def resolver_for(server: NameServer) -> Resolver:
    return Resolver(server.servers, lifetime_s=1, attempt_s=0.5)


def texts(resolution: Resolution) -> list[str]:
    return [str(address) for address in resolution.addresses]


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("both.example", ["192.0.2.1", "192.0.2.2", "2001:db8::1"]),
        ("v4.example", ["192.0.2.1"]),
        ("v6.example", ["2001:db8::1"]),
        ("alias.example", ["192.0.2.1", "192.0.2.2", "2001:db8::1"]),
        ("half-absent.example", ["192.0.2.1"]),
        ("many.example", MANY),  # 1,600 bytes: truncated over UDP
    ],
)
async def test_addresses(name: str, found: Sequence[str]) -> None:
    """All addresses of both families come, in their order, and an empty family is no failure."""
    async with name_server(ZONE) as server:
        resolution = await resolver_for(server).resolve(name)
    assert texts(resolution) == list(found)
    assert resolution.failures == ()


@pytest.mark.parametrize(
    ("name", "found", "failures"),
    [
        ("absent.example", [], [Failure(Reason.NXDOMAIN, "the name does not exist in the DNS")]),
        ("dangling.example", [], [Failure(Reason.NXDOMAIN, "the name does not exist in the DNS")]),
        ("empty.example", [], [Failure(Reason.NODATA, "the name has neither an A nor an AAAA record")]),
        (
            "servfail.example",
            [],
            [Failure(Reason.SERVFAIL, "A: SERVFAIL"), Failure(Reason.SERVFAIL, "AAAA: SERVFAIL")],
        ),
        (
            "refused.example",
            [],
            [Failure(Reason.SERVFAIL, "A: REFUSED"), Failure(Reason.SERVFAIL, "AAAA: REFUSED")],
        ),
        (
            "silent.example",
            [],
            [
                Failure(Reason.DNS_TIMEOUT, "A: no answer in time"),
                Failure(Reason.DNS_TIMEOUT, "AAAA: no answer in time"),
            ],
        ),
        ("half.example", ["192.0.2.1"], [Failure(Reason.SERVFAIL, "AAAA: SERVFAIL")]),
        ("half-silent.example", ["2001:db8::1"], [Failure(Reason.DNS_TIMEOUT, "A: no answer in time")]),
        ("half-empty.example", [], [Failure(Reason.SERVFAIL, "AAAA: SERVFAIL")]),
    ],
)
async def test_failures(name: str, found: list[str], failures: list[Failure]) -> None:
    """Each failure has its kind, and one family's does not hide the other's addresses."""
    async with name_server(ZONE) as server:
        resolution = await resolver_for(server).resolve(name)
    assert texts(resolution) == found
    assert list(resolution.failures) == failures


async def test_truncation_goes_to_tcp() -> None:
    """An answer that is truncated over UDP is asked for again over TCP."""
    async with name_server(ZONE) as server:
        await resolver_for(server).resolve("many.example")
    assert [transport for _, kind, transport in server.asked if kind == "A"] == ["udp", "tcp"]


@pytest.mark.parametrize("name", ["localhost", "mail.localhost"])
async def test_localhost_is_not_asked_for(name: str) -> None:
    """localhost is loopback without DNS (RFC 6761 §6.3), even where there is none."""
    resolution = await Resolver(resolv_conf="/nonexistent").resolve(name)
    assert texts(resolution) == ["127.0.0.1", "::1"]


async def test_a_name_is_asked_for_once() -> None:
    """Tasks that want a name at the same time, and those that want it later, share one answer."""
    async with name_server(ZONE) as server:
        resolver = resolver_for(server)
        async with trio.open_nursery() as nursery:
            for _ in range(5):
                nursery.start_soon(resolver.resolve, "both.example")
        await resolver.resolve("both.example")
    assert sorted(kind for _, kind, _ in server.asked) == ["A", "AAAA"]


async def test_failures_are_remembered() -> None:
    """A name that does not exist is not asked for again at once."""
    async with name_server(ZONE) as server:
        resolver = resolver_for(server)
        assert await resolver.resolve("absent.example") == await resolver.resolve("absent.example")
    assert len(server.asked) == 2


async def test_the_cache_is_bounded() -> None:
    """The name that was used longest ago is forgotten."""
    async with name_server(ZONE) as server:
        resolver = Resolver(server.servers, cache_names=2)
        for name in ("v4.example", "v6.example", "v4.example", "both.example", "v4.example", "v6.example"):
            await resolver.resolve(name)
    assert [name for name, kind, _ in server.asked if kind == "A"] == [
        "v4.example",
        "v6.example",
        "both.example",
        "v6.example",
    ]


async def test_a_cancelled_question_does_not_hold_up_the_others() -> None:
    """When the task that asks is cancelled, one of those that wait asks itself."""
    async with name_server(ZONE) as server:
        resolver = resolver_for(server)
        asking = trio.CancelScope()

        async def ask() -> None:
            with asking:
                await resolver.resolve("both.example")

        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask)
            await trio.testing.wait_all_tasks_blocked()
            asking.cancel()
            assert len((await resolver.resolve("both.example")).addresses) == 3


async def test_the_second_server_is_asked() -> None:
    """Where the first server refuses, the second one's answer counts."""
    async with name_server({"both.example": ZONE["refused.example"]}) as first, name_server(ZONE) as second:
        resolver = Resolver([*first.servers, *second.servers])
        assert len((await resolver.resolve("both.example")).addresses) == 3
        assert resolver.servers == (f"127.0.0.1:{first.port}", f"127.0.0.1:{second.port}")


@pytest.mark.parametrize("text", [None, "", "search example.org\n", "nameserver not-an-address\n"])
async def test_no_name_server(tmp_path: Path, text: str | None) -> None:
    """Without a usable resolv.conf, the first name that needs it tells what to do."""
    path = tmp_path / "resolv.conf"
    if text is not None:
        path.write_text(text)
    resolver = Resolver(resolv_conf=str(path))
    with pytest.raises(NoNameServersError, match="name one with --resolver"):
        await resolver.resolve("both.example")


def test_resolv_conf(tmp_path: Path) -> None:
    """The system's name servers are read from resolv.conf."""
    path = tmp_path / "resolv.conf"
    path.write_text("nameserver 192.0.2.53\nnameserver 2001:db8::53\n")
    assert Resolver(resolv_conf=str(path)).servers == ("192.0.2.53:53", "[2001:db8::53]:53")


async def test_our_own_failure_is_no_servfail() -> None:
    """Where no question can be sent, nothing was answered, and the detail says what is in the way."""
    resolver = Resolver([(IPv4Address("255.255.255.255"), 53)], lifetime_s=0.3)
    (failure, _) = (await resolver.resolve("both.example")).failures
    assert failure.reason is Reason.DNS_TIMEOUT
    assert "ermission denied" in failure.detail
