"""Runs that are killed and resumed, by the real command: in the end, everything is there exactly once."""

import fcntl
import random
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import orjson
import pytest
import trio

from tests.peers.command import tlsweep
from tests.peers.nameserver import NameServer, name_server
from tests.peers.scripted import Server, Talk, serving
from tests.peers.survey import Command, Survey, grown, records_of_row, row_of

NAMES = ("out.jsonl", "out.jsonl.gz", "out.jsonl.zst")
WITHIN_S = 40


async def plain(talk: Talk) -> None:
    """Mail without TLS: one connection is enough."""
    await talk.say(b"220 mx ESMTP\r\n")
    await talk.hear_line()
    await talk.say(b"250-mx\r\n250 SIZE 1000\r\n")
    await talk.hear_line()
    await talk.say(b"221 bye\r\n")


async def late(talk: Talk) -> None:
    """The same, after a while."""
    await trio.sleep(0.4)
    await plain(talk)


@asynccontextmanager
async def survey(
    directory: Path, *, hosts: int = 900, domains: int = 40, script: str = "plain"
) -> AsyncIterator[tuple[Survey, Path, NameServer]]:
    """A server, a name server, and the file of targets."""
    async with serving({"plain": plain, "late": late}) as servers:
        server: Server = servers[script]
        made = Survey(server.port, server.address, hosts, (), domains, mx_hosts=12)
        (directory / "targets.csv").write_text(made.input)
        async with name_server(made.zone) as dns:
            yield made, directory / "targets.csv", dns


@pytest.mark.parametrize("name", NAMES)
async def test_killed_again_and_again(tmp_path: Path, name: str) -> None:
    """At moments of chance, while lines and members are written: nothing is lost, and nothing is there twice."""
    output, chance = tmp_path / name, random.Random(name)
    async with survey(tmp_path) as (whole, targets, dns):
        command = Command.of(targets, output, dns.port, "--rotate", "300K" if name == "out.jsonl" else "8K")
        ends = [await command.until(grown(output, chance.random() * 0.3)) for _ in range(4)]
        code, errors = await command.to_its_end(WITHIN_S)
        assert (code, None in ends) == (0, True), errors
        records = whole.check(output)
        parts = [record for record in records if record["type"] == "run"]
        resumed = parts[-2]
        assert (parts[-1]["event"], resumed["event"]) == ("end", "resume")
        assert resumed["recorded"]["endpoints"] + parts[-1]["endpoints"]["recorded"] == len(whole.endpoint_ids)
        assert len(row_of(output)) > 1


async def test_an_output_that_is_complete(tmp_path: Path) -> None:
    """There is nothing left to do: no connection, no question about domains, and no record but those of the part."""
    async with survey(tmp_path, hosts=20, domains=5) as (whole, targets, dns):
        command = Command.of(targets, tmp_path / "out.jsonl", dns.port)
        assert (await command.to_its_end(WITHIN_S))[0] == 0
        before, asked = len(whole.check(tmp_path / "out.jsonl")), len(dns.asked)
        code, errors = await command.to_its_end(WITHIN_S)
        assert (code, "going on with an earlier run" in errors) == (0, True)
        records = whole.check(tmp_path / "out.jsonl")
        assert (len(records), len(dns.asked)) == (before + 2, asked)
        end = records[-1]
        assert (end["connections"], end["endpoints"]["taken"], end["domains"]["recorded"]) == (0, 0, 0)
        assert (end["endpoints"]["left_out"], end["domains"]["left_out"]) == (20, 5)
        assert records[-2]["seed"] == records[0]["seed"]


@pytest.mark.parametrize("first", [("--resume",), ()])
async def test_stopped_by_a_signal(tmp_path: Path, first: tuple[str, ...]) -> None:
    """Domains that wait are left to the next part; where they have a record already, their endpoints are scanned."""
    output = tmp_path / "out.jsonl"
    async with survey(tmp_path, hosts=0, domains=40, script="late") as (whole, targets, dns):
        command = Command.of(targets, output, dns.port, "--connections", "2")
        begin = Command(tuple(each for each in command.arguments if each != "--resume" or first))
        code = await begin.until(grown(output), signals=(signal.SIGTERM,))
        assert code == 3
        stopped = records_of_row(output)[-1]
        assert (stopped["complete"], stopped["endpoints"]["unfinished"] > 0) == (False, True)
        assert (stopped["domains"]["unfinished"] > 0) == bool(first)
        assert (await command.to_its_end(WITHIN_S))[0] == 0
        whole.check(output, hosts_joined=bool(first))


async def test_no_descriptors_left(tmp_path: Path) -> None:
    """A run that has hardly any goes on all the same, and begins no new file where it cannot."""
    output = tmp_path / "out.jsonl"
    async with survey(tmp_path, hosts=300, domains=10) as (whole, targets, dns):
        command = Command.of(targets, output, dns.port, "--rotate", "100K", shell="ulimit -n 48")
        await command.until(grown(output, 0.2))
        code, errors = await command.to_its_end(WITHIN_S)
        assert code == 0, errors
        whole.check(output)


@pytest.mark.parametrize("name", NAMES)
async def test_a_file_that_can_grow_no_more(tmp_path: Path, name: str) -> None:
    """It ends with whole lines; where there is more room, it is gone on with."""
    output, kib = tmp_path / name, 300 if name == "out.jsonl" else 8
    async with survey(tmp_path, hosts=700, domains=10) as (whole, targets, dns):
        code, errors = await Command.of(targets, output, dns.port, shell=f"ulimit -f {kib}").to_its_end(WITHIN_S)
        assert (code, "cannot be written: File too large" in errors) == (3, True), errors
        assert output.stat().st_size == 0 or records_of_row(output)
        code, errors = await Command.of(targets, output, dns.port).to_its_end(WITHIN_S)
        assert code == 0, errors
        whole.check(output)


async def test_certificates(tmp_path: Path) -> None:
    """What the file of certificates holds is not written again, and has to be there."""
    output, certificates = tmp_path / "out.jsonl", tmp_path / "certificates.jsonl.gz"
    async with survey(tmp_path, hosts=5, domains=0) as (_, targets, dns):
        command = Command.of(targets, output, dns.port, "--certificates", str(certificates))
        for _ in range(2):
            assert (await command.to_its_end(WITHIN_S))[0] == 0
        certificates.unlink()
        before = output.read_bytes()
        code, errors = await command.to_its_end(WITHIN_S)
        assert (code, output.read_bytes()) == (2, before)
        assert f"{certificates}: the certificates of the earlier part of the run are gone" in errors


async def test_what_is_refused(tmp_path: Path) -> None:
    """Other settings, by their names; what is no output; what is not a file; an output that is being written."""
    output = tmp_path / "out.jsonl"
    same = ("scan", "127.0.0.1", "--services", "smtp", "--no-progress", "-o", str(output))  # which is not allowed
    assert (await tlsweep(*same)).code == 0
    before = output.read_bytes()
    for arguments, why in (
        (("--retries", "7", "--versions", "1.3", "--rate", "3"), "versions was "),
        (("--retries", "7"), f"{output} cannot be gone on with: retries was 2 and is 7"),
        (("-o", "-"), "--resume needs a file: name one with --output"),
        (("-o", "/dev/null"), "--resume needs a file: name one with --output"),
        (("--rotate", "much"), "'much' is not a size such as 500M or 1G"),
    ):
        done = await tlsweep(*same, "--resume", *arguments)
        assert (done.code, why in done.errors.replace("│", "")) == (2, True), done.errors
        assert output.read_bytes() == before
    with output.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        done = await tlsweep(*same, "--resume")
        assert (done.code, "another run writes to it" in done.errors) == (2, True)
    (tmp_path / "out.1.jsonl").write_bytes(orjson.dumps({"type": "song"}) + b"\n")
    done = await tlsweep(*same, "--rotate", "1M")
    assert (done.code, "out.1.jsonl is there, of an earlier run" in done.errors) == (2, True)
    done = await tlsweep(*same, "--resume")
    assert (done.code, "out.1.jsonl:1: this line is no record" in done.errors) == (2, True)
    assert output.read_bytes() == before
