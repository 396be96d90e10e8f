"""`--certificates FILE`: each distinct certificate once, whole, and never in the way of the records."""

import base64
import hashlib
import os
import signal
import ssl
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import trio
import trustme

from scanner.chain import Unseen
from tests.peers import honest
from tests.peers.command import TLSWEEP, WITHIN_S, Running, records_of, scan
from tests.peers.scripted import Talk, serving

CA = trustme.CA(key_type=trustme.KeyType.ECDSA)
MIDDLE = CA.create_child_ca(key_type=trustme.KeyType.ECDSA)
HOSTS = ("mx1.example.org", "mx2.example.org")


class Servers(AsyncExitStack):
    """Two web servers, each with a leaf of its own and the same intermediate; targets are on `lines`."""

    def __init__(self, directory: Path) -> None:
        super().__init__()
        self._directory = directory
        self.lines = ""

    async def __aenter__(self) -> "Servers":
        await super().__aenter__()
        for number, host in enumerate(HOSTS):
            pem = MIDDLE.issue_cert(host, key_type=trustme.KeyType.ECDSA).private_key_and_cert_chain_pem.bytes()
            tls = honest.context(pem, str(self._directory / f"{number}.pem"), ssl.TLSVersion.TLSv1_2)
            server = honest.Honest("http", f"127.46.8.{number}", tls, implicit=True)
            (port,) = await self.enter_async_context(honest.serving([server]))
            # Each under three names, so that there are six endpoints with four certificates in all their chains.
            self.lines += "".join(f"{name},127.46.8.{number},{port},https\n" for name in (host, "other.example", ""))
        return self

    @property
    def targets(self) -> bytes:
        """As an input."""
        return f"host,address,port,service\n{self.lines}".encode()


def stored(path: Path) -> list[dict[str, Any]]:
    """The records of the file."""
    return records_of(path.read_bytes())


async def test_each_once(tmp_path: Path) -> None:
    """Leaves and the intermediate, each once; endpoints refer to them, and the counts add up."""
    path = tmp_path / "certificates.jsonl"
    path.write_text("from an earlier run\n")
    async with Servers(tmp_path) as servers:
        done = await scan("-i", "-", "--versions", "1.3", "--certificates", str(path), stdin=servers.targets)
    assert (done.code, done.errors) == (0, "")
    records = stored(path)
    assert len(records) == len({record["sha256"] for record in records}) == 3
    assert {record["sha256"] for record in records} == {each for one in done.endpoints for each in one["tls"]["chain"]}
    assert done.end["certificates"] == 3
    assert done.records[0]["settings"]["certificates"] == str(path)
    assert {record["run_id"] for record in records} == {done.end["run_id"]}
    ids = {record["id"]: record for record in done.endpoints}
    for record in records:
        assert hashlib.sha256(base64.b64decode(record["der"])).hexdigest() == record["sha256"]
        assert record["sha256"] in ids[record["first_seen"]]["tls"]["chain"]
    leaves = {record["sha256"]: record for record in records if record["dns_names"]}
    for endpoint in done.endpoints:
        leaf = leaves[endpoint["certificate"]["sha256"]]
        assert {word: endpoint["certificate"][word] for word in leaf.keys() & endpoint["certificate"].keys()} == {
            word: leaf[word] for word in leaf.keys() & endpoint["certificate"].keys()
        }
        here_and_now = {"time_valid", "trusted", "trust_error", "name_matches", "results"}
        assert endpoint["certificate"].keys() - leaf.keys() == here_and_now


async def test_without_the_option(tmp_path: Path) -> None:
    """Nothing is stored, and nothing is counted."""
    done = await scan("-i", "-", stdin=b"!\n")
    assert done.end["certificates"] is None
    assert done.records[0]["settings"]["certificates"] is None


async def test_nothing_was_seen(tmp_path: Path) -> None:
    """An empty file for no certificate."""
    path = tmp_path / "certificates.jsonl"
    done = await scan("-i", "-", "--certificates", str(path), stdin=b"!\n")
    assert (done.code, done.end["certificates"], path.read_bytes()) == (0, 0, b"")


async def test_a_full_disk(tmp_path: Path) -> None:
    """The run ends with a message and is not complete; the records are whole, the last one too."""
    async with Servers(tmp_path) as servers:
        done = await scan("-i", "-", "--versions", "1.3", "--certificates", "/dev/full", stdin=servers.targets)
    assert (done.code, done.end["complete"]) == (3, False)
    assert "the file of the certificates cannot be written: No space left on device" in done.errors
    assert "Traceback" not in done.errors


async def test_a_full_disk_ends_a_run_that_never_would(tmp_path: Path) -> None:
    """It is told while the run goes on, and not at its end."""
    async with Servers(tmp_path) as servers:
        options = ("-i", "-", "--versions", "1.3", "--certificates", "/dev/full")
        async with Running(*options) as running:
            await running.say(servers.targets)
            done = await running.done()
    assert (done.code, done.end["complete"]) == (3, False)


async def test_a_reader_that_has_gone(tmp_path: Path) -> None:
    """A pipe whose reader has gone ends the run with a message."""
    async with Servers(tmp_path) as servers:
        (tmp_path / "targets.csv").write_bytes(servers.targets)
        pace = "--per-address-rate 0 --per-network-rate 0"
        options = f"--allow 127.0.0.0/8 {pace} --no-progress --versions 1.3 -i {tmp_path}/targets.csv"
        command = f"{TLSWEEP} scan {options} --certificates >(exec true) > {tmp_path}/out.jsonl; echo $?"
        with trio.fail_after(WITHIN_S):
            done = await trio.run_process(["bash", "-c", command], capture_stdout=True, capture_stderr=True)
    assert (done.stdout, b"the reader of the file of the certificates has gone" in done.stderr) == (b"3\n", True)
    records = records_of((tmp_path / "out.jsonl").read_bytes())
    assert (records[-1]["event"], records[-1]["complete"]) == ("end", False)


async def silent(talk: Talk) -> None:
    """Says nothing."""
    await talk.silence()


async def test_a_second_signal(tmp_path: Path) -> None:
    """A reader that reads nothing of the certificates does not keep the records from their end."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    try:
        while True:
            os.write(writing, bytes(4_096))
    except BlockingIOError:
        os.set_blocking(writing, True)
    path = f"/proc/{os.getpid()}/fd/{writing}"
    async with Servers(tmp_path) as servers, serving({"silent": silent}) as others:
        options = ("-i", "-", "--versions", "1.3", "--certificates", path, "--timeout-greeting", "30")
        async with Running(*options) as running:
            await running.say(servers.targets + f",{others['silent'].address},{others['silent'].port},smtp\n".encode())
            await running.read_until(b'"endpoint"')
            await others["silent"].visited.wait()
            running.process.send_signal(signal.SIGINT)
            await running.read_errors_until(b"stopping")
            running.process.send_signal(signal.SIGINT)
            done = await running.done()
    os.close(reading)
    os.close(writing)
    assert (done.code, done.end["complete"]) == (3, False)


async def test_where_it_may_not_go(tmp_path: Path) -> None:
    """Not to standard output, not to the records, and over nothing that is read; nothing is overwritten then."""
    records, targets = tmp_path / "out.jsonl", tmp_path / "targets.txt"
    records.write_text("kept\n")
    targets.write_text("127.0.0.1\n")
    (tmp_path / "link").symlink_to(records)
    file_each = "the certificates and the records need a file each"
    for arguments, why in (
        (("--certificates", "-"), "--certificates needs a file: standard output is for the records"),
        (("--certificates", str(records), "-o", str(records)), f"{records}: {file_each}"),
        (("--certificates", str(tmp_path / "link"), "-o", str(records)), f"{tmp_path}/link: {file_each}"),
        (("--certificates", f"{tmp_path}/new", "-o", f"{tmp_path}/./new"), f"{tmp_path}/new: {file_each}"),
        (("--certificates", "/dev/stdout"), f"/dev/stdout: {file_each}"),
        (
            ("-i", str(targets), "--certificates", str(targets)),
            f"{targets}: the certificates would overwrite {targets}",
        ),
        (
            ("--certificates", f"{tmp_path}/no/where", "-o", str(records)),
            f"{tmp_path}/no/where: No such file or directory",
        ),
        (("--certificates", f"{tmp_path}/new", "-o", str(tmp_path)), f"{tmp_path}: Is a directory"),
    ):
        done = await scan(*arguments, "127.0.0.1")
        assert (done.code, done.errors.strip(), done.output) == (2, f"tlsweep: {why}", b"")
    assert records.read_text() == "kept\n"


async def test_standard_output_into_the_same_file(tmp_path: Path) -> None:
    """The shell's redirection is seen too; a device may be named twice."""
    shell = f"exec >> {tmp_path}/out.jsonl"
    done = await scan("-i", "-", "--certificates", f"{tmp_path}/out.jsonl", shell=shell)
    assert (done.code, "need a file each" in done.errors) == (2, True)
    done = await scan("-i", "-", "--certificates", "/dev/null", "-o", "/dev/null")
    assert (done.code, done.errors) == (0, "")


def test_unseen() -> None:
    """Each is new once, however many there are, and within one chain too."""
    unseen = Unseen()
    assert unseen.new_ones([b"a", b"b", b"a"]) == [b"a", b"b"]
    assert unseen.new_ones([b"b", b"c"]) == [b"c"]
    many = [number.to_bytes(4, "big") for number in range(20_000)]
    assert unseen.new_ones(many) == many
    assert unseen.new_ones(many) == []
