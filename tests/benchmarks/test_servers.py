"""What the benchmarks rest on: a floor that does its work, servers that are late, and addresses that are silent."""

import os
import socket
import sys
import time
from pathlib import Path

import pytest

from benchmarks import namespace
from benchmarks.dead import SWALLOWED, full_queue
from benchmarks.fleet import free_ports, running
from benchmarks.floor import Floor
from scanner.tls.hello import ENTROPY_BYTES, client_hello, read_server_hello
from scanner.tls.names import Version

DELAY_MS = 200


@pytest.fixture
def slow_port() -> int:
    """Where the slow server will listen."""
    return free_ports(1)[0]


def test_a_slow_server_answers_when_it_is_due(slow_port: int) -> None:
    """A ServerHello with the session id that was offered, not before its time."""
    entropy = os.urandom(ENTROPY_BYTES)
    with running([sys.executable, "-m", "benchmarks.slow_server", str(slow_port), str(DELAY_MS)], slow_port):
        begun = time.monotonic()
        with socket.create_connection(("127.66.0.1", slow_port), 10) as client:
            client.sendall(client_hello(Version.TLS1_3, None, entropy))
            answer = client.recv(16_384)
            assert time.monotonic() - begun >= DELAY_MS / 1000
    assert answer[44:76] == entropy[32:64]
    assert read_server_hello(answer[9:], Version.TLS1_3).version == 0x0304


@pytest.mark.parametrize("compiled", [True, False])
def test_the_floor(tmp_path: Path, slow_port: int, monkeypatch: pytest.MonkeyPatch, compiled: bool) -> None:
    """In C and in Python: every connection gets its ServerHello, and not more than so many are open at once."""
    if not compiled:
        monkeypatch.setenv("PATH", "")
    floor = Floor(tmp_path)
    if compiled and floor.name != "floor in C":
        pytest.skip("there is no compiler")
    assert floor.name == ("floor in C" if compiled else "floor in Python")
    monkeypatch.undo()
    with running([sys.executable, "-m", "benchmarks.slow_server", str(slow_port), str(DELAY_MS)], slow_port):
        done = floor.run("127.66.0.1", 40, slow_port, 10)
    assert done.failed == 0
    assert done.wall_s >= 4 * DELAY_MS / 1000
    assert 0 < done.user_s + done.system_s < done.wall_s


def test_the_floor_counts_what_fails(tmp_path: Path, slow_port: int) -> None:
    """Nobody listens: each of them."""
    assert Floor(tmp_path).run("127.66.0.1", 20, slow_port, 10).failed == 20


def test_a_full_queue_is_silent() -> None:
    """On every loopback address: no refusal, no answer."""
    with full_queue() as port:
        for address in ("127.0.0.1", "127.62.0.1", "127.62.3.7"):
            with socket.socket() as client:
                client.settimeout(0.3)
                with pytest.raises(TimeoutError):
                    client.connect((address, port))


def test_what_is_swallowed_is_silent() -> None:
    """In a namespace of our own: no refusal, no answer, no unreachable network."""
    if not namespace.may_have_own():
        pytest.skip("no network namespace may be made here")
    assert namespace.run_inside("tests.benchmarks.swallowed", {"address": str(SWALLOWED)}) == "TimeoutError"
