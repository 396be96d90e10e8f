"""The resolver against NSD and a validating Unbound: what each name of a small signed DNS comes to."""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from dns.rdatatype import RdataType

from targets.answer import DnsAnswer
from targets.resolver import Resolver
from targets.target import Reason
from tests.live_full.resolving import HUGE, NameServers, name_servers

TLSA = "3 1 1 " + "ab" * 32


@pytest.fixture(scope="module")
def servers() -> Iterator[NameServers]:
    """Started once."""
    with TemporaryDirectory(prefix="tlsweep-live-dns-") as name:
        directory = Path(name)
        directory.chmod(0o755)
        with name_servers(directory) as running:
            yield running


def facts(answer: DnsAnswer) -> tuple[str, list[str], str, float]:
    return answer.status.value, sorted(each.to_text() for each in answer.records), answer.dnssec.value, answer.ttl_s


@pytest.mark.parametrize(
    ("name", "kind", "status", "records", "dnssec", "ttl_s"),
    [
        ("secure.test", "A", "ok", ["192.0.2.1"], "secure", 90),
        ("secure.test", "MX", "ok", ["10 mx1.secure.test.", "20 mx2.secure.test."], "secure", 90),
        ("_25._tcp.mx1.secure.test", "TLSA", "ok", [TLSA], "secure", 90),
        ("alias.test", "AAAA", "ok", ["2001:db8::1"], "secure", 30),
        ("huge.test", "TXT", "ok", [HUGE], "secure", 90),
        ("absent.test", "A", "nxdomain", [], "secure", 120),
        ("secure.test", "TXT", "nodata", [], "secure", 120),
        ("mail.plain.test", "A", "ok", ["192.0.2.3"], "insecure", 90),
        ("alias.plain.test", "A", "ok", ["192.0.2.1"], "insecure", 90),
        ("absent.plain.test", "A", "nxdomain", [], "insecure", 60),
        ("bogus.test", "A", "bogus", [], "bogus", 30),
    ],
)
async def test_a_validating_resolver(
    servers: NameServers, name: str, kind: str, status: str, records: list[str], dnssec: str, ttl_s: float
) -> None:
    """What it validated is secure, what cannot be is insecure, and what does not validate is bogus."""
    answer = await Resolver([servers.unbound]).ask(name, RdataType[kind])
    assert facts(answer)[:3] == (status, records, dnssec)
    assert ttl_s - 60 <= answer.ttl_s <= ttl_s  # it may have been in Unbound's cache


async def test_an_extended_error_says_bogus(servers: NameServers) -> None:
    """Unbound tells why (RFC 8914), so that one question is enough."""
    resolver = Resolver([servers.unbound])
    answer = await resolver.ask("bogus.test", RdataType.A)
    assert answer.detail is not None
    assert answer.detail.startswith("it does not validate (extended error ")
    assert resolver.tally.queries == 1


async def test_a_resolver_that_does_not_say_why(servers: NameServers) -> None:
    """Without extended errors, the question with checking disabled tells; a rejection says so."""
    resolver = Resolver([servers.reticent])
    answer = await resolver.ask("bogus.test", RdataType.A)
    assert (answer.status, answer.detail) == ("bogus", "SERVFAIL, and an answer only with checking disabled")
    assert resolver.tally.queries == 3
    assert Reason.BOGUS in {failure.reason for failure in (await resolver.resolve("bogus.test")).failures}


async def test_a_huge_answer_comes_over_tcp(servers: NameServers) -> None:
    """Four kilobytes of TXT: truncated over UDP, whole over TCP."""
    resolver = Resolver([servers.unbound])
    (record,) = (await resolver.ask("huge.test", RdataType.TXT)).records
    assert record.to_text() == HUGE
    assert (resolver.tally.queries, resolver.tally.tcp) == (2, 1)


@pytest.mark.parametrize(
    ("name", "status", "ttl_s"), [("absent.test", "nxdomain", 120), ("absent.plain.test", "nxdomain", 60)]
)
async def test_an_authoritative_server(servers: NameServers, name: str, status: str, ttl_s: float) -> None:
    """NSD validates nothing, so that nothing can be said of that; its denials hold for the SOA's last number."""
    answer = await Resolver([servers.nsd]).ask(name, RdataType.A)
    assert facts(answer) == (status, [], "indeterminate", ttl_s)


async def test_a_chain_into_another_zone(servers: NameServers) -> None:
    """NSD finishes no alias into another zone that it does not follow; all the same the end is found."""
    answer = await Resolver([servers.nsd]).ask("alias.plain.test", RdataType.A)
    assert facts(answer)[:2] == ("ok", ["192.0.2.1"])
    assert answer.canonical == "secure.test"
