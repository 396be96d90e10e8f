"""The metrics are served to clients of every kind, and to none at the cost of the scan."""

import http.client
import re
import socket
import struct
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing

import pytest
import trio
from prometheus_client.parser import text_string_to_metric_families
from structlog.testing import capture_logs

from scanner import metrics_server
from scanner.metrics_server import CLIENTS, MetricsServer, listen
from scanner.standing import Standing
from tests.peers.command import FAST, Running, tlsweep

pytestmark = pytest.mark.filterwarnings("error")


@asynccontextmanager
async def served(address: str = "127.0.0.1", standing: Standing | None = None) -> AsyncIterator[int]:
    """A server, and its port."""
    listening = listen(address, 0)
    port = listening.getsockname()[1]
    async with trio.open_nursery() as nursery:
        nursery.start_soon(MetricsServer(listening).serve, lambda: standing or Standing(taken=7))
        yield port
        nursery.cancel_scope.cancel()


async def get(
    port: int, path: str = "/metrics", method: str = "GET", host: str = "127.0.0.1", **headers: str
) -> tuple[int, dict[str, str], bytes]:
    """What a real client gets."""

    def ask() -> tuple[int, dict[str, str], bytes]:
        with closing(http.client.HTTPConnection(host, port, timeout=5)) as client:
            client.request(method, path, headers=headers)
            answer = client.getresponse()
            return answer.status, dict(answer.getheaders()), answer.read()

    return await trio.to_thread.run_sync(ask)


async def say(port: int, data: bytes) -> bytes:
    """What comes back for these bytes, until the server hangs up."""
    async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
        await stream.send_all(data)
        return b"".join([part async for part in stream])


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
async def test_get(host: str) -> None:
    """The text of Prometheus, in either family, with what the process takes."""
    async with served(host) as port:
        status, headers, body = await get(port, host=host)
    assert (status, int(headers["Content-Length"])) == (200, len(body))
    assert headers["Content-Type"].startswith("text/plain; version=")
    families = {family.name: family for family in text_string_to_metric_families(body.decode())}
    assert families["tlsweep_endpoints_taken"].samples[0].value == 7
    assert families["process_open_fds"].samples[0].value > 3


async def test_openmetrics() -> None:
    """Who asks for OpenMetrics, as Prometheus does, gets it."""
    async with served() as port:
        _, headers, body = await get(port, Accept="application/openmetrics-text;version=1.0.0;q=0.5,text/plain;q=0.1")
    assert headers["Content-Type"].startswith("application/openmetrics-text")
    assert body.endswith(b"# EOF\n")


async def test_head() -> None:
    """The same without a body."""
    async with served() as port:
        status, headers, body = await get(port, method="HEAD")
        assert (status, body) == (200, b"")
        assert int(headers["Content-Length"]) > 1_000


@pytest.mark.parametrize(
    ("path", "method", "status"),
    [("/", "GET", 404), ("/metricsx", "GET", 404), ("/metrics?x=1", "GET", 200), ("/metrics", "POST", 405)],
)
async def test_other_requests(path: str, method: str, status: int) -> None:
    """One path, to be read."""
    async with served() as port:
        found, headers, body = await get(port, path, method)
    assert found == status
    assert ("Allow" in headers) == (status == 405)
    assert body


@pytest.mark.parametrize(
    ("said", "status"),
    [
        (b"GET /metrics HTTP/1.0\r\n\r\n", 200),
        (b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\nGET /metrics HTTP/1.1\r\nHost: x\r\n\r\n", 200),
        (b"GET /metrics HTTP/1.1\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 40_000 + b"\r\n\r\n", 431),
        (b"GET /metr\xff\xfe HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    ],
)
async def test_other_clients(said: bytes, status: int) -> None:
    """HTTP/1.0, pipelining (one answer a connection), and what is no HTTP, or too much of it."""
    async with served() as port:
        answer = await say(port, said)
    assert re.findall(rb"HTTP/1\.1 (\d+)", answer) == [b"%d" % status]


async def test_clients_that_go(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who hangs up, resets, says nothing or drips costs nobody else an answer; there is a deadline for each."""
    monkeypatch.setattr(metrics_server, "DEADLINE_S", 0.3)
    async with served() as port, trio.open_nursery() as nursery:
        for linger in (None, struct.pack("ii", 1, 0)):
            with socket.create_connection(("127.0.0.1", port)) as client:
                if linger:
                    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                client.sendall(b"GET /metrics HT")
        nursery.start_soon(say, port, b"")
        nursery.start_soon(say, port, b"GET /metrics HTTP/1.1\r\nHost:")
        assert (await get(port))[0] == 200
    # leaving the nursery: both were hung up on


async def test_too_many_clients(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond a bound, clients are hung up on at once; when the others have gone, there is room again."""
    async with served() as port:
        idle = [await trio.open_tcp_stream("127.0.0.1", port) for _ in range(CLIENTS)]
        with trio.fail_after(5):
            assert await say(port, b"") == b""
            for stream in idle:
                await stream.aclose()
            while True:
                try:
                    assert (await get(port))[0] == 200
                    break
                except (OSError, http.client.HTTPException):
                    await trio.sleep(0.01)


async def test_a_bug_costs_an_answer() -> None:
    """The scan goes on, and the log tells."""
    listening = listen("127.0.0.1", 0)

    def fail() -> Standing:
        raise ZeroDivisionError

    async with trio.open_nursery() as nursery:
        with capture_logs() as logs:
            nursery.start_soon(MetricsServer(listening).serve, fail)
            for _ in range(2):
                assert await say(listening.getsockname()[1], b"GET /metrics HTTP/1.0\r\n\r\n") == b""
        nursery.cancel_scope.cancel()
    assert [line["event"] for line in logs] == ["metrics are served", "internal error", "internal error"]


@pytest.fixture
def taken_port() -> Iterator[int]:
    """A port that somebody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


async def test_a_port_that_is_taken(taken_port: int, tmp_path: object) -> None:
    """The scan does not begin, and an earlier output is as it was."""
    done = await tlsweep("scan", *FAST, "--metrics", f"127.0.0.1:{taken_port}", "127.0.0.1")
    assert (done.code, done.output) == (2, b"")
    assert done.errors == f"tlsweep: metrics cannot be served at 127.0.0.1 port {taken_port}: Address already in use\n"


async def test_a_whole_scan() -> None:
    """From the command line: served while the scan runs, and no longer."""
    async with Running("--metrics", "127.0.0.1:0", "--input", "-") as running:
        errors = await running.read_errors_until(b"/metrics")
        port = int(re.findall(rb"127\.0\.0\.1:(\d+)/metrics", errors)[0])
        await running.say(b"# a comment\ntls://127.0.0.1:1\n")
        with trio.fail_after(10):
            await running.read_until(b'"type":"endpoint"')
            _, _, body = await get(port)
        assert b'tlsweep_endpoints_recorded_total{status="unreachable"} 1.0' in body
        assert b'tlsweep_connection_errors_total{kind="refused",stage="connect"} 1.0' in body
        assert b'tlsweep_input_lines_total{result="blank"} 1.0' in body
        assert running.process.stdin
        await running.process.stdin.aclose()
        done = await running.done()
        assert (done.code, done.end["endpoints"]["recorded"]) == (0, 1)
        with pytest.raises(OSError, match="refused"):
            await get(port)


def test_imported_only_when_asked_for() -> None:
    """Who watches nothing does not wait for what would serve it."""
    program = "import sys, scanner.commands.scan; sys.exit('prometheus_client' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
