"""`--dry-run`: what a scan would be, without a packet and without an output."""

import json
import os
import pty
import shutil
import socket
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from scanner import cli
from scanner.config import Config
from scanner.limits import Limits as Pace
from scanner.plan import Limit, Plan
from scanner.plan_shown import duration, sentences
from scanner.question import Wanted
from targets.census import Census, take_census
from targets.exclude import Exclusions
from targets.excluded import Excluders
from targets.services import services_named
from tests.conftest import validate
from tests.peers.command import tlsweep


async def plan_of(*targets: str, services: str = "https", limits: Pace | None = None, **settings: Any) -> Plan:
    """The plan for targets of the command line."""
    config = Config(targets, services=services_named(services), limits=limits or Pace(), **settings)
    census = Census(Exclusions(config.allow, config.block), Excluders(config.allow, {}), config.rules.ipv6_most)
    await take_census(census, config.services, config.targets, (), config.rules)
    return Plan(census, config, config.limits)


@pytest.mark.parametrize(
    ("targets", "limits", "decided_by", "seconds"),
    [
        (("9.0.0.0/8",), Pace(), Limit.RATE, 7 * 2**24 / 1_000),
        (("9.0.0.0/8",), Pace(rate=0), Limit.CONNECTIONS, 7 * 2**24 / 1_000),
        (("9.0.0.0/8",), Pace(rate=0, connections=0), Limit.ENDPOINTS, 7 * 2**24 / 20_000),
        (("9.9.9.0/24",), Pace(), Limit.PER_NETWORK_RATE, 7 * 256 / 20),
        (("9.9.9.9",), Pace(per_address_rate=0.5), Limit.PER_ADDRESS_RATE, 14),
        (("9.9.9.9",), Pace(per_address_rate=0), Limit.PER_ADDRESS, 7),
    ],
)
async def test_the_limit_that_decides(
    targets: tuple[str, ...], limits: Pace, decided_by: Limit, seconds: float
) -> None:
    """Each limit by itself would need so long for seven connections an endpoint; the longest is the scan's."""
    _, usual = (await plan_of(*targets, limits=limits)).cases
    assert usual.decided_by is decided_by
    assert usual.seconds[decided_by] == pytest.approx(seconds)


async def test_if_nobody_answers() -> None:
    """Each endpoint costs a connection and, after a pause, another, which last as long as may be waited for them."""
    silent, _ = (await plan_of("9.9.9.9")).cases
    assert (silent.connections, silent.connection_s, silent.decided_by) == (2, 10, Limit.PATIENCE)
    assert silent.seconds[Limit.PATIENCE] == 10 + 30 + 10
    silent, _ = (await plan_of("9.9.9.9", retries=0)).cases
    assert (silent.connections, silent.seconds[Limit.PATIENCE]) == (1, 10)


async def test_no_limit_and_nothing_to_scan() -> None:
    """Without limits nothing is waited for but the endpoints themselves; without endpoints, nothing at all."""
    none = Pace(0, 0, 0, 0, 0, 0, 0)
    _, usual = (await plan_of("9.9.9.0/24", limits=none)).cases
    assert usual.seconds[usual.decided_by] == 0
    plan = await plan_of("10.0.0.1")
    assert [case.connections for case in plan.cases] == [0, 0]
    assert "10.0.0.0/8 (private use, RFC 1918)" in "\n".join(sentences(plan))


async def test_the_busiest() -> None:
    """The network and the address with the most connections are named, where they are known before the DNS is asked."""
    _, usual = (await plan_of("9.9.9.0/25", "9.9.8.0/24", "https://9.9.9.1:444")).cases
    assert (usual.busiest_network.place, usual.busiest_network.connections) == ("9.9.8.0/24", 256 * 7)
    assert (usual.busiest_address.place, usual.busiest_address.connections) == ("9.9.9.1", 14)
    _, usual = (await plan_of("mail.example.org", services="mail")).cases
    assert (usual.busiest_address.place, usual.busiest_address.connections) == (None, 8 * 7)
    _, usual = (await plan_of("[2a00:1::1]", "[2a00:1:0:1::1]")).cases
    assert (usual.busiest_network.place, usual.busiest_network.connections) == ("2a00:1::/48", 14)


async def test_what_is_asked_counts() -> None:
    """Fewer connections by --economical, more by what is asked besides."""
    _, usual = (await plan_of("9.9.9.9", wanted=Wanted(economical=True))).cases
    assert usual.connections == 4
    _, usual = (await plan_of("9.9.9.9", wanted=Wanted(probes=("alpn",)))).cases
    assert usual.connections == 8


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        *((0, "1 second"), (59, "59 seconds"), (60, "1 minute"), (3_725, "1 hour 2 minutes")),
        *((86_400, "1 day"), (90_061, "1 day 1 hour"), (86_405, "1 day"), (2_684_355, "31 days 1 hour")),
    ],
)
def test_durations(seconds: float, text: str) -> None:
    """In the two largest units, as people say it."""
    assert duration(seconds) == text


async def test_names_and_domains_are_said_to_be_assumed() -> None:
    """What would be looked up is counted, and it is said as what."""
    text = "\n".join(sentences(await plan_of("www.example.org", "mx:example.org")))
    assert "1 name would be looked up, and count as if each had 1 address" in text
    assert (
        "1 mail domain would be looked up, and count for 2 endpoints, 2 each: fewer where they share MX hosts" in text
    )


async def test_by_the_command_without_a_packet(tmp_path: Path) -> None:
    """Under a system without a network, and watched at its system calls: no socket of a network, and no output."""
    output, trace = tmp_path / "out.jsonl", tmp_path / "trace"
    blocked = tmp_path / "blocked.txt"
    blocked.write_text("9.9.9.8/31\n")
    shell = "true"
    if shutil.which("strace"):
        shell = f'set -- strace -f -qq -o {trace} -e trace=socket,connect,sendto,sendmsg "$@"'
    done = await tlsweep(
        *("scan", "--dry-run", "-o", str(output), "--certificates", str(tmp_path / "certificates.jsonl")),
        *(
            "--exclude",
            str(blocked),
            "--hello-name",
            "scan.example.org",
            "-i",
            "-",
            "www.example.org",
            "mx:example.org",
        ),
        stdin=b"9.9.9.0/24\nbad..name\n",
        shell=shell,
    )
    assert (done.code, done.errors) == (0, "")
    assert not any(name.endswith(".jsonl") for name in os.listdir(tmp_path))
    if trace.exists():
        assert "AF_INET" not in trace.read_text()
    (plan,) = map(json.loads, done.output.splitlines())
    validate(plan)
    assert plan["services"]["smtp"] == 254 + 1
    assert (plan["names"], plan["domains"], plan["exact"]) == (1, 1, False)
    assert plan["left_out"] == {"invalid": 1, "blocked": 2}
    assert plan["blocked_by"] == {f"the block list {blocked}": 2}


def test_no_socket_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever would make one of a network fails; the plan does not."""
    make = socket.socket.__init__

    def refuse(self: socket.socket, family: int = -1, *rest: Any, **more: Any) -> None:
        assert family not in (-1, socket.AF_INET, socket.AF_INET6)
        make(self, family, *rest, **more)

    monkeypatch.setattr(socket.socket, "__init__", refuse)
    result = CliRunner().invoke(cli.app, ["scan", "--dry-run", "www.example.org", "9.9.9.9", "mx:example.org"])
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["endpoints"] == 8 + 8 + 2


def test_a_network_that_no_integer_of_64_bits_counts() -> None:
    """The plan says it all the same."""
    result = CliRunner().invoke(cli.app, ["scan", "--dry-run", "--ipv6-most", "9", "--services", "https", "2a00::/16"])
    plan = json.loads(result.stdout)
    assert plan["left_out"] == {"capped": 2**112 - 9}
    assert (plan["endpoints"], plan["cases"]["usual"]["busiest_network"]["connections"]) == (9, 7)
    validate(plan)


def test_what_is_refused(tmp_path: Path) -> None:
    """Inputs that cannot be used end it as they would a scan."""
    table = tmp_path / "hosts.csv"
    table.write_text("name,colour\nmail,green\n")
    for arguments, why in (
        ((), "nothing to scan"),
        (("-i", str(tmp_path / "missing")), "no such file or directory"),
        (("--format", "csv", "-i", str(table)), "the first line is no CSV header"),
        (("no host!",), "no host!"),
    ):
        result = CliRunner().invoke(cli.app, ["scan", "--dry-run", *arguments])
        assert (result.exit_code, result.stdout) == (2, "")
        assert why in result.stderr


def test_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """There people read it, in sentences."""
    ours, theirs = pty.openpty()
    with os.fdopen(theirs, "w") as terminal:
        monkeypatch.setattr("sys.stdout", terminal)
        with pytest.raises(SystemExit) as end:
            cli.app(["scan", "--dry-run", "--services", "https", "9.9.9.0/24"])
        terminal.flush()
        text = os.read(ours, 65_536).decode().replace("\r\n", "\n")
    os.close(ours)
    assert end.value.code == 0
    assert text == (
        "256 endpoints: 256 https\n"
        "If nobody answers: 512 connections, taken to last 10 s each; about 50 seconds\n"
        "  decided by timeouts, and the pauses before later looks\n"
        "If all are usual servers: 1,792 connections, taken to last 1 s each; about 1 minute 30 seconds\n"
        "  decided by --per-network-rate: 9.9.9.0/24 gets 1,792 connections\n"
        "Nothing was sent, and nothing was written.\n"
    )
