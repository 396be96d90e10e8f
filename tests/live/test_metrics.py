"""Prometheus itself takes what a scan serves: its linter has nothing to say, and its queries find it."""

import json
import re
import subprocess
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

import trio

from tests.peers.command import Running

CONFIGURATION = """
global: {{scrape_interval: 200ms}}
scrape_configs: [{{job_name: tlsweep, static_configs: [{{targets: ["127.77.9.1:{port}"]}}]}}]
"""
PROMETHEUS_PORT = 49_311


async def test_prometheus(tmp_path: Path) -> None:
    """A scan that waits for more input, watched."""
    async with Running("--metrics", "127.77.9.1:0", "--input", "-") as running:
        port = int(re.findall(rb":(\d+)/metrics", await running.read_errors_until(b"/metrics"))[0])
        await running.say(b"tls://127.77.9.2:1\n")
        await running.read_until(b'"type":"endpoint"')
        text = await trio.to_thread.run_sync(get, f"http://127.77.9.1:{port}/metrics")
        linted = await trio.run_process(
            ["promtool", "check", "metrics"], stdin=text, capture_stdout=True, capture_stderr=True, check=False
        )
        assert (linted.returncode, linted.stdout, linted.stderr) == (0, b"", b"")
        (tmp_path / "prometheus.yml").write_text(CONFIGURATION.format(port=port))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(prometheus, tmp_path)
            with trio.fail_after(30):
                assert await answered('tlsweep_endpoints_recorded_total{status="unreachable"}') == "1"
                errors = 'sum by (kind) (tlsweep_connection_errors_total{stage="connect"})'
                assert await answered(errors) == "1"
                assert await answered("histogram_quantile(0.5, tlsweep_connect_seconds_bucket)", finds=False) is None
            nursery.cancel_scope.cancel()


async def prometheus(directory: Path) -> None:
    """Run it until cancelled."""
    command = [
        "prometheus",
        f"--config.file={directory / 'prometheus.yml'}",
        f"--storage.tsdb.path={directory / 'data'}",
        f"--web.listen-address=127.77.9.3:{PROMETHEUS_PORT}",
    ]
    with (directory / "log").open("wb") as log:
        await trio.run_process(command, stdout=log, stderr=subprocess.STDOUT)


async def answered(query: str, *, finds: bool = True) -> str | None:
    """The value that a query finds, sooner or later; None at once where it is not to find any."""
    url = f"http://127.77.9.3:{PROMETHEUS_PORT}/api/v1/query?" + urllib.parse.urlencode({"query": query})
    while True:
        try:
            found: list[dict[str, Any]] = json.loads(await trio.to_thread.run_sync(get, url))["data"]["result"]
            if found or not finds:
                return str(found[0]["value"][1]) if found else None
        except OSError:  # it is not there yet
            pass
        await trio.sleep(0.1)


def get(url: str) -> bytes:
    """Its content."""
    with urllib.request.urlopen(url, timeout=5) as answer:
        content: bytes = answer.read()
        return content
