"""Every record is compared with what is known of the server that it is about."""

import json
import subprocess
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from jsonschema_rs import Draft202012Validator

from tests.live.certificates import Issuer, Leaf
from tests.live.fleet import LISTENERS
from tests.live.scan import TLSWEEP, Scan
from tests.live.servers import Listener, merged

UPGRADED = {"smtp", "submission", "imap", "pop3"}

Difference = tuple[str, object, object]  # the field, what is true, what was recorded


def truth_of(listener: Listener, number: int, scan: Scan) -> Mapping[str, object]:
    """All that its record must say."""
    truth: dict[str, object] = {
        "id": listener.id,
        "line": number + 2,
        "tags": {"number": str(number)},
        "host": listener.host,
        "address": listener.address,
        "port": listener.port,
        "service": listener.service,
        "mode": "starttls" if listener.service in UPGRADED else "implicit",
        "sni": listener.host,
    }
    if listener.leaf:
        chain = scan.certificates.chain(listener.leaf)
        certificate = scan.certificates.facts(listener.leaf) | verified(listener.leaf, listener.host)
        if listener.handshake:
            truth["tls"] = {"chain": chain, "certificate_from": "handshake"}
            truth["certificate"] = certificate
        else:
            truth["tls"] = {"chain": chain, "certificate_from": "message"}
            truth["certificate"] = certificate
    return merged(truth, listener.truth)


def verified(leaf: Leaf, host: str | None) -> dict[str, object]:
    """What verification comes to where the root of this run is trusted."""
    trusted = leaf.issuer is not Issuer.SELF
    matches = leaf.covers(host) if host else None
    failed = {
        "certificate-host-mismatch": matches is False,
        "certificate-expired": not leaf.time_valid,
        "certificate-not-trusted": not trusted,
    }
    return {
        "trusted": trusted,
        "trust_error": None if trusted else "self_signed",
        "name_matches": matches,
        "results": [word for word, applies in failed.items() if applies],
    }


def differences(truth: object, recorded: object, field: str = "") -> Iterator[Difference]:
    """Each field in which the record departs from the truth. A field that is not there counts as null."""
    if isinstance(truth, Mapping) and isinstance(recorded, Mapping):
        for name, value in truth.items():
            yield from differences(value, recorded.get(name), f"{field}.{name}" if field else name)
    elif truth != recorded:
        yield field, truth, recorded


def record_of(listener: Listener, scan: Scan) -> dict[str, Any]:
    """Its one endpoint record."""
    found = [record for record in scan.records if record["type"] == "endpoint" and record["id"] == listener.id]
    assert len(found) == 1, f"{len(found)} records of {listener.id}\n{scan.errors}"
    return found[0]


@pytest.mark.parametrize(
    ("number", "listener"), list(enumerate(LISTENERS)), ids=[listener.id for listener in LISTENERS]
)
def test_the_record_tells_the_truth(number: int, listener: Listener, scan: Scan) -> None:
    """Every fact that is known of a server stands in its one record."""
    record = record_of(listener, scan)
    wrong = list(differences(truth_of(listener, number, scan), record))
    assert not wrong, "\n".join(
        [*(f"{field}: is {truth!r}, recorded {recorded!r}" for field, truth, recorded in wrong), json.dumps(record)]
    )


def test_the_scan_ends_well(scan: Scan) -> None:
    """The command says that all went well, and has nothing to complain about."""
    assert (scan.exit_status, scan.errors) == (0, "")


def test_nothing_but_the_targets_is_recorded(scan: Scan) -> None:
    """Between the two records of the run there is one endpoint for each target, and nothing else."""
    first, *middle, last = scan.records
    assert [(run["type"], run["event"]) for run in (first, last)] == [("run", "start"), ("run", "end")]
    assert {record["type"] for record in middle} == {"endpoint"}
    assert sorted(record["id"] for record in middle) == sorted(listener.id for listener in scan.listeners)
    assert len({record["run_id"] for record in scan.records}) == 1
    assert last["complete"] is True
    counts = last["endpoints"]
    assert (counts["taken"], counts["recorded"], counts["unfinished"]) == (len(scan.listeners), len(scan.listeners), 0)
    assert counts["status"] == Counter(listener.truth["status"] for listener in scan.listeners)


def test_records_keep_to_the_schema(scan: Scan) -> None:
    """Every line is valid by the JSON Schema that the command itself prints."""
    printed = subprocess.run([TLSWEEP, "schema"], capture_output=True, text=True, check=True, timeout=30).stdout
    validator = Draft202012Validator(json.loads(printed))
    assert scan.records
    for record in scan.records:
        assert not [f"{error.instance_path}: {error.message}" for error in validator.iter_errors(record)], record


def test_nobody_speaks_out_of_turn(scan: Scan) -> None:
    """Postfix and postscreen, which watch for it, saw no byte before the greeting and nothing pipelined."""
    log = scan.logs["postfix"]
    assert "PASS NEW" in log  # postscreen's tests were taken, not skipped
    assert not [line for line in log.splitlines() if "PREGREET" in line or "ipelining" in line]
