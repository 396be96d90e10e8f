"""`make bench`, `make bench-full`: every case, as a table, as JSON for us and for trackers, and in the history.

Exit status 1 when an aim is missed.
"""

import json
import platform
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, assert_never

import typer

from benchmarks import history, plot
from benchmarks.awake import idle_cores_awake
from benchmarks.cases import Costs, certificates, growth, memory
from benchmarks.cost import Yardsticks
from benchmarks.dead import mostly_dead
from benchmarks.distance import distant
from benchmarks.figure import AWAKE, Figure, figures_of
from benchmarks.fleet import Fleet, fleet
from benchmarks.peers import Peer, peers
from benchmarks.processes import processes
from benchmarks.resolving import resolving
from benchmarks.scale import BENCH, FULL, Scale
from benchmarks.survey import survey
from benchmarks.tables import print_all
from benchmarks.tracker import tracked

RESULTS = Path(__file__).parent / "results"
HISTORY = Path(__file__).parent / "history.jsonl"


class Part(StrEnum):
    """What may be measured by itself; the yardsticks always are."""

    COSTS = "costs"
    DNS = "dns"
    MEMORY = "memory"
    GROWTH = "growth"
    CERTIFICATES = "certificates"
    SURVEY = "survey"
    PROCESSES = "processes"
    DEAD = "dead"
    DISTANCE = "distance"
    PEERS = "peers"


def main(
    full: Annotated[bool, typer.Option("--full", help="All of it, as for a night.")] = False,
    only: Annotated[list[Part] | None, typer.Option(help="Measure only this; no history. Repeatable.")] = None,
    output: Annotated[Path, typer.Option(help="Where the JSON goes; the tracker's beside it.")] = RESULTS
    / "latest.json",
    kept: Annotated[Path, typer.Option("--history", help="The file with one line a run.")] = HISTORY,
) -> None:
    """Measure what a scan costs its client, against `openssl s_time` and a bare epoll loop in the same run."""
    scale, parts = FULL if full else BENCH, tuple(only or Part)
    with (
        tempfile.TemporaryDirectory(prefix="tlsweep-bench-") as directory,
        idle_cores_awake() as is_awake,
        fleet() as servers,
    ):
        figures = measured(scale, parts, servers, Path(directory))
        others = peers(servers) if Part.PEERS in parts else []
        document = {**_document(figures, others, servers.server), AWAKE: is_awake}
    print_all(figures, others)
    print("idle cores were kept awake" if is_awake else "idle cores slept: to keep them awake takes root, and Linux")
    _write(output, document)
    if only is None:
        _remember(kept, output.with_suffix(".svg"), document)
    sys.exit(any(figure.reached is False for figure in figures))


def measured(scale: Scale, parts: Sequence[Part], servers: Fleet, directory: Path) -> list[Figure]:
    """Part after part; each figure beside the yardsticks of this run."""
    costs = Costs(servers, directory, scale.repetitions, scale.seconds)
    yardsticks, figures = costs.measure(costs.cases() if Part.COSTS in parts else [])
    for part in parts:
        print(f"{datetime.now():%H:%M:%S} {part}", file=sys.stderr)
        figures += _measured(part, scale, servers, directory, yardsticks)
    return figures


def _measured(part: Part, scale: Scale, servers: Fleet, directory: Path, yardsticks: Yardsticks) -> list[Figure]:
    match part:
        case Part.COSTS | Part.PEERS:
            return []
        case Part.DNS:
            return resolving(yardsticks, scale.repetitions)
        case Part.MEMORY:
            return memory(servers, directory, scale.held)
        case Part.GROWTH:
            return growth(servers, directory, scale.grown) if scale.grown else []
        case Part.CERTIFICATES:
            return certificates(servers, directory)
        case Part.SURVEY:
            return survey(servers, directory, yardsticks, scale.domains, scale.hosts, scale.surveys)
        case Part.PROCESSES:
            return processes(servers, directory, scale.repetitions)
        case Part.DEAD:
            return mostly_dead(servers, yardsticks, scale.refused, scale.silent, scale.repetitions)
        case Part.DISTANCE:
            return distant(yardsticks, scale.distant, scale.repetitions)
        case never:
            assert_never(never)


def _document(figures: Sequence[Figure], others: Sequence[Peer], server: str) -> dict[str, Any]:
    openssl = subprocess.run(["openssl", "version"], capture_output=True, text=True, check=True).stdout.strip()
    return {
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()}",
        "openssl": openssl,
        "server": server,
        "figures": [figure.document() for figure in figures],
        "peers": [peer.document() for peer in others],
    }


def _write(output: Path, document: dict[str, Any]) -> None:
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(json.dumps(document, indent=2) + "\n")
    tracker = output.with_suffix(".tracker.json")
    tracker.write_text(json.dumps(tracked(figures_of(document)), indent=2, ensure_ascii=False) + "\n")
    print(f"raw figures: {output}; for a tracker: {tracker}")


def _remember(kept: Path, drawn: Path, document: dict[str, Any]) -> None:
    history.append(kept, history.night_of(document))
    drawn.write_text(plot.plotted(history.nights(kept, RESULTS)))
    print(f"history: {kept}, {drawn}")


if __name__ == "__main__":
    typer.run(main)
