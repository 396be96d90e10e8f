"""`--groups` on OpenSSL with hybrid groups: just those that it was set up with."""

import pytest

from tests.live.scan import Scan, scan_of
from tests.live.servers import Fleet
from tests.live.test_truth import record_of
from tests.live_full.tls_libraries import SERVERS

GROUPS = {
    "hybrid-6": ["X25519MLKEM768"],
    "hybrid-7": ["SecP256r1MLKEM768"],
    "hybrid-8": ["SecP384r1MLKEM1024"],
    "hybrid-9": ["X25519MLKEM768", "x25519"],
}
LISTENERS = {server.name: server.listeners[0] for server in SERVERS if server.name in GROUPS}


@pytest.fixture(scope="module")
def listed(fleet: Fleet, scan: Scan) -> Scan:
    """A scan that asks for groups."""
    assert scan.exit_status == 0
    return scan_of(fleet, list(LISTENERS.values()), "--groups")


@pytest.mark.parametrize("name", GROUPS)
def test_hybrid_groups(name: str, listed: Scan) -> None:
    """By a HelloRetryRequest for each, which takes no key of ours (RFC 8446 §4.1.4); TLS 1.2 has none of them."""
    part = record_of(LISTENERS[name], listed)["groups"]
    assert part["complete"] is True
    assert sorted(group["name"] for group in part["tls13"]["groups"]) == sorted(GROUPS[name])
    below = [group["name"] for group in part["ecdhe"]["groups"]] if part["ecdhe"] else []
    assert below == [group for group in GROUPS[name] if group == "x25519"]
