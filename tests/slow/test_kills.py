"""A scan of 20,000 endpoints that is killed a hundred times, and disks that fill: nothing is lost or repeated."""

import os
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from ipaddress import ip_address
from pathlib import Path

import pytest
import trio
import trustme

from benchmarks.fleet import free_ports, running
from tests.peers.nameserver import NameServer, name_server
from tests.peers.scripted import Server, Talk, serving
from tests.peers.survey import Command, Moment, Survey, grown, passed, records_of_row

ADDRESS = "127.62.0.1"
ENDPOINTS, DOMAINS, MX_HOSTS, BUSY = 20_000, 2_000, 200, 12
KILLS = {  # a hundred
    "out.jsonl": {"chance": 44, "join": 12, "second look": 12},
    "out.jsonl.zst": {"chance": 16, "flush": 16},
}
RATE = 150  # new connections a second, so that the scan outlives all kills, on a quick machine too
TO_ITS_END_S = 600


async def busy(talk: Talk) -> None:
    """Too many connections, always: an endpoint that waits a minute for its second look."""
    await talk.say(b"421 4.7.0 Too many connections\r\n")


@contextmanager
def mail_server(directory: Path) -> Iterator[int]:
    """A quick one in a process of its own, on every loopback address; its port."""
    leaf = trustme.CA().issue_cert("mx.test")
    leaf.private_key_pem.write_to_path(str(directory / "key.pem"))
    leaf.cert_chain_pems[0].write_to_path(str(directory / "chain.pem"))
    (port,) = free_ports(1)
    with running([sys.executable, "-m", "benchmarks.smtp_server", str(port), str(directory)], port):
        yield port


def asked_for_mx(dns: NameServer, pause_s: float) -> Moment:
    """When a domain was asked about, and so much later: it waits for its hosts, or for their endpoints."""

    def count() -> int:
        return sum(kind == "MX" for _, kind, _ in dns.asked)

    async def moment() -> None:
        before = count()
        while count() <= before:  # noqa: ASYNC110
            await trio.sleep(0.002)
        await trio.sleep(pause_s)

    return moment


def turned_away(servers: list[Server], pause_s: float) -> Moment:
    """When a busy server has turned an endpoint away, and so much later: it waits for its second look."""

    async def moment() -> None:
        before = sum(server.connections for server in servers)
        while sum(server.connections for server in servers) <= before:  # noqa: ASYNC110
            await trio.sleep(0.002)
        await trio.sleep(pause_s)

    return moment


@pytest.mark.parametrize("name", KILLS)
async def test_a_hundred_kills(tmp_path: Path, name: str) -> None:
    """kill -9 at moments of chance, in flushes, in joins of domains, in waits for a second look."""
    chance, output = random.Random(6), tmp_path / name
    scripts = {f"busy{number}": busy for number in range(BUSY)}
    async with AsyncExitStack() as stack:
        port = stack.enter_context(mail_server(tmp_path))
        servers = await stack.enter_async_context(serving(scripts))
        first = int(ip_address("127.62.1.0"))
        bare = [(str(ip_address(first + number)), port) for number in range(ENDPOINTS - MX_HOSTS - BUSY)]
        turning_away = list(servers.values())
        bare[100:100] = [(server.address, server.port) for server in turning_away]
        whole = Survey(port, ADDRESS, MX_HOSTS, tuple(bare), DOMAINS, MX_HOSTS)
        (tmp_path / "targets.csv").write_text(whole.input)
        async with name_server(whole.zone) as dns:
            options = ("--versions", "1.3", "--retries", "1", "--rotate", "2M")
            hasty = Command.of(tmp_path / "targets.csv", output, dns.port, *options)
            command = Command.of(tmp_path / "targets.csv", output, dns.port, *options, "--rate", str(RATE))

            def moment(kind: str) -> Moment:
                match kind:
                    case "flush":
                        return grown(output, chance.random() * 0.02)
                    case "join":
                        return asked_for_mx(dns, chance.random() * 0.3)
                    case "second look":
                        return turned_away(turning_away, chance.random() * 0.5)
                return passed(0.4 + chance.random() * 3.6)

            kinds = [kind for kind, count in KILLS[name].items() for _ in range(count)]
            chance.shuffle(kinds)
            kinds.sort(key=lambda kind: kind == "chance")  # the domains are asked about early
            killed: Counter[str] = Counter()
            for kind in kinds:
                with trio.move_on_after(30):
                    killed[kind] += await command.until(moment(kind)) is None
            assert killed == KILLS[name]
            code, errors = await hasty.to_its_end(TO_ITS_END_S)
            assert code == 0, errors
            records = whole.check(output)
    parts = Counter(record["event"] for record in records if record["type"] == "run")
    print(f"killed {dict(killed)}; parts that had begun to write: {dict(parts)}")
    assert parts["resume"] >= 10  # others were killed before their first flush
    statuses = Counter(record["status"] for record in records if record["type"] == "endpoint")
    assert statuses == {"tls": ENDPOINTS - BUSY, "inconclusive": BUSY}


@contextmanager
def small_disk(path: Path, size: str) -> Iterator[None]:
    """A tmpfs of that size."""
    path.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", path], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", path], check=True)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to mount a tmpfs")
@pytest.mark.parametrize(("name", "size"), [("out.jsonl", "1m"), ("out.jsonl.gz", "32k"), ("out.jsonl.zst", "16k")])
async def test_a_disk_that_fills(tmp_path: Path, name: str, size: str) -> None:
    """The run ends with a message and whole lines, and goes on when there is room."""
    disk = tmp_path / "disk"
    with mail_server(tmp_path) as port:
        whole = Survey(port, ADDRESS, 1_500, (), 50, 20)
        (tmp_path / "targets.csv").write_text(whole.input)
        async with name_server(whole.zone) as dns:
            with small_disk(disk, size):
                command = Command.of(tmp_path / "targets.csv", disk / name, dns.port, "--versions", "1.3")
                code, errors = await command.to_its_end(TO_ITS_END_S)
                assert (code, "No space left on device" in errors) == (3, True), errors
                assert (disk / name).stat().st_size == 0 or records_of_row(disk / name)
                await trio.run_process(["mount", "-o", "remount,size=64m", disk])
                code, errors = await command.to_its_end(TO_ITS_END_S)
                assert code == 0, errors
                whole.check(disk / name)
