"""All servers are started once, scanned once, and stopped when the last record has been looked at."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.live.fleet import LISTENERS, SERVERS
from tests.live.scan import Scan, scan_of
from tests.live.servers import Fleet, NotStartedError


@pytest.fixture(scope="session")
def scan() -> Iterator[Scan]:
    """Start every server and scan them all with one command."""
    if os.geteuid() != 0:
        pytest.exit("the live tests need root: mail and web servers have ports below 1024", returncode=2)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a cancelled CI job stops the servers as Ctrl-C does
    with TemporaryDirectory(prefix="tlsweep-live-") as name:
        directory = Path(name)
        directory.chmod(0o755)  # Postfix and Dovecot read in it without their privileges
        try:
            with Fleet(SERVERS, directory) as fleet:
                yield scan_of(fleet, LISTENERS)
        except NotStartedError as error:
            pytest.exit(f"{error}\n(tests/live/install installs the servers)", returncode=2)
