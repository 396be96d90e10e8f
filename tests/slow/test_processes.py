"""The command with several processes: the same records as with one, whatever happens to a worker or to the run."""

import json
import os
import signal
import subprocess
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
import trio

from scanner.config import Config
from scanner.exit_code import ExitCode
from scanner.run import Run
from scanner.worker import LEFT_TO_THE_PARENT
from tests.peers.command import WITHIN_S, Done, Running, records_of, scan, wrapped
from tests.peers.processes import gone, name_of, stopped, workers, workers_of
from tests.peers.scripted import Talk, closed, serving, smtp
from tests.peers.tls_server import TlsServer, smtp_inside

TWO = ("--processes", "2", "--services", "smtp")
QUICK = ("--versions", "1.2", "--timeout-greeting", "8")
UNTIMED = ("run_id", "started", "duration_ms", "timings_ms", "looks")


async def good(talk: Talk) -> None:
    """SMTP with STARTTLS."""
    await smtp(talk, until="tls")
    await talk.let_speak(TlsServer(smtp_inside))


async def slow(talk: Talk) -> None:
    """The same after half a second."""
    await trio.sleep(0.5)
    await good(talk)


async def silent(talk: Talk) -> None:
    """Says nothing."""
    await talk.silence()


def untimed(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What does not differ from one run to the next, in one order."""
    kept = [{name: value for name, value in each.items() if name not in UNTIMED} for each in records]
    return sorted(kept, key=lambda each: json.dumps(each, sort_keys=True))


def counts(done: Done) -> Counter[str]:
    """How often each endpoint has a record."""
    return Counter(record["id"] for record in done.endpoints)


@asynccontextmanager
async def running(*arguments: str, lines: Sequence[str]) -> AsyncIterator[Running]:
    """A scan by two processes that is under way, and has read all of its input."""
    async with Running("--input", "-", *TWO, *QUICK, *arguments) as run:
        await run.say("".join(f"{line}\n" for line in lines).encode())
        yield run


async def end_of_input(run: Running) -> None:
    """No more lines will come."""
    assert run.process.stdin
    await run.process.stdin.aclose()


async def test_the_same_records(tmp_path: Path) -> None:
    """Endpoints, certificates, rejections and counts are the same, and the run record says how many processes."""
    certificates = tmp_path / "certificates.jsonl"
    found, kept = [], []
    async with serving({"good": good, "silent": silent, "also": good}) as servers:
        port = servers["good"].port
        lines = [f"{name},{server.address},{server.port},smtp" for name, server in servers.items()]
        lines += [f",{closed().address},{port},smtp", ",192.168.1.1,25,smtp", "no host!,,,", lines[0]]
        lines = [
            line.replace("good,", "good.test,").replace("silent,", ",").replace("also,", "also.test,") for line in lines
        ]
        text = "\n".join(["host,address,port,service", *lines, f",127.46.2.0/24,{port},smtp"])
        for processes in ("1", "2", "3"):
            options = ("--processes", processes, "--certificates", str(certificates), "--timeout-greeting", "0.5")
            done = await scan("--input", "-", *options, stdin=text.encode())
            assert (done.code, done.errors) == (0, "")
            assert done.records[0]["settings"]["processes"] == int(processes)
            end = {name: value for name, value in done.end.items() if name not in ("time", "duration_s", "run_id")}
            found.append((untimed(done.endpoints), untimed(done.rejected), end))
            kept.append({record["sha256"] for record in records_of(certificates.read_bytes()) if "sha256" in record})
            certificates.unlink()
    assert found[0] == found[1] == found[2]
    assert kept[0] == kept[1] == kept[2] != set()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGABRT, signal.SIGSEGV])
async def test_a_worker_that_is_killed(number: int) -> None:
    """It is said, another takes its place, and every endpoint has one record."""
    async with serving({"slow": slow, "good": good}) as servers:
        lines = [f"smtp://127.46.{net}.{host}:{servers['good'].port}" for net in range(20) for host in range(5)]
        lines += [f"smtp://{server.place}" for server in servers.values()]
        async with running(lines=lines) as run:
            await servers["slow"].visited.wait()
            before = await workers(run.process.pid, 2)
            for pid in before:
                os.kill(pid, number)
            await end_of_input(run)
            done = await run.done()
    assert (done.code, done.end["complete"]) == (0, True)
    assert set(counts(done).values()) == {1}
    assert len(done.endpoints) == 102
    assert done.end["endpoints"]["status"] == {"unreachable": 100, "tls": 2}
    assert done.errors.count("a worker ") == 2  # died, or could not be started
    assert signal.Signals(number).name in done.errors


async def test_a_parent_that_is_killed(tmp_path: Path) -> None:
    """Its workers are gone at once, the output can be locked again, and a resumed run completes it."""
    output = tmp_path / "out.jsonl"
    async with serving({"silent": silent, "good": good}) as servers:
        lines = [f"smtp://{server.place}" for server in servers.values()]
        lines += [f"smtp://127.46.{net}.1:{closed().port}" for net in range(20)]
        files = ("--output", str(output), "--resume")
        async with running(*files, lines=lines) as run:
            for server in servers.values():
                await server.visited.wait()
            pids = await workers(run.process.pid, 2)
            run.process.kill()
            await run.process.wait()
            await gone(pids)
        options = (*files, *TWO, *QUICK)
        done = await scan("--input", "-", *options, stdin="\n".join(lines).encode())
    records = records_of(output.read_bytes())
    assert done.code == 0
    assert records[-1]["complete"]
    found = [record for record in records if record["type"] == "endpoint"]
    assert len({record["id"] for record in found}) == len(found) == 22
    assert Counter(record["status"] for record in found) == {"unreachable": 20, "inconclusive": 1, "tls": 1}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal(number: int) -> None:
    """What is in flight is finished, in all workers, and nothing new is begun."""
    async with serving({"slow": slow, "also slow": slow}) as servers, running("--rate", "4", lines=[]) as run:
        await run.say("".join(f"smtp://{each.place}\n" for each in servers.values()).encode())
        await run.say(f"smtp://127.46.8.0/22:{closed().port}\n".encode())
        for server in servers.values():
            await server.visited.wait()
        run.process.send_signal(number)
        done = await run.done()
    assert (done.code, done.end["complete"]) == (3, False)
    assert {"tls"} <= set(done.end["endpoints"]["status"])
    assert done.end["endpoints"]["unfinished"] > 0
    assert done.errors.count("stopping") == 1
    assert "died" not in done.errors


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_second_signal(number: int) -> None:
    """The connections are cut, and the run has its last record; no worker is left."""
    async with serving({"silent": silent}) as servers, running(lines=[]) as run:
        await run.say(f"smtp://{closed().place}\nsmtp://{servers['silent'].place}\n".encode())
        await servers["silent"].visited.wait()
        await run.read_until(b'"unreachable"')
        pids = workers_of(run.process.pid)
        run.process.send_signal(number)
        await run.read_errors_until(b"stopping")
        began = trio.current_time()
        run.process.send_signal(number)
        done = await run.done()
        assert trio.current_time() - began < 3
    await gone(pids)
    assert (done.code, done.end["complete"]) == (3, False)
    assert [record["status"] for record in done.endpoints] == ["unreachable"]
    assert done.end["endpoints"]["unfinished"] == 1


async def test_a_pause() -> None:
    """Ctrl-Z stops all of them, so that nobody opens a connection any more; what follows it lets them go on."""
    async with serving({"slow": slow}) as servers:
        lines = [f"smtp://127.46.{net}.1:{closed().port}" for net in range(20)]
        lines.append(f"smtp://{servers['slow'].place}")
        async with running(lines=lines) as run:
            await servers["slow"].visited.wait()
            everybody = [run.process.pid, *await workers(run.process.pid, 2)]
            for _ in range(2):
                run.process.send_signal(signal.SIGTSTP)
                await stopped(everybody)
                run.process.send_signal(signal.SIGCONT)
                await stopped(everybody, are_stopped=False)
            await end_of_input(run)
            done = await run.done()
    assert (done.code, done.errors, done.end["complete"]) == (0, "", True)
    assert set(counts(done).values()) == {1}
    assert len(done.endpoints) == 21


async def test_a_pause_that_is_the_end() -> None:
    """Whoever closes the shell behind Ctrl-Z leaves no workers there that are stopped for ever."""
    async with serving({"silent": silent}) as servers, running(lines=[f"smtp://{servers['silent'].place}"]) as run:
        await servers["silent"].visited.wait()
        everybody = [run.process.pid, *await workers(run.process.pid, 2)]
        run.process.send_signal(signal.SIGTSTP)
        await stopped([run.process.pid])  # behind whoever was at work
        run.process.kill()
        await gone(everybody)


async def test_a_terminal_that_is_interrupted() -> None:
    """A Ctrl-C goes to all processes of its group, which the workers are not of."""
    async with serving({"slow": slow}) as servers, running(lines=[f"smtp://{servers['slow'].place}"]) as run:
        await servers["slow"].visited.wait()
        pids = await workers(run.process.pid, 1)
        assert [os.getpgid(pid) for pid in pids] == pids
        assert {os.getsid(pid) for pid in pids} == {os.getsid(run.process.pid)}
        run.process.send_signal(signal.SIGINT)
        done = await run.done()
    assert [record["status"] for record in done.endpoints] == ["tls"]


async def test_the_state_of_all() -> None:
    """SIGUSR1 prints the state of the run, and of each worker."""
    async with serving({"silent": silent}) as servers, running(lines=[f"smtp://{closed().place}"]) as run:
        await run.say(f"smtp://{servers['silent'].place}\n".encode())
        await servers["silent"].visited.wait()
        run.process.send_signal(signal.SIGUSR1)
        said = b""
        while not (b"endpoints: taken 2" in said and b"connections in flight for longest" in said):
            said += await run.read_errors_until(b"\n")
        pids = workers_of(run.process.pid)
        run.process.kill()
    await gone(pids)
    assert said.count(b"endpoints: taken 2") == 1
    assert any(f"worker {pid}\n".encode() in said for pid in pids)


@pytest.mark.parametrize("number", LEFT_TO_THE_PARENT)
async def test_workers_that_are_asked_themselves(number: int) -> None:
    """By `pkill tlsweep`, say, or by whoever stops a service: none dies or stops of it, for that is for us to tell."""
    async with serving({"good": good}) as servers, running(lines=[f"smtp://{closed().place}"]) as run:
        await run.read_until(b'"type":"endpoint"')
        for pid in await workers(run.process.pid, 1):
            os.kill(pid, number)
        await run.say(f"smtp://{servers['good'].place}\n".encode())
        await end_of_input(run)
        done = await run.done()
    assert "died" not in done.errors
    assert (done.code, done.end["endpoints"]["recorded"]) == (0, 2)


async def test_everybody_is_told_to_stop() -> None:
    """By `pkill tlsweep`: what is in flight is finished."""
    async with serving({"slow": slow}) as servers, running(lines=[f"smtp://{servers['slow'].place}"]) as run:
        await servers["slow"].visited.wait()
        pids = await workers(run.process.pid, 2)
        assert set(map(name_of, pids)) == {"tlsweep-worker"}
        for pid in (*pids, run.process.pid):
            os.kill(pid, signal.SIGTERM)
        done = await run.done()
    assert [record["status"] for record in done.endpoints] == ["tls"]


async def test_few_descriptors() -> None:
    """Each process has as many as one alone, none of which are for the DNS; nobody is blamed for our lack of them."""
    async with serving({"good": good}) as servers:
        target = f"smtp://{servers['good'].place}"
        places = [f"smtp://127.46.{net}.0/28:{closed().port}" for net in range(8)]
        done = await scan(target, *places, *TWO, "--log-format", "json", shell="ulimit -n 80")
    (warning,) = [json.loads(line) for line in done.errors.splitlines()]
    assert (warning["level"], warning["asked"], warning["possible"]) == ("warning", 1000, 2 * (80 - 32))
    assert done.code == 0
    assert done.end["endpoints"]["status"] == {"tls": 1, "unreachable": 128}


async def test_no_descriptors_for_workers() -> None:
    """Where not even their pipes can be had, the run says so, and ends."""
    done = await scan(f"smtp://{closed().place}", *TWO, shell="ulimit -n 12")
    assert (done.code, done.end["complete"]) == (3, False)
    assert "workers cannot be started" in done.errors


async def test_a_full_disk() -> None:
    """The run ends with its message, and the workers with it."""
    done = await scan(f"127.46.16.0/22:{closed().port}", *TWO, "--output", "/dev/full")
    assert done.code == 3
    assert "the output cannot be written: No space left on device" in done.errors
    assert "Traceback" not in done.errors


async def test_a_reader_that_has_enough() -> None:
    """`| head -1` ends the run."""
    arguments = ["scan", "--allow", "127.0.0.0/8", "--rate", "0", "--per-network-rate", "0", "--no-progress", *TWO]
    command = wrapped([*arguments, f"127.46.16.0/22:{closed().port}"], shell="true")
    process = await trio.lowlevel.open_process(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert process.stdout
    await process.stdout.receive_some(1)
    await process.stdout.aclose()
    with trio.fail_after(WITHIN_S):
        assert await process.wait() == ExitCode.STOPPED


async def test_workers_that_cannot_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The run says so, and ends; what it could not scan is counted."""
    monkeypatch.setattr("scanner.children.sys.executable", "/bin/false")
    path = tmp_path / "out.jsonl"
    config = Config((f"smtp://{closed().place}",), allow=(ip_network("127.0.0.0/8"),), processes=2, progress=False)
    with path.open("wb") as output:
        code = await Run(config, output.fileno()).scan()
    end = records_of(path.read_bytes())[-1]
    assert code == ExitCode.STOPPED
    assert (end["complete"], end["endpoints"]["unfinished"]) == (False, 1)
