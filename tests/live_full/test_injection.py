"""The test for command injection at more servers; one of them is careless indeed."""

import pytest

from tests.live.injection import candidates, prove, scan_for_injection
from tests.live.scan import Scan
from tests.live.servers import Listener, Truth
from tests.live_full import postfix
from tests.live_full.fleet import SERVERS

FORGOTTEN = {"result": "no", "verdict": "ok", "stage": "inside", "early_bytes": None}
TAKEN_FOR_TLS = {"result": "unknown", "stage": "tls", "early_bytes": None}  # RFC 9051 §6.2.1
RUN_INSIDE = {
    "result": "vulnerable",
    "verdict": "ok",
    "stage": "inside",
    "code": "+OK",
    "text": "+OK Here's what I can do:",
    "early_bytes": None,
}
# By the name of the server, or how it begins.
EXPECTED: dict[str, Truth] = {
    "dovecot-": TAKEN_FOR_TLS,
    "postfix": FORGOTTEN,
    "exim": FORGOTTEN,
    "courier-imap": FORGOTTEN,
    "courier-pop3": RUN_INSIDE,  # before 1.1.5 (CVE-2021-38084); Debian 12 has 1.0.16
    "cyrus": FORGOTTEN,
}
# It lets nobody in without a certificate, and says so inside TLS: no command is answered there.
TURNED_AWAY_INSIDE = {"result": "unknown", "verdict": "closed", "stage": "inside", "code": "421"}
LISTENERS = [
    (server.name, listener)
    for server in SERVERS
    for listener in candidates(server.listeners)
    if listener is not postfix.LIMITED  # test_second_look.py counts its connections
]
TALKATIVE = [listener for _, listener in LISTENERS if listener.truth["starttls"]["inside"]]


@pytest.fixture(scope="module")
def records(scan: Scan) -> dict[str, Truth]:
    """Another scan, while the servers of the first still run."""
    assert scan.records
    return scan_for_injection([listener for _, listener in LISTENERS])


@pytest.mark.parametrize(("server", "listener"), LISTENERS, ids=[listener.id for _, listener in LISTENERS])
def test_each_in_its_own_way(server: str, listener: Listener, records: dict[str, Truth]) -> None:
    """What becomes of a command behind STARTTLS, and nothing else of the record."""
    record = records[listener.id]
    (expected,) = (truth for name, truth in EXPECTED.items() if server.startswith(name))
    if listener not in TALKATIVE:
        expected = TURNED_AWAY_INSIDE
    assert {name: record["injection"][name] for name in expected} == expected
    raised = {finding["id"] for finding in record["findings"]}
    assert ("command-injection" in raised) == (expected["result"] == "vulnerable")
    assert "response-injection" not in raised
    assert (record["status"], record["starttls"]["verdict"], record["starttls"]["early_bytes"]) == ("tls", "ok", None)


@pytest.mark.parametrize("listener", TALKATIVE, ids=lambda listener: listener.id)
@pytest.mark.parametrize("careless", [False, True])
async def test_the_proof(listener: Listener, careless: bool, scan: Scan, monkeypatch: pytest.MonkeyPatch) -> None:
    """Their replies inside TLS prove what they should, were they careless or not."""
    injection = await prove(monkeypatch, listener, careless=careless)
    assert injection.result == ("vulnerable" if careless else "no"), injection
