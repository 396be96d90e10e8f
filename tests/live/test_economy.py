"""`--economical` comes to the same verdicts of every real server."""

import pytest

from tests.live.economy import agree, scan_economically
from tests.live.fleet import LISTENERS
from tests.live.scan import Scan
from tests.live.servers import Listener, Truth
from tests.live.test_truth import record_of


@pytest.fixture(scope="module")
def economical(scan: Scan, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Truth]:
    """Another scan, while the servers of the first still run."""
    assert scan.records
    return scan_economically(LISTENERS, tmp_path_factory.mktemp("economical"))


@pytest.mark.parametrize("listener", LISTENERS, ids=lambda listener: listener.id)
def test_both_ways_agree(listener: Listener, scan: Scan, economical: dict[str, Truth]) -> None:
    """The verdicts, the status and the certificate are those of the usual way, for no more connections."""
    agree(record_of(listener, scan), economical[listener.id])
