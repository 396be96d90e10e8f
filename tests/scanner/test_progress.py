"""Progress for people: log lines where there is no terminal, a live line where there is one, a table at the end."""

import io
from dataclasses import replace

import pytest
import trio
from rich.console import Console
from structlog.testing import capture_logs

from scanner import progress
from scanner.conclusion import Status
from scanner.domain_status import DomainStatus
from scanner.progress import LINE_EVERY_S, show_progress
from scanner.standing import Standing
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


STANDING = Standing(
    taken=1_290,
    recorded=1_000,
    in_flight=234,
    waiting=56,
    statuses={"unreachable": 200, "tls": 800},
    connections=4_321,
    open=98,
    slots=500,
    errors={"connect": {"refused": 150, "timeout": 50}, "tls": {"reset": 3}},
    waits={"address": 120, "network": 0, "total": 16, "later_look": 56},
    next_look_s=45.4,
)


async def test_lines(autojump_clock: trio.abc.Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every ten seconds a log line says how far it is, how fast, and when it will be over."""
    monkeypatch.setattr(progress, "is_terminal", lambda: False)
    stands = [Standing(), Standing()]
    with capture_logs() as logs, trio.move_on_after(2.5 * LINE_EVERY_S):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(show_progress, lambda: stands[-1], 103)
            await trio.sleep(LINE_EVERY_S / 2)
            stands.append(Standing(taken=50, recorded=30, in_flight=20, connections=60, open=7, statuses={"tls": 30}))
            await trio.sleep(LINE_EVERY_S)
            stands.append(
                Standing(
                    *(100, 80, 3, 17),
                    statuses={"tls": 78, "error": 2},
                    connections=200,
                    errors={"connect": {"no_ports": 2}},
                    waits={"address": 9, "total": 0},
                )
            )
    assert logs == [
        {
            "event": "progress",
            "log_level": "info",
            "done": 30,
            "in_flight": 20,
            "waiting": 0,
            "per_second": 3.0,
            "connections": 60,
            "connections_per_second": 6.0,
            "open": 7,
            "tls": 30,
            "seconds_left": 25,
        },
        {
            "event": "progress",
            "log_level": "info",
            "done": 80,
            "in_flight": 17,
            "waiting": 0,
            "per_second": 5.0,
            "connections": 200,
            "connections_per_second": 14.0,
            "open": 0,
            "tls": 78,
            "error": 2,
            "errors": {"connect": {"no_ports": 2}},
            "waits": {"address": 9},
            "seconds_left": 5,
        },
    ]


async def test_lines_with_mail_domains(autojump_clock: trio.abc.Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there are any, the line says how many have their record."""
    monkeypatch.setattr(progress, "is_terminal", lambda: False)
    with capture_logs() as logs, trio.move_on_after(1.5 * LINE_EVERY_S):
        await show_progress(lambda: Standing(domains={"all_tls": 1, "nxdomain": 1}), None)
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
            await show_progress(Standing, total)
        assert logs == [
            {
                "event": "progress",
                "log_level": "info",
                "done": 0,
                "in_flight": 0,
                "waiting": 0,
                "per_second": 0.0,
                "connections": 0,
                "connections_per_second": 0.0,
                "open": 0,
            }
        ]


async def first_frame(
    monkeypatch: pytest.MonkeyPatch, standing: Standing, total: int | None, width: int = 80
) -> list[str]:
    """The lines that a terminal shows first, without colours."""
    screen = io.StringIO()
    monkeypatch.setattr(progress, "is_terminal", lambda: True)
    terminal = Console(file=screen, force_terminal=True, color_system=None, width=width)
    monkeypatch.setattr(progress, "Console", lambda stderr: terminal)
    with trio.move_on_after(0.1):
        await show_progress(lambda: standing, total)
    frame = screen.getvalue().removeprefix("\x1b[?25l").split("\r")[0]
    return [line.rstrip() for line in frame.splitlines()]


@pytest.mark.parametrize("width", [80, 120])
async def test_live_lines(
    autojump_clock: trio.abc.Clock,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    width: int,
) -> None:
    """A few lines with all that matters, none of them broken in two."""
    assert await first_frame(monkeypatch, STANDING, 2_000, width) == [
        "1,000 of 2,000 done ━━━━━━━━         50%  0/s",
        "now     234 in flight, 98 of 500 connections, 0/s, 56 waiting",
        "waiting address 120, later look 56, total 16",
        "so far  tls 800, unreachable 200",
        "errors  connect refused 150, connect timeout 50, tls reset 3",
    ]
    assert capsys.readouterr() == ("", "")


async def test_live_lines_are_cut_where_the_terminal_ends(
    autojump_clock: trio.abc.Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever has been met: one line stays one line, and what is cut off is the rarest."""
    many = {"tls": {f"kind_{number}": number for number in range(1, 40)}}
    standing = replace(STANDING, errors=many, statuses=dict.fromkeys(Status, 10**6), domains={"all_tls": 10**6})
    lines = await first_frame(monkeypatch, standing, 10**9, 60)
    assert [line.split()[0] for line in lines] == ["1,000", "now", "waiting", "so", "errors", "mail"]
    assert lines[4] == "errors  tls kind 39 39, tls kind 38 38, tls kind 37 37, tls…"


async def test_live_lines_leave_nothing_behind(
    autojump_clock: trio.abc.Clock, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """They are shown while the run lasts, and are gone when it is cancelled."""
    screen = io.StringIO()
    monkeypatch.setattr(progress, "is_terminal", lambda: True)
    monkeypatch.setattr(progress, "Console", lambda stderr: Console(file=screen, force_terminal=True, width=100))
    with trio.move_on_after(3):
        await show_progress(lambda: STANDING, 2_000)
    assert "1,000 of 2,000 done" in screen.getvalue()
    assert screen.getvalue().endswith("\x1b[1A\x1b[2K")  # the lines are erased, one after the other
    assert capsys.readouterr() == ("", "")


async def test_nothing_but_waiting(autojump_clock: trio.abc.Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where all endpoints wait for a later look, it is told when the next is due; it is not over before."""
    monkeypatch.setattr(progress, "is_terminal", lambda: False)
    standing = Standing(taken=5, recorded=3, waiting=2, connections=9, next_look_s=60)
    with capture_logs() as logs, trio.move_on_after(1.5 * LINE_EVERY_S):
        await show_progress(lambda: standing, 5)
    assert [(entry["next_look_in_s"], entry["seconds_left"]) for entry in logs] == [(60, 60)]
    assert "2 waiting, the next in 60 s" in (await first_frame(monkeypatch, standing, None))[1]


@pytest.mark.parametrize(
    ("seconds", "told"),
    [(0, "0 s"), (55, "55 s"), (90, "1:30 min"), (1_200, "20 min"), (5_400, "1:30 h"), (90_000, "25 h")],
)
def test_times_for_people(seconds: int, told: str) -> None:
    """As much as anybody wants to know."""
    assert progress._told(seconds) == told


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
