"""Real servers that said no for the moment are looked at again a minute later, and not before."""

from datetime import datetime
from typing import Any

import pytest

from tests.live.scan import Scan, scan_of
from tests.live.servers import Fleet, Found, Listener, Truth, gets, merged
from tests.live.test_truth import differences, record_of
from tests.live_full import dovecot, postfix

pytestmark = pytest.mark.timeout(300)  # it waits for the main scan, and then for a minute and more

LIMITED, BROKEN_KEY = postfix.LIMITED, postfix.BROKEN_KEY
BROKEN_DOVECOT = next(listener for listener in dovecot.KEY_BROKEN if listener.service == "imap")
LISTENERS = (LIMITED, BROKEN_KEY, BROKEN_DOVECOT)

# What the second look adds to the truth of the first. The server that says yes and closes does so always.
STILL_BROKEN: Truth = {
    "status": "no_tls",
    "findings": Found("starttls-broken"),
    "clients": gets("refused", "fails", "fails", "fails"),
}


@pytest.fixture(scope="module")
def again(fleet: Fleet, scan: Scan) -> Scan:
    """Scan three of them with one retry, after the scan of all: one is at its limit when this begins."""
    assert scan.exit_status == 0
    postfix.reach_limit(LIMITED.address, 421, attempts=postfix.CONNECTIONS + 5)
    return scan_of(fleet, LISTENERS, "--retries", "1", "--versions", "TLSv1.2")


@pytest.mark.parametrize(
    ("listener", "more", "pause_s", "looks"),
    [
        (LIMITED, {}, 60, [("rate_limited", "greeting", "421"), ("ok", "reply", "220")]),
        (BROKEN_KEY, {"connections": 2}, 60, [("refused_temporary", "reply", "454")] * 2),
        (BROKEN_DOVECOT, STILL_BROKEN, 30, [("accepted_no_tls", "tls", "OK")] * 2),
    ],
    ids=["forgets", "stays", "closes"],
)
def test_a_later_look_decides(
    listener: Listener, more: Truth, pause_s: float, looks: list[tuple[str, str, str]], again: Scan
) -> None:
    """The record has both looks, and is that of the second."""
    record = record_of(listener, again)
    assert [(look["verdict"], look["stage"], look["code"]) for look in record["looks"]] == looks
    first, second = map(started, record["looks"])
    assert (second - first).total_seconds() >= pause_s
    versions = {"versions": {"TLSv1.2": listener.truth["versions"]["TLSv1.2"]}} if listener.truth["versions"] else {}
    truth = merged(listener.truth | versions, more)
    assert not list(differences(truth, record))


def started(look: dict[str, Any]) -> datetime:
    """When a look began."""
    return datetime.fromisoformat(look["started"])
