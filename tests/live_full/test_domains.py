"""The mail domains of a small signed DNS, behind real name servers, MX hosts and policy hosts: each record is true."""

import json
import os
import subprocess
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from jsonschema_rs import Draft202012Validator

from tests.live.scan import TLSWEEP
from tests.live.servers import Fleet, NotStartedError
from tests.live.test_truth import differences
from tests.live_full.world.names import GOOD, LEAVES, MANY, UNBOUND
from tests.live_full.world.servers import SERVERS
from tests.live_full.world.truths import NEVER_REACHED, TRUTHS

pytestmark = pytest.mark.timeout(300)
WITHIN_S = 240
AS_WRITTEN = {"xn--bcher-kva.test": "bücher.test"}
WITH_SRV = "srv.test"


@dataclass(frozen=True, slots=True)
class Survey:
    """What the scan of all domains wrote."""

    records: list[dict[str, Any]]
    exit_status: int
    errors: str

    def of(self, kind: str) -> list[dict[str, Any]]:
        """The records of one type."""
        return [record for record in self.records if record["type"] == kind]

    def domain(self, name: str) -> dict[str, Any]:
        """Its one record."""
        (record,) = [record for record in self.of("domain") if record["domain"] == name]
        return record


@pytest.fixture(scope="module")
def survey() -> Iterator[Survey]:
    """Start the world, and scan it by the command as a user has it."""
    if os.geteuid() != 0:
        pytest.exit("the live tests need root: these servers have ports below 1024", returncode=2)
    with TemporaryDirectory(prefix="tlsweep-world-") as name:
        directory = Path(name)
        directory.chmod(0o755)
        try:
            with Fleet(SERVERS, directory, LEAVES) as world:
                yield scan_of(world)
        except NotStartedError as error:
            pytest.exit(f"{error}\n(tests/live_full/install installs the servers)", returncode=2)


def scan_of(world: Fleet) -> Survey:
    """All domains, each on a line."""
    domains, output = world.directory / "domains.txt", world.directory / "out.jsonl"
    domains.write_text("".join(f"{AS_WRITTEN.get(name, name)}\n" for name in TRUTHS))
    options = (
        *("--mx", "--srv", "--resolver", UNBOUND, "--allow", "127.0.0.0/8", "--trust", world.certificates.root),
        *("--rate", "0", "--per-address", "0", "--per-address-rate", "0", "--per-network-rate", "0"),
        *("--network-prefixes", "32,128", "--retries", "0", "--no-progress"),
        *("--versions", "TLSv1.2,TLSv1.3"),
    )
    done = subprocess.run(
        [TLSWEEP, "scan", "--input", domains, "--output", output, *options],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=WITHIN_S,
    )
    records = [json.loads(line) for line in output.read_text().splitlines()] if output.exists() else []
    return Survey(records, done.returncode, done.stderr)


def by_host(record: Mapping[str, Any]) -> dict[str, Any]:
    """The record with its MX hosts by name, its findings by id, and what is in no certain order sorted."""
    mx = {each["host"]: each | {"tlsa": sorted_tlsa(each["tlsa"])} for each in record["mx"]}
    policy = {name: part and part | {"results": in_order(part["results"])} for name, part in record["policy"].items()}
    return {**record, "mx": mx, "policy": policy, "findings": sorted(each["id"] for each in record["findings"])}


def in_order(words: list[str] | None) -> list[str] | None:
    """Sorted, where anything is known."""
    return None if words is None else sorted(words)


def sorted_tlsa(rows: list[dict[str, Any]] | None) -> list[dict[str, Any]] | None:
    """Those that match first, without their data."""
    told = [{name: value for name, value in row.items() if name != "data"} for row in rows or ()]
    return sorted(told, key=lambda row: row["matched"] is not True)


@pytest.mark.parametrize("name", TRUTHS)
def test_the_record_tells_the_truth(name: str, survey: Survey) -> None:
    """Every fact that is known of a domain stands in its one record; and it has no other MX hosts."""
    record = by_host(survey.domain(name))
    wrong = list(differences(TRUTHS[name], record))
    assert not wrong, "\n".join(
        [*(f"{field}: is {truth!r}, recorded {said!r}" for field, truth, said in wrong), json.dumps(record)]
    )
    assert set(record["mx"]) == set(TRUTHS[name]["mx"])


def test_the_scan_ends_well(survey: Survey) -> None:
    """The command says that all went well; each domain has one record, and only blocked addresses are rejected."""
    assert (survey.exit_status, survey.errors) == (0, "")
    assert Counter(record["domain"] for record in survey.of("domain")) == Counter(TRUTHS.keys())
    assert {record["reason"] for record in survey.of("rejected")} == {"blocked"}
    assert {record["address"] for record in survey.of("rejected")} == {NEVER_REACHED}


def test_each_endpoint_is_scanned_once(survey: Survey) -> None:
    """However many domains share an MX host, it has one record; and they refer to nothing that has none."""
    ids = Counter(record["id"] for record in survey.of("endpoint"))
    assert set(ids.values()) == {1}
    named = {each for record in survey.of("domain") for mx in record["mx"] for each in mx["endpoints"]}
    assert named <= set(ids)
    shared = f"smtp://mx1.good.test:25@{GOOD}"
    assert sum(shared in mx["endpoints"] for record in survey.of("domain") for mx in record["mx"]) > 10


def test_mx_hosts_are_in_order(survey: Survey) -> None:
    """Of sixty MX hosts, the most preferred comes first."""
    hosts = survey.domain("many.test")["mx"]
    assert [each["preference"] for each in hosts] == list(range(1, MANY + 1))


def test_services_for_mail_programs(survey: Survey) -> None:
    """SRV records lead to endpoints of their services; a lone dot is "not available"."""
    srv = survey.domain(WITH_SRV)["srv"]
    assert srv["imap"] is None
    ids = {record["id"]: record["status"] for record in survey.of("endpoint")}
    for service, port in (("submission", 587), ("submissions", 465)):
        (target,) = srv[service]
        assert (target["host"], target["port"]) == ("mail.srv.test", port)
        assert [ids[each] for each in target["endpoints"]] == ["tls"]


def test_records_keep_to_the_schema(survey: Survey) -> None:
    """Every line is valid by the JSON Schema that the command itself prints."""
    printed = subprocess.run([TLSWEEP, "schema"], capture_output=True, text=True, check=True, timeout=30).stdout
    validator = Draft202012Validator(json.loads(printed))
    for record in survey.records:
        assert not [f"{error.instance_path}: {error.message}" for error in validator.iter_errors(record)], record
