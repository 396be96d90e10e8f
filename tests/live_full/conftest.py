"""As in tests/live: all servers are started once and scanned once, by its helpers with another list of listeners."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.live import scan as live_scan
from tests.live import test_truth as live_test_truth
from tests.live.scan import Scan, scan_of
from tests.live.servers import Fleet, NotStartedError
from tests.live_full.fleet import LISTENERS, SERVERS


@pytest.fixture(scope="session")
def scan() -> Iterator[Scan]:
    """Start every server and scan them all with one command."""
    if os.geteuid() != 0:
        pytest.exit("the live tests need root: these servers have ports below 1024", returncode=2)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a cancelled CI job stops the servers as Ctrl-C does
    with TemporaryDirectory(prefix="tlsweep-live-full-") as name, pytest.MonkeyPatch.context() as patch:
        patch.setattr(live_scan, "LISTENERS", LISTENERS)
        patch.setattr(live_test_truth, "LISTENERS", LISTENERS)
        directory = Path(name)
        directory.chmod(0o755)
        try:
            with Fleet(SERVERS, directory) as fleet:
                yield scan_of(fleet)
        except NotStartedError as error:
            pytest.exit(f"{error}\n(tests/live_full/install installs the servers)", returncode=2)
