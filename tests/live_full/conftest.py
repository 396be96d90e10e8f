"""As in tests/live: all servers are started once and scanned once, by its helpers with another list of listeners."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.live.scan import Scan, scan_of
from tests.live.servers import Fleet, NotStartedError
from tests.live_full.fleet import LISTENERS, SERVERS


@pytest.fixture(scope="session")
def fleet() -> Iterator[Fleet]:
    """Start every server."""
    if os.geteuid() != 0:
        pytest.exit("the live tests need root: these servers have ports below 1024", returncode=2)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a cancelled CI job stops the servers as Ctrl-C does
    with TemporaryDirectory(prefix="tlsweep-live-full-") as name:
        directory = Path(name)
        directory.chmod(0o755)
        try:
            with Fleet(SERVERS, directory) as fleet:
                yield fleet
        except NotStartedError as error:
            pytest.exit(f"{error}\n(tests/live_full/install installs the servers)", returncode=2)


@pytest.fixture(scope="session")
def scan(fleet: Fleet) -> Scan:
    """Scan them all with one command."""
    return scan_of(fleet, LISTENERS)
