"""Progress for people: log lines where there is no terminal, a live line where there is one, a table at the end."""

import io

import pytest
import trio
from rich.console import Console
from structlog.testing import capture_logs

from scanner import progress
from scanner.conclusion import Status
from scanner.domain_status import DomainStatus
from scanner.engine import Tally
from scanner.progress import LINE_EVERY_S, show_progress
from scanner.summary import Summary
from targets.answer import DnsStatus
from targets.services import SERVICES


def record(service: str, status: Status, *findings: str, **versions: str) -> dict[str, object]:
    """As much of a record as is counted."""
    entries = {f"TLSv1.{name[1:]}": {"verdict": verdict} for name, verdict in versions.items()}
    return {
        "service": service,
        "status": status,
        "versions": entries or None,
        "findings": [{"id": each} for each in findings],
    }


def summary() -> Summary:
    """Three endpoints."""
    counts = Summary()
    counts.note_endpoint(record("smtp", Status.TLS, "auth-before-tls", v2="yes", v3="no"))
    counts.note_endpoint(record("smtp", Status.UNREACHABLE))
    counts.note_endpoint(record("https", Status.TLS, v2="yes", v3="unknown"))
    return counts


async def test_lines(autojump_clock: trio.abc.Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every ten seconds a log line says how far it is, how fast, and when it will be over."""
    monkeypatch.setattr(progress, "is_terminal", lambda: False)
    tally = Tally()
    with capture_logs() as logs, trio.move_on_after(2.5 * LINE_EVERY_S):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(show_progress, tally, summary(), 103)
            await trio.sleep(LINE_EVERY_S / 2)
            tally.taken, tally.over = 50, 30
            await trio.sleep(LINE_EVERY_S)
            tally.taken, tally.over, tally.unfinished = 100, 80, 3
    assert logs == [
        {
            "event": "progress",
            "log_level": "info",
            "done": done,
            "in_flight": in_flight,
            "waiting": 0,
            "per_second": per_second,
            "tls": 2,
            "unreachable": 1,
            "seconds_left": left,
        }
        for done, in_flight, per_second, left in [(30, 20, 3.0, 24), (80, 17, 5.0, 5)]
    ]


async def test_lines_with_mail_domains(autojump_clock: trio.abc.Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there are any, the line says how many have their record."""
    monkeypatch.setattr(progress, "is_terminal", lambda: False)
    counts = summary()
    counts.note_domain({"status": DomainStatus.ALL_TLS, "findings": [{"id": "dane-fails"}]})
    counts.note_domain({"status": DnsStatus.NXDOMAIN, "findings": None})
    with capture_logs() as logs, trio.move_on_after(1.5 * LINE_EVERY_S):
        await show_progress(Tally(), counts, None)
    assert [log["domains"] for log in logs] == [2]


def test_tables_of_mail_domains() -> None:
    """Domains by status, and what was found wrong with them."""
    counts = Summary()
    for status in (DomainStatus.ALL_TLS, DomainStatus.ALL_TLS, DnsStatus.NXDOMAIN):
        counts.note_domain({"status": status, "findings": [{"id": "dane-fails"}]})
    output = io.StringIO()
    Console(file=output, width=80).print(counts.tables())
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in output.getvalue().splitlines()]
    assert [row for row in rows if row] == [["all_tls", "2"], ["nxdomain", "1"], ["dane-fails", "high", "3"]]


async def test_lines_of_a_run_of_unknown_length(
    autojump_clock: trio.abc.Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where nobody knows how much there is, or nothing moves, no time is promised."""
    monkeypatch.setattr(progress, "is_terminal", lambda: False)
    for total in (None, 100):
        with capture_logs() as logs, trio.move_on_after(1.5 * LINE_EVERY_S):
            await show_progress(Tally(), Summary(), total)
        assert logs == [
            {"event": "progress", "log_level": "info", "done": 0, "in_flight": 0, "waiting": 0, "per_second": 0.0}
        ]


async def test_a_live_line_leaves_nothing_behind(
    autojump_clock: trio.abc.Clock, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The live line is shown while the run lasts, and is gone when it is cancelled."""
    shown = io.StringIO()
    monkeypatch.setattr(progress, "is_terminal", lambda: True)
    monkeypatch.setattr(progress, "Console", lambda stderr: Console(file=shown, force_terminal=True, width=200))
    with trio.move_on_after(3):
        await show_progress(Tally(taken=1_234, over=1_000), summary(), 2_000)
    text = shown.getvalue()
    for part in ("1,000 done", "234 in flight", "tls 2 unreachable 1"):
        assert part in text
    assert text.endswith("\x1b[2K")  # the line is erased
    assert capsys.readouterr() == ("", "")


async def test_nothing_but_waiting(
    autojump_clock: trio.abc.Clock, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where all endpoints wait for a later look, it is told when the next is due."""
    monkeypatch.setattr(progress, "is_terminal", lambda: False)
    tally = Tally(taken=5, over=3, waiting=2, wakes_at=trio.current_time() + 60)
    with capture_logs() as logs, trio.move_on_after(1.5 * LINE_EVERY_S):
        await show_progress(tally, summary(), None)
    assert [entry["next_look_in_s"] for entry in logs] == [60 - LINE_EVERY_S]
    monkeypatch.setattr(progress, "is_terminal", lambda: True)
    shown = io.StringIO()
    monkeypatch.setattr(progress, "Console", lambda **_: Console(file=shown, force_terminal=True, width=200))
    with trio.move_on_after(0.5):
        await show_progress(tally, Summary(), None)
    assert "2 waiting, the next in 45 s" in shown.getvalue()
    assert capsys.readouterr() == ("", "")


def text_of(counts: Summary, width: int = 80) -> list[list[str]]:
    """The tables as cells."""
    shown = io.StringIO()
    Console(file=shown, width=width).print(counts.tables())
    lines = [line for line in shown.getvalue().splitlines() if line[0] in "│┃"]
    return [[cell.strip() for cell in line.strip("│┃").replace("┃", "│").split("│")] for line in lines]


def test_the_tables() -> None:
    """Endpoints by service and status, the versions that they speak, and what is wrong with them."""
    assert text_of(summary()) == [
        ["service", "tls", "unreachable"],
        ["https", "1", ""],
        ["smtp", "1", "1"],
        ["version", "yes", "no", "cannot tell"],
        ["TLSv1.2", "2", "", ""],
        ["TLSv1.3", "", "1", "1"],
        ["finding", "severity", "endpoints"],
        ["auth-before-tls", "high", "1"],
    ]


def test_many_services_in_a_narrow_window() -> None:
    """Names are whole at 80 columns, whatever has been met."""
    counts = Summary()
    for service in SERVICES:
        for status in Status:
            counts.note_endpoint(record(service, status))
    assert {row[0] for row in text_of(counts)} >= SERVICES.keys()


def test_the_tables_of_nothing() -> None:
    """A run without endpoints has none."""
    assert text_of(Summary()) == []
