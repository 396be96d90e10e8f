"""As in tests/live, for other servers."""

import pytest

from tests.live.economy import agree, scan_economically
from tests.live.scan import Scan
from tests.live.servers import Listener, Truth
from tests.live.test_truth import record_of
from tests.live_full import postfix
from tests.live_full.fleet import LISTENERS

UNCOUNTED = [each for each in LISTENERS if each is not postfix.LIMITED]  # test_second_look.py counts its connections


@pytest.fixture(scope="module")
def economical(scan: Scan, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Truth]:
    """Another scan, while the servers of the first still run."""
    assert scan.records
    return scan_economically(UNCOUNTED, tmp_path_factory.mktemp("economical"))


@pytest.mark.parametrize("listener", UNCOUNTED, ids=lambda listener: listener.id)
def test_both_ways_agree(listener: Listener, scan: Scan, economical: dict[str, Truth]) -> None:
    """The verdicts, the status and the certificate are those of the usual way, for no more connections."""
    agree(record_of(listener, scan), economical[listener.id])
