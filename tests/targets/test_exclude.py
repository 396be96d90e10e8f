"""Special-purpose ranges, the user's block list, and the intervals that they are kept as."""

from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from targets.exclude import SPECIAL_RANGES, BlockListError, Exclusions, Ranges, block_list
from tests.targets.spans import written_out

NUMBERS = st.integers(0, 40)
SPANS = st.lists(st.tuples(NUMBERS, NUMBERS).map(lambda ends: (min(ends), max(ends))), max_size=12)


def exclusions(allow: str = "", block: str = "") -> Exclusions:
    return Exclusions(map(ip_network, allow.split()), map(ip_network, block.split()))


@given(SPANS, SPANS, NUMBERS, NUMBERS)
def test_ranges_are_sets(at_once: list[tuple[int, int]], later: list[tuple[int, int]], low: int, high: int) -> None:
    """Intervals answer as a plain set of the same numbers does, however they were put in."""
    ranges = Ranges(at_once)
    for first, last in later:
        ranges.add(first, last)
    naive = set(written_out(at_once + later))
    asked = set(range(low, high + 1))
    assert written_out(ranges) == sorted(naive)
    assert ranges.count == len(naive)
    assert {value for value in range(-2, 45) if value in ranges} == naive
    assert written_out(ranges.within(low, high)) == sorted(naive & asked)
    assert written_out(ranges.without(low, high)) == sorted(asked - naive)


@given(SPANS)
def test_ranges_are_merged(spans: list[tuple[int, int]]) -> None:
    """Intervals neither overlap nor touch, and each number knows its own."""
    ranges = Ranges(spans)
    kept = list(ranges)
    assert all(before[1] + 1 < after[0] for before, after in pairwise(kept))
    assert all(ranges.around(value) == (first, last) for first, last in kept for value in (first, last))
    assert ranges.around(-1) is None


@pytest.mark.parametrize("network", [str(row.network) for row in SPECIAL_RANGES])
def test_special_ranges_are_refused(network: str) -> None:
    """The first and the last address of every special-purpose range are blocked, and the detail names a source."""
    place = ip_network(network)
    for address in (place.network_address, place.broadcast_address):
        why = exclusions().blocked(address)
        assert why is not None
        assert "special-purpose" in why
        assert "RFC" in why


@pytest.mark.parametrize(
    "address", ["1.1.1.1", "9.255.255.255", "11.0.0.0", "100.63.255.255", "172.32.0.0", "223.255.255.255",
                "2a00::1", "2600::1", "2001:200::1", "64:ff9c::1", "fec0::1"]
)  # fmt: skip
def test_the_internet_is_not_refused(address: str) -> None:
    """Addresses beside the ranges are free."""
    assert exclusions().blocked(ip_address(address)) is None


def test_details() -> None:
    """A detail names the narrowest range, what it is for, and how to have it scanned all the same."""
    assert exclusions().blocked(ip_address("255.255.255.255")) == (
        "it is in 255.255.255.255/32, a special-purpose range (limited broadcast, RFC 919 §7); "
        "--allow 255.255.255.255/32 lets it be scanned"
    )
    listed = exclusions(block="198.51.0.0/24 198.51.1.0/24 1.1.1.1")
    assert listed.blocked(ip_address("198.51.0.9")) == "it is on the block list (198.51.0.0 to 198.51.1.255)"
    assert listed.blocked(ip_address("1.1.1.1")) == "it is on the block list (1.1.1.1)"


@pytest.mark.parametrize(
    ("allow", "block", "address", "is_blocked"),
    [
        ("10.0.0.0/8", "", "10.1.2.3", False),
        ("10.1.0.0/16", "", "10.1.2.3", False),
        ("10.1.0.0/16", "", "10.2.0.0", True),
        ("10.0.0.0/8", "10.1.0.0/16", "10.1.2.3", True),
        ("1.1.1.0/24", "1.1.1.1", "1.1.1.1", True),
        ("0.0.0.0/0", "", "127.0.0.1", False),
        ("::/0", "", "::1", False),
        ("::/0", "", "127.0.0.1", True),
    ],
)
def test_allow_and_block(allow: str, block: str, address: str, is_blocked: bool) -> None:
    """What is allowed is lifted from the special-purpose ranges; the block list always wins."""
    assert (exclusions(allow, block).blocked(ip_address(address)) is not None) == is_blocked


@pytest.mark.parametrize(
    ("form", "prefix"),
    [("::ffff:{0}", "::ffff:0:0/96"), ("64:ff9b::{0}", "64:ff9b::/96"), ("2002:{1}::1", "2002::/16")],
)
def test_an_ipv4_address_inside(form: str, prefix: str) -> None:
    """Both the IPv6 form and the IPv4 address in it have to be free."""

    def within(v4: str) -> str:
        octets = ip_address(v4).packed.hex()
        return form.format(v4, f"{octets[:4]}:{octets[4:]}")

    public, private, listed = (ip_address(within(v4)) for v4 in ("1.1.1.1", "10.0.0.1", "8.8.8.8"))
    assert exclusions().blocked(public) is not None
    opened = exclusions(prefix, "8.8.8.0/24")
    assert opened.blocked(public) is None
    assert "the IPv4 address in it is 10.0.0.1; it is in 10.0.0.0/8" in (opened.blocked(private) or "")
    assert "the IPv4 address in it is 8.8.8.8; it is on the block list" in (opened.blocked(listed) or "")
    assert exclusions(f"{prefix} 10.0.0.0/8").blocked(private) is None


def test_remaining_of_a_large_network() -> None:
    """The whole of IPv4 is answered for at once."""
    spans, blocked = exclusions().remaining(IPv4Network("0.0.0.0/0"))
    assert sum(last - first + 1 for first, last in spans) + blocked == 2**32
    assert blocked > 2**28 * 2
    assert exclusions().remaining(IPv4Network("10.0.0.0/8")) == ([], 2**24)


@given(
    st.lists(st.tuples(st.integers(0, 63), st.integers(26, 32)), max_size=5),
    st.sampled_from(["::ffff:1.1.1.0/122", "64:ff9b::1.1.1.0/122", "1.1.1.0/26"]),
)
def test_remaining_agrees_with_each_address(blocked: list[tuple[int, int]], place: str) -> None:
    """A network has left exactly those addresses that are free when they are asked for one by one."""
    base = int(ip_address("1.1.1.0"))
    asked = Exclusions(
        [IPv6Network("::ffff:0:0/96"), IPv6Network("64:ff9b::/96")],
        [IPv4Network((base + host, prefix), strict=False) for host, prefix in blocked],
    )
    network = ip_network(place)
    spans, count = asked.remaining(network)
    free = [int(address) for address in network if asked.blocked(address) is None]
    assert written_out(spans) == free
    assert count == network.num_addresses - len(free)


def test_reasons_for_a_network() -> None:
    """For a network, the ranges in it are named; of a long block list, the first three."""
    assert "192.0.2.0/24 (documentation, RFC 5737)" in exclusions().blocked_within(ip_network("192.0.0.0/16"))
    allowed = exclusions("192.0.2.0/24").blocked_within(ip_network("192.0.0.0/16"))
    assert "192.0.2.0/24" not in allowed
    assert "192.0.0.0/24" in allowed
    many = exclusions(block="1.0.0.1 1.0.0.3 1.0.0.5 1.0.0.7").blocked_within(ip_network("1.0.0.0/24"))
    assert many == "on the block list: 1.0.0.1, 1.0.0.3, 1.0.0.5 and more"
    embedded = exclusions("::ffff:0:0/96").blocked_within(ip_network("::ffff:10.0.0.0/112"))
    assert embedded == "the IPv4 addresses in them are blocked"


def test_block_list() -> None:
    """ZMap's format: a CIDR or an address a line, comments anywhere; host bits are masked off."""
    lines = [
        b"\xef\xbb\xbf# opt-outs\n",
        b"\n",
        b"192.0.2.77/24 # 2024-01-02\r\n",
        b"  198.51.100.7\n",
        b"2001:db8::/32",
    ]
    assert [str(network) for network in block_list(lines, "block.txt")] == [
        "192.0.2.0/24",
        "198.51.100.7/32",
        "2001:db8::/32",
    ]


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (b"example.org", "block.txt:2: 'example.org' is neither a CIDR nor an address"),
        (b"10.0.0.0/33", "'10.0.0.0/33' is neither"),
        (b"10.0.0.0/8 10.1.0.0/16", "is neither"),
        (b"caf\xe9", "block.txt:2: not UTF-8 text"),
    ],
)
def test_block_list_that_cannot_be_read(line: bytes, why: str) -> None:
    """One bad line refuses the whole list, and says where it is."""
    with pytest.raises(BlockListError, match=why) as caught:
        block_list([b"10.0.0.0/8", line], "block.txt")
    assert (caught.value.path, caught.value.line) == ("block.txt", 2)
