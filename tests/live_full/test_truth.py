"""The tests of tests/live, for other servers."""

import pytest

from tests.live import test_truth as live
from tests.live.scan import Scan
from tests.live.servers import Listener
from tests.live_full.fleet import LISTENERS

test_the_scan_ends_well = live.test_the_scan_ends_well
test_nothing_but_the_targets_is_recorded = live.test_nothing_but_the_targets_is_recorded
test_records_keep_to_the_schema = live.test_records_keep_to_the_schema


@pytest.mark.parametrize(
    ("number", "listener"), list(enumerate(LISTENERS)), ids=[listener.id for listener in LISTENERS]
)
def test_the_record_tells_the_truth(number: int, listener: Listener, scan: Scan) -> None:
    """Every fact that is known of a server stands in its one record."""
    live.test_the_record_tells_the_truth(number, listener, scan)
