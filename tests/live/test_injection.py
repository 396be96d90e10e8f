"""The test for command injection at Postfix and Dovecot, which are not careless; each in its own way."""

import pytest

from tests.live import dovecot, postfix
from tests.live.injection import candidates, prove, scan_for_injection
from tests.live.scan import Scan
from tests.live.servers import Listener, Server, Truth


def listeners_of(servers: tuple[Server, ...]) -> list[Listener]:
    return candidates([listener for server in servers for listener in server.listeners])


POSTFIX, DOVECOT = listeners_of(postfix.SERVERS), listeners_of(dovecot.SERVERS)
LISTENERS = [*POSTFIX, *DOVECOT]
each = pytest.mark.parametrize("listener", LISTENERS, ids=lambda listener: listener.id)


@pytest.fixture(scope="module")
def records(scan: Scan) -> dict[str, Truth]:
    """Another scan, while the servers of the first still run."""
    assert scan.exit_status == 0
    return scan_for_injection(LISTENERS)


@pytest.mark.parametrize("listener", POSTFIX, ids=lambda listener: listener.id)
def test_postfix_forgets(listener: Listener, records: dict[str, Truth]) -> None:
    """Postfix, and its postscreen, forget what they had read behind STARTTLS.

    From 3.9 on (smtpd_forbid_unauth_pipelining) it refuses instead, and nobody can tell.
    """
    found = records[listener.id]["injection"]
    if found["result"] == "unknown":
        assert (found["verdict"], found["stage"], found["code"]) == ("refused_permanent", "reply", "554")
    else:
        assert found["result"] == "no"
        assert (found["verdict"], found["stage"], found["text"]) == ("ok", "inside", "221 2.0.0 Bye")
    assert found["early_bytes"] is None


@pytest.mark.parametrize("listener", DOVECOT, ids=lambda listener: listener.id)
def test_dovecot_takes_it_for_tls(listener: Listener, records: dict[str, Truth]) -> None:
    """Dovecot lets TLS have whatever comes behind the command (RFC 9051 §6.2.1), and TLS cannot begin with that."""
    found = records[listener.id]["injection"]
    assert (found["result"], found["stage"], found["early_bytes"]) == ("unknown", "tls", None)
    assert found["verdict"] in ("closed", "reset")  # the ClientHello may or may not have been read by then


@each
def test_nothing_else_is_the_matter(listener: Listener, records: dict[str, Truth]) -> None:
    """What the test provokes stays in its own part."""
    record, truth = records[listener.id], listener.truth
    assert (record["status"], record["starttls"]["verdict"], record["starttls"]["early_bytes"]) == ("tls", "ok", None)
    assert {version: entry["verdict"] for version, entry in record["versions"].items()} == {
        version: entry["verdict"] for version, entry in truth["versions"].items()
    }
    assert record["flags"] == []
    assert not {"command-injection", "response-injection"} & {finding["id"] for finding in record["findings"]}


@each
@pytest.mark.parametrize("careless", [False, True])
async def test_the_proof(listener: Listener, careless: bool, scan: Scan, monkeypatch: pytest.MonkeyPatch) -> None:
    """Their replies inside TLS prove what they should, were they careless or not."""
    injection = await prove(monkeypatch, listener, careless=careless)
    assert injection.result == ("vulnerable" if careless else "no"), injection
