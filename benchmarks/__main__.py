"""`make bench`: every case, as a table and as JSON. Exit status 1 when an aim is missed."""

import json
import platform
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from benchmarks.cases import Costs, certificates, memory
from benchmarks.figure import Figure
from benchmarks.fleet import fleet
from benchmarks.peers import Peer, peers
from benchmarks.resolving import resolving

RESULTS = Path(__file__).parent / "results"


def main(
    repetitions: Annotated[int, typer.Option(min=1, help="How often each cost is measured.")] = 5,
    seconds: Annotated[int, typer.Option(min=1, help="How long the yardstick runs each time.")] = 3,
    output: Annotated[Path, typer.Option(help="Where the JSON goes.")] = RESULTS / "latest.json",
) -> None:
    """Measure what a scan costs its client, against `openssl s_time` in the same run."""
    with tempfile.TemporaryDirectory(prefix="tlsweep-bench-") as directory, fleet() as servers:
        figures = Costs(servers, Path(directory), repetitions, seconds).measure()
        figures += resolving(figures[0], repetitions)
        figures += memory(servers, Path(directory))
        figures += certificates(servers, Path(directory))
        others = peers(servers)
        server = servers.server
    _print(figures, others)
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(json.dumps(_document(figures, others, server), indent=2) + "\n")
    print(f"raw figures: {output}")
    sys.exit(any(figure.reached is False for figure in figures))


def _print(figures: list[Figure], others: list[Peer]) -> None:
    console = Console()
    table = Table(title="tlsweep, client side", title_justify="left")
    for column in ("what", "unit", "median", "min to max", "aim", "failed samples"):
        table.add_column(column)
    for figure in figures:
        aim = "" if figure.aim is None else f"{'reached' if figure.reached else 'MISSED'} (≤ {figure.aim:g})"
        spread = f"{min(figure.values):.3g} to {max(figure.values):.3g}"
        failed = f"{figure.failures:,} of {figure.samples:,}" if figure.samples else ""
        table.add_row(figure.name, figure.unit, f"{figure.median:.3g}", spread, aim, failed)
    console.print(table)
    endpoint = next(figure for figure in figures if figure.name == "endpoint")
    table = Table(title="One endpoint, by whom", title_justify="left")
    for column in ("scanner", "µs CPU", "times tlsweep", "what that covers"):
        table.add_column(column)
    own = "six versions, a full handshake, the chain and the leaf's facts"
    table.add_row("tlsweep", f"{endpoint.median:,.0f}", "1", own)
    for peer in others:
        cost = ("not installed", "") if peer.cpu_us is None else _cost(peer.cpu_us, endpoint)
        table.add_row(peer.name, *cost, peer.covers)
    console.print(table)


def _cost(cpu_us: float, endpoint: Figure) -> tuple[str, str]:
    return f"{cpu_us:,.0f}", f"{cpu_us / endpoint.median:.1f}"


def _document(figures: list[Figure], others: list[Peer], server: str) -> dict[str, object]:
    openssl = subprocess.run(["openssl", "version"], capture_output=True, text=True, check=True).stdout.strip()
    return {
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()}",
        "openssl": openssl,
        "server": server,
        "figures": [
            {
                "name": figure.name,
                "unit": figure.unit,
                "median": figure.median,
                "values": figure.values,
                "aim": figure.aim,
                "reached": figure.reached,
                "failures": figure.failures,
                "samples": figure.samples,
            }
            for figure in figures
        ],
        "peers": [{"name": peer.name, "cpu_us": peer.cpu_us, "covers": peer.covers} for peer in others],
    }


if __name__ == "__main__":
    typer.run(main)
