"""Our name in EHLO: does it lead here and back, and what is said where it does not?"""

import os
from pathlib import Path

import pytest
import trio

from scanner import run
from scanner.config import Config
from scanner.exit_code import ExitCode
from scanner.hello_name import NameCheck, check_name
from targets.resolver import NoNameServersError, Resolver
from tests.peers.command import scan
from tests.peers.nameserver import NOBODY, Records, Trouble, Zone, name_server

NAME, OURS = "scan.example.test", ("192.0.2.1", "2001:db8::1")
BACK, BACK_V6 = "1.2.0.192.in-addr.arpa", f"1.{'0.' * 23}8.b.d.0.1.0.0.2.ip6.arpa"
DELEGATED = "1.0-63.2.0.192.in-addr.arpa"
WHOLE: dict[str, Records] = {NAME: {"A": ["192.0.2.1"]}, BACK: {"PTR": [f"{NAME}."]}}


async def standing(zone: Zone, name: str = NAME, ours: tuple[str, ...] = OURS) -> NameCheck:
    """How a name stands with what this zone says."""
    async with name_server(zone) as server:
        return await check_name(name, ours, Resolver(server.servers, lifetime_s=0.5, attempt_s=0.2))


@pytest.mark.parametrize(
    ("zone", "name"),
    [
        (WHOLE, NAME),
        (WHOLE, "SCAN.example.test."),
        (WHOLE | {BACK: {"PTR": ["other.example.test.", f"{NAME.upper()}."]}}, NAME),
        (WHOLE | {NAME: {"A": ["192.0.2.1", "192.0.2.9"]}}, NAME),  # one of several machines
        (WHOLE | {NAME: {"A": ["192.0.2.1"], "AAAA": ["2001:db8::1"]}, BACK_V6: {"PTR": [f"{NAME}."]}}, NAME),
        (WHOLE | {BACK: {"CNAME": [f"{DELEGATED}."]}, DELEGATED: {"PTR": [f"{NAME}."]}}, NAME),
    ],
)
async def test_as_it_should_be(zone: Zone, name: str) -> None:
    """The name leads to an address of ours, and each such address back to the name, by aliases too (RFC 2317)."""
    assert await standing(zone, name) == NameCheck(True)


@pytest.mark.parametrize(
    ("zone", "resolves", "why"),
    [
        ({}, False, "does not resolve: the name does not exist in the DNS"),
        ({NAME: {"TXT": ['"x"']}}, False, "does not resolve: the name has neither an A nor an AAAA record"),
        (
            {NAME: {"A": ["192.0.2.9"]}},
            False,
            "resolves to 192.0.2.9, and connections come from 192.0.2.1, 2001:db8::1",
        ),
        ({NAME: {"A": ["192.0.2.9"]}}, False, "behind a NAT that may be as it should be"),
        ({NAME: {"A": ["192.0.2.1"]}}, False, "resolves to 192.0.2.1, which has no name (PTR)"),
        (
            WHOLE | {BACK: {"PTR": ["a.test.", "b.test."]}},
            False,
            "192.0.2.1, which leads to a.test, b.test, and not back (PTR)",
        ),
        (WHOLE | {NAME: {"A": ["192.0.2.1"], "AAAA": ["2001:db8::1"]}}, False, "2001:db8::1, which has no name"),
        ({NAME: {"A": Trouble.SERVFAIL, "AAAA": Trouble.SERVFAIL}}, None, "could not be looked up"),
        (WHOLE | {BACK: {"PTR": Trouble.SILENCE}}, None, "the name of 192.0.2.1 could not be looked up"),
    ],
)
async def test_what_is_wrong(zone: Zone, resolves: bool | None, why: str) -> None:
    """A sentence that tells what to mend; where the DNS does not tell, nobody knows."""
    found = await standing(zone)
    assert found.resolves is resolves
    assert found.complaint is not None
    assert why in found.complaint


@pytest.mark.parametrize(
    ("name", "resolves"),
    [("[192.0.2.1]", True), ("[IPv6:2001:DB8::1]", True), ("[192.0.2.9]", False), ("[192.0.2.256]", False)],
)
async def test_address_literals(name: str, resolves: bool) -> None:
    """They are held against our addresses, and nobody is asked."""
    assert (await check_name(name, OURS, Resolver(resolv_conf="/nonexistent"))).resolves is resolves


async def test_nobody_to_ask() -> None:
    """Whoever asks hears of it."""
    with pytest.raises(NoNameServersError):
        await check_name(NAME, OURS, Resolver(resolv_conf="/nonexistent"))


async def test_by_the_command() -> None:
    """A scan warns, says it in its last record, and is none the worse for it."""
    with trio.socket.socket() as silent:
        await silent.bind(("127.0.0.1", 0))
        silent.listen()
        async with name_server({NAME: {"A": ["192.0.2.77"]}}) as server:
            target = f"smtp://127.0.0.1:{silent.getsockname()[1]}"
            done = await scan("--hello-name", NAME, "--resolver", f"127.0.0.1:{server.port}", target)
            assert (NAME, "A", "udp") in server.asked
    assert done.code == 0
    assert "our name in EHLO may be mistrusted" in done.errors
    assert f"{NAME} resolves to 192.0.2.77, and connections come from" in done.errors
    assert done.end["hello_name_resolves"] is False


async def test_a_silent_name_server_holds_nobody_up() -> None:
    """The scan is over when its endpoints are."""
    async with name_server({}) as server:
        server.is_silent = True
        done = await scan("--hello-name", NAME, "--resolver", f"127.0.0.1:{server.port}", "127.48.0.1:25")
    assert (done.code, done.errors, done.end["hello_name_resolves"]) == (0, "", None)
    assert done.end["duration_s"] < 2


async def test_a_bug_costs_no_scan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever becomes of the look-up, the scan goes on."""

    async def fail(*_: object) -> NameCheck:
        failed.append(True)
        raise ZeroDivisionError

    failed: list[bool] = []
    monkeypatch.setattr(run, "check_name", fail)
    config = Config(("10.0.0.1",), hello_name=NAME, resolvers=(NOBODY,), progress=False)
    output = os.open(tmp_path / "out.jsonl", os.O_CREAT | os.O_WRONLY)
    assert await run.Run(config, output).scan() is ExitCode.COMPLETE
    os.close(output)
    assert failed


async def test_no_name_no_question() -> None:
    """Without --hello-name nobody is asked about anything."""
    async with name_server({}) as server:
        done = await scan("--resolver", f"127.0.0.1:{server.port}", "127.48.0.1:25")
        assert (server.asked, server.roots) == ([], 0)
    assert done.end["hello_name_resolves"] is None
