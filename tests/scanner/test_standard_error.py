"""Nobody reads standard error, or will ever: the scan goes on, to the same end."""

import os
import pty
import signal
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import trio

from tests.peers.command import FAST, TLSWEEP, WITHIN_S, records_of, scan
from tests.peers.scripted import Talk, closed, serving

METRICS = ("--metrics", "127.0.0.1:0")  # something is logged at once


@pytest.fixture
def broken_pipe() -> Iterator[int]:
    """The end of a pipe that nobody reads."""
    reading, writing = os.pipe()
    os.close(reading)
    yield writing
    os.close(writing)


@pytest.fixture
def full_pipe() -> Iterator[int]:
    """The end of a pipe that nobody reads, but might."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    with suppress(BlockingIOError):
        while True:
            os.write(writing, b"x" * 4_096)
    os.set_blocking(writing, True)
    yield writing
    os.close(writing)
    os.close(reading)


async def silent(talk: Talk) -> None:
    """Says nothing."""
    await talk.silence()


@pytest.mark.parametrize("log_format", ["console", "json"])
async def test_closed(log_format: str) -> None:
    """There is none: neither an output nor a connection takes its place."""
    target = f"smtp://{closed().place}"
    done = await scan(*METRICS, "--log-format", log_format, "--progress", target, shell="exec 2>&-")
    assert (done.code, done.end["endpoints"]["recorded"]) == (0, 1)


async def test_closed_with_standard_input(tmp_path: Path) -> None:
    """What is opened first would have the number of one of them."""
    output = tmp_path / "out.jsonl"
    target = f"smtp://{closed().place}"
    done = await scan(*METRICS, "--output", str(output), target, shell="exec <&- 2>&-")
    assert (done.code, records_of(output.read_bytes())[-1]["event"]) == (0, "end")


@pytest.mark.parametrize("log_format", ["console", "json"])
async def test_broken(broken_pipe: int, log_format: str) -> None:
    """Its reader has gone."""
    target = f"smtp://{closed().place}"
    shell = f"exec 2>&{broken_pipe}"
    done = await scan(*METRICS, "--log-format", log_format, target, shell=shell, pass_fds=[broken_pipe])
    assert (done.code, done.end["endpoints"]["recorded"]) == (0, 1)


async def test_full(full_pipe: int) -> None:
    """Its reader takes nothing: neither the scan nor a signal that stops it waits for him."""
    async with serving({"silent": silent}) as servers:
        process = await trio.lowlevel.open_process(
            [TLSWEEP, "scan", *FAST, *METRICS, "--timeout-greeting", "15", f"smtp://{servers['silent'].place}"],
            stdout=subprocess.PIPE,
            stderr=full_pipe,
        )
        await servers["silent"].visited.wait()
        for _ in range(2):
            process.send_signal(signal.SIGTERM)
            await trio.sleep(0.3)
        assert process.stdout
        with trio.fail_after(5):
            output = b"".join([data async for data in process.stdout])
            assert await process.wait() == 3
    assert records_of(output)[-1]["event"] == "end"


async def test_a_terminal_that_is_closed() -> None:
    """The scan was left to itself, and whoever began it logged out: no progress is shown any more."""
    terminal, theirs = pty.openpty()
    options = [option for option in FAST if option != "--no-progress"]
    async with serving({"silent": silent}) as servers:
        process = await trio.lowlevel.open_process(
            [TLSWEEP, "scan", *options, "--timeout-greeting", "2", f"smtp://{servers['silent'].place}"],
            stdout=subprocess.PIPE,
            stderr=theirs,
        )
        os.close(theirs)
        await servers["silent"].visited.wait()
        os.close(terminal)
        process.send_signal(signal.SIGUSR1)
        assert process.stdout
        with trio.fail_after(WITHIN_S):
            output = b"".join([data async for data in process.stdout])
            assert await process.wait() == 0
    assert records_of(output)[-1]["complete"]
