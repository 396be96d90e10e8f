"""Progress on standard error: a live line on a terminal, a log line every ten seconds elsewhere."""

from math import inf

import structlog
import trio
from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, SpinnerColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

from scanner.engine import Tally
from scanner.log import is_terminal
from scanner.summary import Summary

LINE_EVERY_S = 10
REFRESH_S = 0.5

log = structlog.get_logger()


class _Speed(ProgressColumn):
    """Endpoints a second, of late."""

    def render(self, task: Task) -> Text:
        return Text(f"{task.speed or 0:.0f}/s")


async def show_progress(tally: Tally, summary: Summary, total: int | None) -> None:
    """Show how far the run is, until cancelled."""
    if is_terminal():
        await _live(tally, summary, total)
    else:
        await _lines(tally, summary, total)


async def _live(tally: Tally, summary: Summary, total: int | None) -> None:
    columns = (
        SpinnerColumn(),
        TextColumn("{task.completed:,.0f} done{task.fields[domains]}"),
        BarColumn(bar_width=24),
        TextColumn("{task.fields[in_flight]:,} in flight, {task.fields[waiting]}"),
        _Speed(),
        TextColumn("{task.fields[verdicts]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), auto_refresh=False, transient=True) as progress:
        task = progress.add_task("", total=total, in_flight=0, waiting="", domains="", verdicts="")
        while True:
            progress.update(
                task,
                completed=tally.over,
                in_flight=tally.in_flight,
                waiting=_waiting(tally),
                domains=_domains(summary),
                verdicts=" ".join(f"{status} {count:,}" for status, count in summary.statuses.most_common()),
            )
            progress.refresh()
            await trio.sleep(REFRESH_S)


def _waiting(tally: Tally) -> str:
    """How many wait; and for how long, where nothing else goes on."""
    pause = tally.wakes_at - trio.current_time()
    how_long = f", the next in {max(0, pause):.0f} s" if tally.waiting and not tally.in_flight and pause < inf else ""
    return f"{tally.waiting:,} waiting{how_long}"


def _domains(summary: Summary) -> str:
    """How many have their record, where there are any."""
    recorded = summary.domains.total()
    return f", {recorded:,} mail domains" if recorded else ""


async def _lines(tally: Tally, summary: Summary, total: int | None) -> None:
    before = 0
    while True:
        await trio.sleep(LINE_EVERY_S)
        rate = (tally.over - before) / LINE_EVERY_S
        before = tally.over
        left = {"seconds_left": round((total - tally.over) / rate)} if total is not None and rate else {}
        now = {"done": tally.over, "in_flight": tally.in_flight, "waiting": tally.waiting, "per_second": rate}
        if domains := summary.domains.total():
            now["domains"] = domains
        if tally.waiting and not tally.in_flight and tally.wakes_at < inf:
            now["next_look_in_s"] = round(max(0, tally.wakes_at - trio.current_time()))
        log.info("progress", **now, **summary.statuses, **left)
