"""`--fingerprint` on real servers: a published value, and the same server with the same fingerprint every time."""

import pytest

from tests.live.scan import Scan, scan_of
from tests.live.servers import Fleet, Listener
from tests.live.test_truth import record_of
from tests.live_full import tls_gnutls, tls_libraries, tls_nginx, tls_openssl

LISTENERS = [
    listener
    for module in (tls_nginx, tls_openssl, tls_gnutls, tls_libraries)
    for server in module.SERVERS
    for listener in server.listeners
]

# OpenSSL as it comes, without ALPN: in JARM's README this is the fingerprint of Metasploit, which is no more than that.
OPENSSL = "07d14d16d21d21d00042d43d000000aa99ce74e2c6d013c745aa52b5cc042d"
AS_IT_COMES = "tls://web.live.test:443@127.77.41.13"  # the one with the long chain, which JARM does not read


@pytest.fixture(scope="module")
def fingerprints(fleet: Fleet, scan: Scan) -> list[Scan]:
    """Two scans."""
    assert scan.exit_status == 0
    return [scan_of(fleet, LISTENERS, "--fingerprint") for _ in range(2)]


@pytest.mark.parametrize("listener", LISTENERS, ids=[listener.id for listener in LISTENERS])
def test_the_same_every_time(listener: Listener, fingerprints: list[Scan]) -> None:
    """What a server chooses does not depend on what is random in the hellos."""
    parts = [record_of(listener, each)["fingerprints"] for each in fingerprints]
    if parts[0] is not None:  # a server that agrees on no version with us has none
        assert parts[0]["complete"] is True
        assert len(parts[0]["hellos"]) == 10
    assert parts[0] == parts[1]


def test_the_published_value(fingerprints: list[Scan]) -> None:
    """All ten hellos said, and all ten answers read, as the authors of JARM do."""
    listener = next(each for each in LISTENERS if each.id == AS_IT_COMES)
    assert record_of(listener, fingerprints[0])["fingerprints"]["jarm"] == OPENSSL
