"""From a list of mail domains to their records: the command, a name server and mail servers on loopback."""

import ssl
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from signal import SIGINT, raise_signal
from typing import Any

import orjson
import pytest
import trio
import trio.testing
import trustme
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scanner.config import Config
from scanner.exit_code import ExitCode
from scanner.outcome import Outcome, Stage, Verdict
from scanner.record import Recorder
from scanner.run import LAST_WORDS_S, Run
from scanner.wires import ConnectFailed, Patience
from targets.exclude import Exclusions
from targets.rules import Rules
from tests.peers import honest
from tests.peers.answers import Answers, Said
from tests.peers.command import FAST, Done, Running, records_of, tlsweep
from tests.peers.nameserver import Trouble, Zone, name_server
from tests.peers.scripted import Talk
from tests.peers.scripted import serving as serving_scripts

CA = trustme.CA()
GOOD, ALSO_GOOD, PLAIN, SECOND = "127.50.1.1", "127.50.1.2", "127.50.1.3", "127.50.1.4"


@dataclass(frozen=True, slots=True)
class Fleet:
    """Mail servers on one port, and what DANE says of the good ones."""

    port: int
    key: str  # SHA-256 of the public key, in hexadecimal


@asynccontextmanager
async def fleet(path: Path) -> AsyncIterator[Fleet]:
    """mx1 and mx2 with TLS and one certificate for both, mx3 without, mx4 like mx1 under another key."""
    made = CA.issue_cert("mx1.test", "mx2.test", "alias.test")
    other = CA.issue_cert("mx4.test")
    contexts = [
        honest.context(each.private_key_and_cert_chain_pem.bytes(), str(path / name), ssl.TLSVersion.TLSv1_2)
        for name, each in (("one.pem", made), ("two.pem", other))
    ]
    first = honest.Honest("smtp", GOOD, contexts[0])
    async with honest.serving([first]) as (port,):
        others = [
            honest.Honest("smtp", ALSO_GOOD, contexts[0], port=port),
            honest.Honest("smtp", PLAIN, port=port),
            honest.Honest("smtp", SECOND, contexts[1], port=port),
        ]
        async with honest.serving(others):
            key = x509.load_pem_x509_certificate(made.cert_chain_pems[0].bytes()).public_key()
            spki = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
            yield Fleet(port, sha256(spki).hexdigest())


def zone(servers: Fleet) -> Zone:
    """A world of mail domains."""
    tlsa = f"_{servers.port}._tcp"
    return {
        "good.test": {"MX": ["20 mx2.test.", "10 mx1.test."]},
        "_mta-sts.good.test": {"TXT": ['"v=STSv1; id=20261123"']},
        "_smtp._tls.good.test": {"TXT": ['"v=TLSRPTv1; rua=mailto:tls@good.test"']},
        "_imaps._tcp.good.test": {"SRV": ["0 0 0 ."]},
        "_submission._tcp.good.test": {"SRV": [f"0 1 {servers.port} mx1.test."]},
        "shared.test": {"MX": ["10 mx1.test."]},
        "half.test": {"MX": ["10 mx1.test.", "20 mx3.test."]},
        "plain.test": {"MX": ["10 mx3.test."]},
        "rolled.test": {"MX": ["10 mx4.test."]},
        "null.test": {"MX": ["0 ."]},
        "implicit.test": {"A": [PLAIN]},
        "odd.test": {"MX": ["0 .", "5 alias.test.", "10 127.50.1.1."]},
        "nothing.test": {"TXT": ["x"]},
        "inside.test": {"MX": ["10 inner.test."]},
        "unsigned.insecure": {"MX": ["10 mx1.test."]},
        "mx1.test": {"A": [GOOD]},
        f"{tlsa}.mx1.test": {"TLSA": [f"3 1 1 {servers.key}", "3 1 1 " + "00" * 32]},
        "mx2.test": {"A": [ALSO_GOOD]},
        "mx3.test": {"A": [PLAIN]},
        "mx4.test": {"A": [SECOND]},
        f"{tlsa}.mx4.test": {"TLSA": [f"3 1 1 {servers.key}"]},
        "alias.test": {"CNAME": ["mx1.test."]},
        "inner.test": {"A": ["10.1.2.3"]},
    }


async def scan_domains(
    servers: Fleet, path: Path, *names: str, options: Sequence[str] = (), prefix: str = "mx:"
) -> tuple[Done, list[tuple[str, str, str]]]:
    """Scan these domains; and what the name server was asked."""
    trust = path / "ca.pem"
    trust.write_bytes(CA.cert_pem.bytes())
    async with name_server(zone(servers)) as dns:
        dns.validates = True
        lines = "".join(f"{prefix}{name}:{servers.port}\n" if prefix else f"{name}\n" for name in names)
        resolver = ("--resolver", f"127.0.0.1:{dns.port}", "--trust", str(trust))
        done = await tlsweep(
            "scan", *FAST, "--versions", "1.2,1.3", "--input", "-", *resolver, *options, stdin=lines.encode()
        )
    return done, dns.asked


def domains(done: Done) -> dict[str, dict[str, Any]]:
    """Their records; each has exactly one."""
    records = [record for record in done.records if record["type"] == "domain"]
    assert len({record["domain"] for record in records}) == len(records) == done.end["domains"]["recorded"]
    return {record["domain"]: record for record in records}


@pytest.fixture(params=["1", "2"])
def processes(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """By one process, and by two."""
    for module in ("tests.peers.command", __name__):
        monkeypatch.setattr(f"{module}.FAST", (*FAST, "--processes", request.param))


@pytest.mark.usefixtures("processes")
async def test_a_world_of_domains(tmp_path: Path) -> None:
    """Every domain has its record, equal to the truth; every endpoint is scanned once, whoever shares it."""
    truth = {
        "good.test": "all_tls",
        "shared.test": "all_tls",
        "half.test": "some_tls",
        "plain.test": "no_tls",
        "rolled.test": "all_tls",
        "null.test": "null_mx",
        "implicit.test": "no_tls",
        "odd.test": "all_tls",
        "nothing.test": "nodata",
        "gone.test": "nxdomain",
        "inside.test": "blocked",
        "unsigned.insecure": "all_tls",
    }
    async with fleet(tmp_path) as servers:
        done, asked = await scan_domains(servers, tmp_path, *truth, "good.test")
        port = servers.port
    found = domains(done)
    assert (done.code, done.errors) == (0, "")
    assert {name: record["status"] for name, record in found.items()} == truth
    assert sorted(record["id"] for record in done.endpoints) == sorted(
        f"smtp://{place}"
        for place in (
            f"mx1.test:{port}@{GOOD}",
            f"mx2.test:{port}@{ALSO_GOOD}",
            f"mx3.test:{port}@{PLAIN}",
            f"mx4.test:{port}@{SECOND}",
            f"alias.test:{port}@{GOOD}",
            f"implicit.test:{port}@{PLAIN}",
        )
    )
    statuses = {record["id"]: record["status"] for record in done.endpoints}
    for record in found.values():
        for mx in record["mx"]:
            assert [statuses[each] for each in mx["endpoints"]] == mx["statuses"]
    rejected = {(each["reason"], each["address"]) for each in done.rejected}
    assert rejected == {("blocked", "10.1.2.3"), ("duplicate", None)}
    assert done.end["lines"] == {"read": 13, "blank": 0, "expanded": 12, "rejected": 1}
    assert asked.count(("mx1.test", "A", "udp")) == 1


@pytest.mark.usefixtures("processes")
async def test_what_domains_promise(tmp_path: Path) -> None:
    """DANE where it is secure, right, rolled over and wrong; MTA-STS whose policy is not there; TLS-RPT; findings."""
    async with fleet(tmp_path) as servers:
        done, _ = await scan_domains(servers, tmp_path, "good.test", "rolled.test", "unsigned.insecure", "odd.test")
    found = domains(done)
    good, rolled, unsigned = found["good.test"], found["rolled.test"], found["unsigned.insecure"]
    assert (good["dnssec"], good["mx"][0]["dnssec"], unsigned["dnssec"]) == ("secure", "secure", "insecure")
    assert [(mx["host"], mx["preference"]) for mx in good["mx"]] == [("mx1.test", 10), ("mx2.test", 20)]
    told = {each["data"]: each["matched"] for each in good["mx"][0]["tlsa"]}
    assert told == {servers.key: True, "00" * 32: False}
    assert [mx["tlsa"] for mx in good["mx"][1:]] == [[]]
    assert good["policy"]["dane"] == {"results": []}
    assert rolled["policy"]["dane"] == {"results": ["tlsa-invalid"]}
    assert [each["matched"] for each in unsigned["mx"][0]["tlsa"]] == [
        each["matched"] for each in good["mx"][0]["tlsa"]
    ]
    assert unsigned["policy"]["dane"] is None
    sts = good["policy"]["mta_sts"]
    assert (sts["id"], sts["mode"], sts["results"]) == ("20261123", None, ["sts-policy-fetch-error"])
    assert sts["fetch"]["cause"] == "dns"
    assert good["policy"]["tls_rpt"]["addresses"] == ["mailto:tls@good.test"]
    assert {name: [each["id"] for each in record["findings"]] for name, record in found.items()} == {
        "good.test": ["mta-sts-fails"],
        "rolled.test": ["dane-fails"],
        "unsigned.insecure": [],
        "odd.test": ["null-mx-with-others", "mx-is-alias", "mx-is-address", "mx-without-address"],
    }
    alias = found["odd.test"]["mx"][0]
    assert (alias["tlsa_base"], alias["endpoints"]) == ("mx1.test", [f"smtp://alias.test:{servers.port}@{GOOD}"])
    assert [each["matched"] for each in alias["tlsa"]] == [each["matched"] for each in good["mx"][0]["tlsa"]]


async def test_no_policy(tmp_path: Path) -> None:
    """With --no-policy nobody is asked what it promises."""
    async with fleet(tmp_path) as servers:
        done, asked = await scan_domains(servers, tmp_path, "good.test", options=["--no-policy"])
    record = domains(done)["good.test"]
    assert (record["status"], record["policy"], record["mx"][0]["tlsa"]) == ("all_tls", None, None)
    assert {kind for _, kind, _ in asked} == {"MX", "A", "AAAA"}
    assert done.records[0]["settings"]["policy"] is False


@pytest.mark.usefixtures("processes")
@pytest.mark.parametrize(("options", "has_mx"), [(["--srv"], False), (["--mx", "--srv"], True)])
async def test_srv(tmp_path: Path, options: list[str], has_mx: bool) -> None:
    """Plain names are domains with --srv, by itself or beside --mx."""
    async with fleet(tmp_path) as servers:
        done, _ = await scan_domains(servers, tmp_path, "good.test", options=options, prefix="")
        port = servers.port
    record = domains(done)["good.test"]
    assert record["srv"]["imaps"] is None
    assert record["srv"]["pop3s"] == []
    (target,) = record["srv"]["submission"]
    assert (target["endpoints"], target["statuses"]) == ([f"submission://mx1.test:{port}@{GOOD}"], ["tls"])
    assert bool(record["mx"]) == has_mx
    assert record["status"] == ("unreachable" if has_mx else "all_tls")  # nobody is on port 25


@pytest.mark.usefixtures("processes")
async def test_an_endpoint_that_came_before(tmp_path: Path) -> None:
    """A line that names what a domain's MX host is later: it is scanned once, and the domain knows of it."""
    async with fleet(tmp_path) as servers, name_server(zone(servers)) as dns:
        lines = f"smtp://mx1.test:{servers.port}\nmx:shared.test:{servers.port}\nsmtp://mx1.test:{servers.port}\n"
        done = await tlsweep("scan", *FAST, "--input", "-", "--resolver", f"127.0.0.1:{dns.port}", stdin=lines.encode())
    assert len(done.endpoints) == 1
    assert domains(done)["shared.test"]["mx"][0]["statuses"] == ["tls"]
    assert done.end["rejected"] == {"duplicate": 1}


async def mute(talk: Talk) -> None:
    """Takes the connection and says nothing."""
    await talk.silence()


@pytest.mark.usefixtures("processes")
async def test_a_signal(tmp_path: Path) -> None:
    """A domain whose endpoints are not over has its record all the same, and says what is not known."""
    async with serving_scripts({"mute": mute}) as servers:
        server = servers["mute"]
        records: Zone = {"slow.test": {"MX": ["10 mx.test."]}, "mx.test": {"A": [server.address]}}
        async with name_server(records) as dns:
            options = ("--timeout-greeting", "60", "--resolver", f"127.0.0.1:{dns.port}")
            async with Running(f"mx:slow.test:{server.port}", *options) as running:
                await server.visited.wait()
                running.process.send_signal(SIGINT)
                running.process.send_signal(SIGINT)
                done = await running.done()
    assert (done.code, done.end["complete"]) == (3, False)
    record = domains(done)["slow.test"]
    assert record["mx"][0]["endpoints"] == [f"smtp://mx.test:{server.port}@{server.address}"]
    assert (record["status"], record["mx"][0]["statuses"], done.endpoints) == ("inconclusive", [None], [])
    assert done.end["endpoints"]["unfinished"] == 1


async def test_a_signal_while_a_domain_is_to_be_asked_again() -> None:
    """It has its record with what the DNS said so far, at once."""
    records: Zone = {"broken.test": {"MX": Trouble.SERVFAIL}, "null.test": {"MX": ["0 ."]}}
    async with (
        name_server(records) as dns,
        Running("--input", "-", "--resolver", f"127.0.0.1:{dns.port}") as running,
    ):
        await running.say(b"mx:broken.test\nmx:null.test\n")
        await running.read_until(b'"null_mx"')  # written after a second: by then both are answered
        running.process.send_signal(SIGINT)
        done = await running.done()
    found = {name: record["status"] for name, record in domains(done).items()}
    assert (done.code, found) == (3, {"broken.test": "servfail", "null.test": "null_mx"})
    assert done.end["lines"]["expanded"] == 2


async def test_two_signals_while_many_domains_wait(
    tmp_path: Path, mock_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each has its record, and the run its end, also where making them takes longer than last words may."""
    table = {f"d{number}.test MX": ["10 mx.test."] for number in range(5)} | {"mx.test A": ["1.1.1.1"]}
    made = Recorder.domain

    def slowly(*args: Any, **kwargs: Any) -> dict[str, Any]:
        mock_clock.jump(LAST_WORDS_S)
        return made(*args, **kwargs)

    async def hanging(*_dialled: Any) -> Any:
        for _ in range(2):
            await trio.testing.wait_all_tasks_blocked()
            raise_signal(SIGINT)
        await trio.sleep_forever()

    monkeypatch.setattr(Recorder, "domain", slowly)
    lines = [f"mx:d{number}.test" for number in range(5)]
    records = await run_in_process(tmp_path, table, lines, dialling=hanging, ends=ExitCode.STOPPED)
    assert [record["type"] for record in records] == ["run", *["domain"] * 5, "run"]
    assert records[-1]["lines"]["expanded"] == records[-1]["domains"]["recorded"] == 5


# --- any world --------------------------------------------------------------------------------------------------------

NAMES = [f"mx{number}.test" for number in range(6)]


async def refused(address: str, port: int, timeout_s: float, patience: Patience) -> Any:
    """Nobody listens anywhere; TLS is not what this is about."""
    await trio.lowlevel.checkpoint()
    raise ConnectFailed(Outcome(Verdict.UNREACHABLE, Stage.CONNECT, "refused"))


async def run_in_process(
    tmp_path: Path,
    table: Mapping[str, Said],
    lines: Sequence[str],
    dialling: Callable[..., Any] = refused,
    ends: ExitCode = ExitCode.COMPLETE,
) -> list[dict[str, Any]]:
    """A whole run without a network; its records."""
    output, source = tmp_path / "out.jsonl", tmp_path / "in.txt"
    source.write_text("".join(f"{line}\n" for line in lines))
    with pytest.MonkeyPatch.context() as patch, output.open("wb") as file:
        patch.setattr("scanner.run.Resolver", lambda *_, **__: InMemory(table))
        patch.setattr("scanner.crew.dial", dialling)
        patch.setattr("scanner.run.Exclusions", lambda *_: Exclusions())
        config = Config(inputs=(str(source),), rules=Rules(), progress=False, retries=0)
        assert await Run(config, file.fileno()).scan() is ends
    return records_of(output.read_bytes())


class InMemory(Answers):
    """What a run asks of its resolver besides."""

    @property
    def servers(self) -> tuple[str, ...]:
        """Nobody."""
        return ()

    @property
    def descriptors(self) -> int:
        """None."""
        return 0


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    st.lists(st.sets(st.sampled_from(NAMES), max_size=4), max_size=8),
    st.sets(st.sampled_from(NAMES)),
    st.randoms(use_true_random=False),
)
async def test_however_domains_share_hosts(
    tmp_path: Path, wanted: list[set[str]], as_hosts: set[str], order: Any
) -> None:
    """Each endpoint is scanned exactly once, and each domain is recorded exactly once, with all endpoints known."""
    table: dict[str, Said] = {f"{name} A": [f"1.1.1.{number}", f"1.1.2.{number}"] for number, name in enumerate(NAMES)}
    table |= {f"d{n}.test MX": [f"10 {name}." for name in names] or ["0 ."] for n, names in enumerate(wanted)}
    lines = [*(f"mx:d{number}.test" for number in range(len(wanted))), *(f"smtp://{name}" for name in as_hosts)]
    order.shuffle(lines)
    records = await run_in_process(tmp_path, table, lines)
    ids = [record["id"] for record in records if record["type"] == "endpoint"]
    expected = {
        f"smtp://{name}:25@1.1.{half}.{NAMES.index(name)}" for name in as_hosts.union(*wanted) for half in (1, 2)
    }
    assert (len(ids), set(ids)) == (len(expected), expected)
    found = [record for record in records if record["type"] == "domain"]
    assert sorted(record["domain"] for record in found) == sorted(f"d{number}.test" for number in range(len(wanted)))
    for record in found:
        names = wanted[int(record["domain"][1:].removesuffix(".test"))]
        assert {mx["host"] for mx in record["mx"]} == names
        assert record["status"] == ("unreachable" if names else "null_mx")
        assert [mx["statuses"] for mx in record["mx"]] == [["unreachable"] * 2] * len(names)
    end = records[-1]
    assert end["domains"]["recorded"] == len(found) == sum(end["domains"]["status"].values())
    assert orjson.loads(orjson.dumps(end))["lines"]["expanded"] >= len(wanted)


async def test_domains_of_a_resumed_run(tmp_path: Path) -> None:
    """They hear what endpoints came to that were scanned before: status, certificate, which TLSA records match."""
    trust, targets, output = tmp_path / "ca.pem", tmp_path / "targets.txt", tmp_path / "out.jsonl"
    trust.write_bytes(CA.cert_pem.bytes())
    async with fleet(tmp_path) as servers, name_server(zone(servers)) as dns:
        dns.validates = True
        options = ("--versions", "1.2,1.3", "--resolver", f"127.0.0.1:{dns.port}", "--trust", str(trust))
        for names in (("good.test", "rolled.test"), ("good.test", "rolled.test", "shared.test", "half.test")):
            targets.write_text("".join(f"mx:{name}:{servers.port}\n" for name in names))
            done = await tlsweep("scan", *FAST, *options, "--input", str(targets), "-o", str(output), "--resume")
            assert (done.code, output.exists()) == (0, True)
        resumed = {each["domain"]: each for each in records_of(output.read_bytes()) if each["type"] == "domain"}
        output.unlink()
        done = await tlsweep("scan", *FAST, *options, "--input", str(targets), "-o", str(output))
        at_once = {each["domain"]: each for each in records_of(output.read_bytes()) if each["type"] == "domain"}
    assert {each["matched"] for each in resumed["shared.test"]["mx"][0]["tlsa"]} == {True, False}
    for each in (*resumed.values(), *at_once.values()):
        del each["run_id"]
    assert resumed == at_once
