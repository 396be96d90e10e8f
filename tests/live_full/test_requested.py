"""What is asked on request, of real servers: each fact is one that the server was set up for."""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.live.scan import Scan, scan_of
from tests.live.servers import Fleet, Listener
from tests.live.test_truth import record_of
from tests.live_full.requested import LISTENERS, SERVERS

OPTIONS = ("--alpn", "--resumption", "--fallback-scsv", "--renegotiation", "--compression")
PARTS = ("alpn", "resumption", "fallback_scsv", "renegotiation", "compression")
RAISED = {"client-renegotiation", "insecure-renegotiation", "fallback-scsv-missing", "compression-enabled"}


@pytest.fixture(scope="module")
def requested() -> Iterator[Scan]:
    """A fleet of its own, and one scan of it."""
    with TemporaryDirectory(prefix="tlsweep-requested-") as name:
        directory = Path(name)
        directory.chmod(0o755)
        with Fleet(SERVERS, directory) as fleet:
            yield scan_of(fleet, LISTENERS, *OPTIONS)


def test_it_ends_well(requested: Scan) -> None:
    """Nothing to complain about."""
    assert (requested.exit_status, requested.errors) == (0, "")


@pytest.mark.parametrize("listener", LISTENERS, ids=[listener.id for listener in LISTENERS])
@pytest.mark.parametrize("part", PARTS)
def test_each_part(listener: Listener, part: str, requested: Scan) -> None:
    """All that is known of it."""
    recorded, truth = record_of(listener, requested)[part], listener.truth[part]
    assert {field: recorded[field] for field in truth} == truth


@pytest.mark.parametrize("listener", LISTENERS, ids=[listener.id for listener in LISTENERS])
def test_what_is_found(listener: Listener, requested: Scan) -> None:
    """Just the findings that it was set up for."""
    found = {finding["id"] for finding in record_of(listener, requested)["findings"]}
    assert found & RAISED == listener.truth["of_requested"]
