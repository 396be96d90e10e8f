"""Scans of thousands of endpoints by several processes, of which some are killed: nothing is lost, nothing twice."""

import os
import random
import signal
import subprocess
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

import pytest
import trio

from scanner.dealing import FEW
from scanner.workers import SILENCE_S
from tests.peers.command import wrapped
from tests.peers.nameserver import name_server
from tests.peers.processes import gone, workers, workers_of
from tests.peers.survey import Command, Survey, grown, passed
from tests.slow.test_kills import ADDRESS, TO_ITS_END_S, mail_server

DOMAINS, MX_HOSTS = 1_000, 200
TWO = ("--processes", "2", "--versions", "1.3")


@dataclass(frozen=True, slots=True)
class Scene:
    """A survey, and the command that makes it."""

    survey: Survey
    output: Path
    command: Command


@asynccontextmanager
async def scene(path: Path, endpoints: int, *options: str) -> AsyncIterator[Scene]:
    """So many endpoints in many networks, and mail domains that share some of them."""
    with mail_server(path) as port:
        first = int(ip_address("127.62.1.0"))
        bare = tuple((str(ip_address(first + number)), port) for number in range(endpoints - MX_HOSTS))
        survey = Survey(port, ADDRESS, MX_HOSTS, bare, DOMAINS, MX_HOSTS)
        (path / "targets.csv").write_text(survey.input)
        async with name_server(survey.zone) as dns:
            output = path / "out.jsonl"
            yield Scene(survey, output, Command.of(path / "targets.csv", output, dns.port, *TWO, *options))


@asynccontextmanager
async def under_way(command: Command) -> AsyncIterator[trio.Process]:
    """The command, which is waited for at the end, and has to be complete."""
    process = await trio.lowlevel.open_process(
        wrapped(("scan", *command.arguments), shell="true"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        yield process
        with trio.fail_after(TO_ITS_END_S):
            assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def test_workers_that_are_killed(tmp_path: Path) -> None:
    """At moments of chance, by several signals, one after the other and both at once."""
    chance, killed = random.Random(7), 0
    async with scene(tmp_path, 20_000, "--rate", "800") as found:
        async with under_way(found.command) as process:
            for number in (signal.SIGKILL, signal.SIGBUS, signal.SIGSEGV, signal.SIGKILL, signal.SIGABRT):
                await trio.sleep(1 + chance.random() * 4)
                pids = await workers(process.pid, 2)
                for pid in chance.sample(pids, chance.choice((1, 1, 2))):
                    os.kill(pid, number)
                    killed += 1
        records = found.survey.check(found.output)
    statuses = Counter(record["status"] for record in records if record["type"] == "endpoint")
    print(f"killed {killed} workers; {dict(statuses)}")
    assert killed >= 5
    assert statuses["tls"] + statuses["error"] == 20_000
    assert statuses["error"] <= FEW * (killed - 2)  # those that three of them died with, at most so many each time


async def test_a_worker_that_is_stopped(tmp_path: Path) -> None:
    """It is killed after a minute; the other one has gone on meanwhile."""
    async with scene(tmp_path, 6_000) as found:
        async with under_way(found.command) as process:
            os.kill((await workers(process.pid, 2))[1], signal.SIGSTOP)
            began = trio.current_time()
        assert trio.current_time() - began > SILENCE_S
        records = found.survey.check(found.output)
    assert Counter(record["status"] for record in records if record["type"] == "endpoint") == {"tls": 6_000}


async def test_a_parent_that_is_killed(tmp_path: Path) -> None:
    """At moments of chance, again and again: its workers go with it, and the next part goes on."""
    chance = random.Random(8)
    async with scene(tmp_path, 10_000, "--rate", "800") as found:
        for _ in range(10):
            process = await trio.lowlevel.open_process(
                wrapped(("scan", *found.command.arguments), shell="true"), stderr=subprocess.DEVNULL
            )
            await passed(1 + chance.random() * 4)()
            pids = workers_of(process.pid)
            process.kill()
            await process.wait()
            await gone(pids)
        code, errors = await found.command.to_its_end(TO_ITS_END_S)
        assert code == 0, errors
        records = found.survey.check(found.output)
    parts = Counter(record["event"] for record in records if record["type"] == "run")
    assert parts["resume"] >= 4  # others were killed before their first flush
    assert Counter(record["status"] for record in records if record["type"] == "endpoint") == {"tls": 10_000}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_and_another_part(tmp_path: Path, number: int) -> None:
    """What was stopped is gone on with, by as many processes or by one."""
    async with scene(tmp_path, 6_000, "--rate", "800") as found:
        assert await found.command.until(grown(found.output, 1), (number,)) == 3
        one = Command((*found.command.arguments, "--processes", "1"))
        code, errors = await one.to_its_end(TO_ITS_END_S)
        assert code == 0, errors
        found.survey.check(found.output)
