"""The figures, for people."""

import sys
from collections.abc import Iterable, Mapping, Sequence

from rich.console import Console
from rich.table import Table

from benchmarks.figure import CPU, Figure
from benchmarks.peers import Peer

WIDTH = 150  # in a log
OWN = (
    "six versions, a full handshake, the chain and the leaf's facts, findings",
    "suites one by one, known weaknesses (only where they are asked for)",
)


def print_all(figures: Sequence[Figure], peers: Sequence[Peer]) -> None:
    """Costs with their ratios; what is held, counted or idles; and the other scanners."""
    console = Console(width=None if sys.stdout.isatty() else WIDTH)
    named = {figure.name: figure for figure in figures}
    costs = [figure for figure in figures if figure.unit == CPU]
    shown = {related for cost in costs for related in _related(cost, named)}
    rest = [figure for figure in figures if figure.unit != CPU and figure.name not in shown]
    for table in (_costs(costs, named), _others(rest), _peers(named.get("endpoint"), peers)):
        if table.row_count:
            console.print(table)


def _related(cost: Figure, named: Mapping[str, Figure]) -> list[str]:
    """The names of its wall-clock time and of its ratios to the yardsticks, in this order, where there are such."""
    floors = [name for name in named if name.startswith(f"{cost.name} / floor")]
    names = [f"{cost.name}, wall", f"{cost.name} / s_time", *floors]
    return [name for name in names if name in named]


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left")
    for column in columns:
        table.add_column(column)
    return table


def _costs(costs: Iterable[Figure], named: Mapping[str, Figure]) -> Table:
    table = _table(
        "tlsweep, client side: median (least to most)",
        "one",
        "µs CPU",
        "µs wall",
        "/ s_time",
        "/ floor",
        "aim",
        "failed",
    )
    for cost in costs:
        others = [named[name] for name in _related(cost, named)]
        ratios = [_spread(other) for other in others] + [""] * (3 - len(others))
        aim = next((_aim(figure) for figure in (cost, *others) if figure.aim is not None), "")
        table.add_row(cost.name, _spread(cost), *ratios, aim, _failed(cost))
    return table


def _others(figures: Iterable[Figure]) -> Table:
    table = _table("What else is measured", "what", "unit", "median (least to most)", "aim", "failed")
    for figure in figures:
        aim = _aim(figure) if figure.aim is not None else ""
        table.add_row(figure.name, figure.unit, _spread(figure), aim, _failed(figure))
    return table


def _peers(endpoint: Figure | None, peers: Iterable[Peer]) -> Table:
    table = _table("One endpoint, by whom", "scanner", "µs CPU", "µs wall", "times tlsweep", "covers", "does not cover")
    if endpoint is None:
        return table
    table.add_row("tlsweep", f"{endpoint.median:,.0f}", "", "1", *OWN)
    for peer in peers:
        cost = ("not installed", "", "")
        if peer.cpu_us is not None and peer.wall_us is not None:
            cost = f"{peer.cpu_us:,.0f}", f"{peer.wall_us:,.0f}", f"{peer.cpu_us / endpoint.median:.1f}"
        table.add_row(peer.name, *cost, peer.covers, peer.lacks)
    return table


def _spread(figure: Figure) -> str:
    if len(figure.values) == 1:
        return _number(figure.median)
    return f"{_number(figure.median)} ({_number(min(figure.values))} to {_number(max(figure.values))})"


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _aim(figure: Figure) -> str:
    return f"{'reached' if figure.reached else 'MISSED'} (≤ {figure.aim:.4g})"


def _failed(figure: Figure) -> str:
    return f"{figure.failures:,} of {figure.samples:,}" if figure.samples else ""
