"""Networks of addresses, and who gets them."""

from collections import Counter
from ipaddress import IPv6Address, ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from targets.prefixes import Prefixes, share_of, worker_of

ADDRESSES = st.ip_addresses().map(str)


@pytest.mark.parametrize(
    ("prefixes", "address", "network"),
    [
        (Prefixes(), "192.0.2.77", "192.0.2.0/24"),
        (Prefixes(ipv4=28), "192.0.2.77", "192.0.2.64/28"),
        (Prefixes(ipv4=0), "192.0.2.77", "0.0.0.0/0"),
        (Prefixes(ipv4=32), "192.0.2.77", "192.0.2.77/32"),
        (Prefixes(), "2001:db8:1:2::3", "2001:db8:1::/48"),
        (Prefixes(ipv6=64), "2001:db8:1:2::3", "2001:db8:1:2::/64"),
        (Prefixes(), "fe80::1%eth0", "fe80::/48"),
    ],
)
def test_network_of_an_address(prefixes: Prefixes, address: str, network: str) -> None:
    """By the length for its family; /24 and /48 where nothing is said."""
    assert prefixes.network_of(address) == network


@given(ADDRESSES, st.integers(0, 32), st.integers(0, 128))
def test_an_address_is_in_its_network(address: str, ipv4: int, ipv6: int) -> None:
    """And the network is as long as was asked for."""
    network = ip_network(Prefixes(ipv4, ipv6).network_of(address))
    found = ip_address(address)
    without_zone = IPv6Address(int(found)) if isinstance(found, IPv6Address) else found
    assert without_zone in network
    assert network.prefixlen == (ipv4 if network.version == 4 else ipv6)


def test_shares_stay_as_they_are() -> None:
    """Outputs of several machines are joined: another hash would break them."""
    assert [share_of(name, 5) for name in ("192.0.2.0/24", "2001:db8:1::/48", "example.org")] == [2, 3, 1]


def test_shares_are_about_equal() -> None:
    """Ten thousand networks among seven."""
    counts = Counter(share_of(f"10.{number >> 8}.{number & 255}.0/24", 7) for number in range(10_000))
    assert set(counts) == set(range(7))
    assert max(counts.values()) < 1.1 * min(counts.values())


@pytest.mark.parametrize(("shards", "workers"), [(1, 4), (4, 4), (4, 2), (3, 6), (16, 8)])
def test_the_networks_of_a_shard_fall_to_all_workers(shards: int, workers: int) -> None:
    """About equally, whatever the two numbers have in common."""
    every = (f"10.{number >> 8}.{number & 255}.0/24" for number in range(shards * workers * 1_000))
    own = [network for network in every if share_of(network, shards) == 0]
    counts = Counter(worker_of(network, workers) for network in own)
    assert set(counts) == set(range(workers))
    assert max(counts.values()) < 1.3 * min(counts.values())
