"""SIGUSR1: a run tells how it stands, and goes on as if nobody had asked."""

import fcntl
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
from pathlib import Path

import trio

from tests.peers.command import FAST, TLSWEEP, WITHIN_S, Running, records_of
from tests.peers.scripted import Talk, closed, serving


async def silent(talk: Talk) -> None:
    """Says nothing."""
    await talk.silence()


async def test_what_is_told() -> None:
    """Numbers, whom it waits for, and the connection in flight, with its stage and age; twice, if asked twice."""
    async with serving({"silent": silent}) as servers:
        place, port = servers["silent"].place, servers["silent"].port
        waiting = f"smtp://127.46.0.0/29:{port}"
        async with Running(f"smtp://{place}", waiting, "--connections", "1", "--timeout-greeting", "15") as running:
            await servers["silent"].visited.wait()
            told = []
            for _ in range(2):
                running.process.send_signal(signal.SIGUSR1)
                told.append(await running.read_errors_until(f"smtp://{place}\n".encode()))
            running.process.send_signal(signal.SIGINT)
            await running.read_errors_until(b"stopping")
            running.process.send_signal(signal.SIGINT)
            done = await running.done()
    assert done.code == 3
    assert done.end["connections"] == 1
    for text in map(bytes.decode, told):
        assert "connections: in flight 1 of 1, begun 1, answered 0\n" in text
        assert "waiting for: total 8" in text
        assert re.search(r"memory \d+ MB, descriptors \d+\n", text)
        assert re.search(r"addresses that wait longest:\n(?: +0\.0 s  1 connections, the next .*\n){8}networks", text)
        assert re.search(rf"for longest:\n +\d\.\d s  (connect|greeting)  +TLSv1\.2 +smtp://{re.escape(place)}\n", text)


async def test_nobody_reads_standard_error() -> None:
    """A pipe that takes no more holds up neither the scan nor the signals that stop it."""
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4_096)
    os.set_blocking(writing, False)
    os.write(writing, b"x" * 4_096)
    os.set_blocking(writing, True)
    async with serving({"silent": silent}) as servers:
        process = await trio.lowlevel.open_process(
            [TLSWEEP, "scan", *FAST, "--timeout-greeting", "1", f"smtp://{servers['silent'].place}"],
            stdout=subprocess.PIPE,
            stderr=writing,
        )
        os.close(writing)
        await servers["silent"].visited.wait()
        for _ in range(5):
            process.send_signal(signal.SIGUSR1)
        assert process.stdout
        with trio.fail_after(WITHIN_S):
            output = b"".join([data async for data in process.stdout])
            assert await process.wait() == 0
    os.close(reading)
    assert [record["status"] for record in records_of(output) if record["type"] == "endpoint"] == ["inconclusive"]


async def test_above_live_lines() -> None:
    """On a terminal, what is told scrolls by above the lines of the progress, which go on below."""
    terminal, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 100, 0, 0))
    options = [option for option in FAST if option != "--no-progress"]
    async with serving({"silent": silent}) as servers:
        target = f"smtp://{servers['silent'].place}"
        process = await trio.lowlevel.open_process(
            [TLSWEEP, "scan", *options, "--timeout-greeting", "2", "--output", "/dev/null", target], stderr=theirs
        )
        os.close(theirs)
        await servers["silent"].visited.wait()
        process.send_signal(signal.SIGUSR1)
        shown = b""
        with trio.fail_after(WITHIN_S):
            try:
                while data := await trio.to_thread.run_sync(os.read, terminal, 65_536):
                    shown += data
            except OSError:  # the other end is closed
                pass
            assert await process.wait() == 0
    os.close(terminal)
    before, told, after = shown.partition(b"connections in flight for longest:\r\n")
    assert told
    assert b"in flight, " in before
    assert b"in flight, " in after


def test_too_early_and_too_late(tmp_path: Path) -> None:
    """Before a scan has begun, and when it is over, the signal does nothing: by itself, it would end the process."""
    program = (
        "import os, signal, sys\n"
        "from scanner.cli import main\n"
        "from scanner.commands import scan\n"
        "begin = scan.start\n"
        "def start(config):\n"
        "    os.kill(os.getpid(), signal.SIGUSR1)\n"
        "    code = begin(config)\n"
        "    os.kill(os.getpid(), signal.SIGUSR1)\n"
        "    return code\n"
        "scan.start = start\n"
        "main()\n"
    )
    output, target = tmp_path / "out.jsonl", f"smtp://{closed().place}"
    command = [sys.executable, "-c", program, "scan", *FAST, "--output", str(output), target]
    done = subprocess.run(command, capture_output=True, check=False, timeout=WITHIN_S)
    assert (done.returncode, done.stderr) == (0, b"")
    assert records_of(output.read_bytes())[-1]["event"] == "end"
