"""How many endpoints there will be."""

from ipaddress import ip_network
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from targets.estimate import MAX_BYTES, estimate
from targets.exclude import Exclusions
from targets.expand import Expander
from targets.resolver import Resolver
from targets.rules import Rules
from targets.seen import Seen
from targets.services import services_named
from targets.source import Source
from targets.target import Endpoint
from tests.targets.forms import SAMPLES
from tests.targets.packed import gzip_packed

SERVICES = services_named("smtp,imap")


@pytest.mark.parametrize(
    ("targets", "count"),
    [
        ([], 0),
        (["1.1.1.1"], 2),
        (["1.1.1.1:25", "1.1.1.1", "1.1.1.0/30", "1.1.1.2/31"], 8),
        (["10.0.0.0/8", "not a target", "# x"], 0),
        (["tls://1.1.1.0/24:8443"], 256),
        (["2a00::/112"], 2 * 65536),
        (["1.1.1.1", "mx.example.org"], None),
        (["1.1.1.1", "mx:example.org"], None),
    ],
)
def test_targets(targets: list[str], count: int | None) -> None:
    """Each endpoint is counted once, without those that are blocked; a name makes the number unknown."""
    assert estimate(SERVICES, Exclusions(), targets, []) == count


def test_files(tmp_path: Path) -> None:
    """Small files are read for it; pipes, large files, and those that cannot be read are not."""
    path, large = tmp_path / "targets.csv", tmp_path / "large.txt"
    path.write_text(
        "host,address\nmx.example.org,1.1.1.1\nMX.example.org,1.1.1.1\n,1.1.1.1\nlan.example.org,10.0.0.1\n"
    )
    large.write_bytes(b"\n" * (MAX_BYTES + 1))
    assert estimate(SERVICES, Exclusions(), [], [str(path)]) == 4
    assert estimate(SERVICES, Exclusions(), [], [str(path), "-"]) is None
    assert estimate(SERVICES, Exclusions(), [], ["/dev/null"]) is None
    assert estimate(SERVICES, Exclusions(), [], [str(large)]) is None
    assert estimate(SERVICES, Exclusions(), [], [str(tmp_path / "missing.txt")]) is None


def test_forms(tmp_path: Path) -> None:
    """What other tools wrote is counted like text; an archive, mail domains and parts of networks are not counted."""
    path = tmp_path / "input"
    for content, count in (
        ((SAMPLES / "nmap.xml").read_bytes(), 5),
        ((SAMPLES / "masscan.json").read_bytes(), 5),
        (b"<html/>", None),
        (b"1.1.1.0/24\n", 512),
        (gzip_packed(b"1.1.1.0/24\n"), None),
        (b"domain,x\nexample.org,\n", None),
    ):
        path.write_bytes(content)
        assert (
            estimate(
                SERVICES + services_named("tls"),
                Exclusions(map(ip_network, ["127.0.0.0/8", "192.0.2.0/24"])),
                [],
                [str(path)],
            )
            == count
        )
    path.write_bytes(b"2a00::/64\n")
    assert estimate(SERVICES, Exclusions(), [], [str(path)]) == 0
    assert estimate(SERVICES, Exclusions(), [], [str(path)], Rules(ipv6_most=5)) is None


PLACES = st.tuples(st.integers(0, 63), st.integers(26, 32)).map(lambda place: f"1.1.1.{place[0]}/{place[1]}")


@given(st.lists(PLACES | st.just("imap://1.1.1.7:25"), max_size=6), st.lists(PLACES, max_size=2))
async def test_the_estimate_is_exact(targets: list[str], block: list[str]) -> None:
    """The stream has exactly as many endpoints as were announced."""
    exclusions = Exclusions(block=[ip_network(place, strict=False) for place in block])
    source = Source(SERVICES, Expander(exclusions, Seen(), Resolver()), targets=targets)
    announced = source.estimate()
    async with source.open() as stream:
        endpoints = [item.id async for item in stream if isinstance(item, Endpoint)]
    assert len(endpoints) == announced
    assert len(set(endpoints)) == announced
