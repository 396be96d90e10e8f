"""Progress on standard error: a few live lines on a terminal, a log line every ten seconds elsewhere."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any

import structlog
import trio
from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from scanner.rates import Rates
from scanner.standard_error import has_room, is_terminal
from scanner.standing import Counts, Standing
from scanner.summary import STYLES

LINE_EVERY_S = 10
REFRESH_S = 0.5
BAR_WIDTH = 16

Stand = Callable[[], Standing]

log = structlog.get_logger()


async def show_progress(stand: Stand, total: int | None) -> None:
    """Show how far the run is, until cancelled. `total`: how many endpoints there will be, where that is known."""
    rates = Rates(trio.current_time())
    with suppress(OSError):  # a terminal that has gone
        await (_live if is_terminal() else _log_lines)(stand, rates, total)


async def _live(stand: Stand, rates: Rates, total: int | None) -> None:
    with Live(console=Console(stderr=True), auto_refresh=False, transient=True, vertical_overflow="crop") as live:
        while True:
            standing = _noted(stand, rates)
            if has_room():  # no Ctrl-S stops a scan
                live.update(Group(*_lines(standing, rates, total)), refresh=True)
            await trio.sleep(REFRESH_S)


async def _log_lines(stand: Stand, rates: Rates, total: int | None) -> None:
    while True:
        await trio.sleep(LINE_EVERY_S)
        log.info("progress", **_fields(_noted(stand, rates), rates, total))


def _noted(stand: Stand, rates: Rates) -> Standing:
    standing = stand()
    rates.note(trio.current_time(), standing.recorded, standing.connections)
    return standing


def _seconds_left(standing: Standing, rates: Rates, total: int | None) -> int | None:
    """As the rates say, and no less than it takes until what waits goes on."""
    left = None if total is None else rates.seconds_left(max(0, total - standing.recorded - standing.unfinished))
    return None if left is None else max(left, round(_idle_s(standing) or 0))


def _idle_s(standing: Standing) -> float | None:
    """For how long nothing goes on, where all that is left waits."""
    return standing.next_look_s if standing.waiting and not standing.in_flight else None


def _fields(standing: Standing, rates: Rates, total: int | None) -> dict[str, Any]:
    """What a log line tells. What there is none of is left out, but for the main numbers."""
    endpoints_a_second, connections_a_second = rates.lately
    left, idle_s = _seconds_left(standing, rates, total), _idle_s(standing)
    told = {
        "domains": sum(standing.domains.values()),
        "waits": _present(standing.waits),
        **standing.statuses,
        "errors": standing.errors,
        "seconds_left": left,
        "next_look_in_s": None if idle_s is None else round(idle_s),
    }
    return {
        "done": standing.recorded,
        "in_flight": standing.in_flight,
        "waiting": standing.waiting,
        "per_second": round(endpoints_a_second, 1),
        "connections": standing.connections,
        "connections_per_second": round(connections_a_second, 1),
        "open": standing.open,
        **{name: value for name, value in told.items() if value or (name.endswith("_s") and value is not None)},
    }


def _lines(standing: Standing, rates: Rates, total: int | None) -> Iterator[Table | Text]:
    """What a terminal shows; each line is cut where the terminal is narrower."""
    endpoints_a_second, connections_a_second = rates.lately
    yield _headline(standing, endpoints_a_second, _seconds_left(standing, rates, total), total)
    slots = f" of {standing.slots:,}" if standing.slots else ""
    now = [f"{standing.in_flight:,} in flight", f"{standing.open:,}{slots} connections, {connections_a_second:,.0f}/s"]
    yield _line("now", [*now, *_waiting(standing)])
    if standing.waits and (waits := _present(standing.waits)):
        yield _line("waiting", _counted(waits))
    if standing.statuses:
        yield _statuses(standing.statuses)
    if standing.errors:
        kinds = {f"{stage} {kind}": count for stage, each in standing.errors.items() for kind, count in each.items()}
        yield _line("errors", _counted(kinds))
    if recorded := sum(standing.domains.values()):
        yield _line("mail", [f"{recorded:,} mail domains", f"{standing.domains_waiting:,} wait for their endpoints"])


def _headline(standing: Standing, a_second: float, left: int | None, total: int | None) -> Table:
    line = Table.grid(padding=(0, 1))
    done = Text(f"{standing.recorded:,}{f' of {total:,}' if total else ''} done", "bold", no_wrap=True)
    share = [f"{standing.recorded * 100 // total}%"] if total else []  # nothing is whole before it is
    after = [*share, f"{a_second:,.0f}/s", *([f"{_told(left)} left"] if left is not None else [])]
    bar = [ProgressBar(total, standing.recorded, BAR_WIDTH)] if total else []
    line.add_row(done, *bar, Text("  ".join(after), no_wrap=True))
    return line


def _statuses(statuses: Counts) -> Text:
    line = _line("so far", [])
    for number, (status, count) in enumerate(sorted(statuses.items(), key=lambda each: -each[1])):
        line.append(", " if number else "").append(f"{status} {count:,}", STYLES.get(status, ""))
    return line


def _waiting(standing: Standing) -> Iterable[str]:
    """How many endpoints wait; and for how long, where nothing else goes on."""
    idle_s = _idle_s(standing)
    if standing.waiting:
        yield f"{standing.waiting:,} waiting" + ("" if idle_s is None else f", the next in {idle_s:.0f} s")


def _line(name: str, parts: Iterable[str]) -> Text:
    line = Text(f"{name:<8}", "dim", no_wrap=True, overflow="ellipsis")
    return line.append(", ".join(parts), "default")


def _counted(counts: Mapping[str, int]) -> list[str]:
    """The most first, so that what is cut off is rare."""
    return [f"{name.replace('_', ' ')} {count:,}" for name, count in sorted(counts.items(), key=lambda each: -each[1])]


def _present(counts: Counts) -> Counts:
    return {name: count for name, count in counts.items() if count}


def _told(seconds: int) -> str:
    """Rough, for people."""
    if seconds < 60:
        return f"{seconds} s"
    minutes = seconds // 60
    if minutes < 60:
        return f"{minutes} min" if seconds >= 600 else f"{minutes}:{seconds % 60:02} min"
    return f"{minutes // 60}:{minutes % 60:02} h" if minutes < 600 else f"{minutes // 60} h"
