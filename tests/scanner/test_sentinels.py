"""Downgrade sentinels (RFC 8446 §4.1.3): a server that says in a lower version that it could do better is believed.

"No" to that better version is then never said for an end, nor for an alert that another hello could have spared us.
"""

from dataclasses import replace

import pytest

from scanner.question import Wanted
from scanner.tls.names import Version
from scanner.versions import Known
from tests.peers.tls_table import (
    RSA_AEAD,
    RSA_CBC,
    TLS10,
    TLS11,
    TLS12,
    TLS13,
    TLS13_SUITES,
    End,
    Quirk,
    Says,
    Table,
)
from tests.scanner.test_ladder_on_peers import MODERN, Seen, in_short, see

FIN, RST, SILENCE = End
DENIES = Table({TLS12: RSA_AEAD}, sentinel_of=TLS13, hands_over=False)  # it could do TLS 1.3, and does not for us
OLD_DENIES = Table({TLS10: RSA_CBC, TLS11: RSA_CBC}, sentinel_of=TLS12, hands_over=False)


def of(found: Seen, version: Version) -> tuple[str, set[str]]:
    """The verdict on one version in short, and its flags."""
    entry = (found.conclusion.versions or {})[version]
    return in_short(entry), set(entry.flags) - {"retry_used"}


def rungs(found: Seen) -> list[str]:
    """The other hellos for versions from TLS 1.2 on."""
    return [each for each in found.besides.split() if each.startswith(("1.2", "1.3"))]


@pytest.mark.parametrize(
    ("says", "verdict", "climbed"),
    [
        (FIN, "? fin+", ["1.3:no_grease", "1.3:small", "1.3:other_groups"]),
        (RST, "? rst+", ["1.3:no_grease", "1.3:small", "1.3:other_groups"]),
        (0, "? 0+", ["1.3:no_grease", "1.3:small", "1.3:other_groups"]),
        (40, "? 40+", ["1.3:other_groups", "1.3:no_grease", "1.3:small"]),
        (71, "? 71+", ["1.3:other_groups", "1.3:no_grease", "1.3:small"]),
        (47, "? 47+", ["1.3:no_grease", "1.3:small", "1.3:other_groups"]),
        (80, "? 80+", ["1.3:no_grease", "1.3:small", "1.3:other_groups"]),
    ],
)
@pytest.mark.parametrize("service", ["https", "smtp"])
async def test_tls13_that_is_not_shown(
    autojump_clock: object, service: str, says: Says, verdict: str, climbed: list[str]
) -> None:
    """Every rung is tried; and when all is in vain, nobody can tell."""
    found = await see(replace(DENIES, above=says), service=service)
    assert of(found, TLS13) == (verdict, {"inconsistent"})
    assert of(found, TLS12) == ("yes", {"tls13_hint"})
    assert rungs(found) == climbed


async def test_tls13_met_with_silence(autojump_clock: object) -> None:
    """Silence has no other hello after the third, and is no "no" either."""
    found = await see(replace(DENIES, above=SILENCE))
    assert of(found, TLS13)[0] == "? silence+"
    assert len(rungs(found)) <= 2


async def test_an_alert_70_is_about_the_offer(autojump_clock: object) -> None:
    """Alert 70 to the very offer is firm whatever the random of a lower version says (RFC 8446 §6.2)."""
    found = await see(replace(DENIES, above=70))
    assert of(found, TLS13) == ("no 70", {"inconsistent"})
    assert rungs(found) == []


async def test_a_downgrade(autojump_clock: object) -> None:
    """A lower version that says itself that it could do what was offered answers another offer than ours."""
    found = await see(DENIES)
    assert of(found, TLS13) == ("? <TLSv1.2", {"inconsistent", "tls13_hint"})
    assert rungs(found) == []
    found = await see(OLD_DENIES)
    assert of(found, TLS12) == ("? <TLSv1.1", {"inconsistent", "tls12_hint"})
    assert of(found, TLS11) == ("yes", {"tls12_hint"})


async def test_a_lower_version_that_says_nothing_of_it(autojump_clock: object) -> None:
    """Without a sentinel it is the highest that whoever answered has: another server behind the same address."""
    found = await see(DENIES, replace(DENIES, sentinels=False))
    assert of(found, TLS12) == ("yes", {"tls13_hint"})
    assert of(found, TLS13) == ("no <TLSv1.2", {"inconsistent"})


@pytest.mark.parametrize("says", [FIN, RST, 40, 47, 80])
async def test_tls12_that_is_not_shown(autojump_clock: object, says: Says) -> None:
    """The other sentinel is that of TLS 1.2 or of TLS 1.3: neither is denied."""
    found = await see(replace(OLD_DENIES, above=says))
    for version in (TLS12, TLS13):
        verdict, flags = of(found, version)
        assert (verdict[0], flags) == ("?", {"inconsistent"})
    assert {"1.2:small", "1.2:other_suites"} <= set(rungs(found))
    assert len([each for each in rungs(found) if each.startswith("1.2")]) == 3


async def test_tls12_behind_tls13(autojump_clock: object) -> None:
    """Where TLS 1.3 is spoken, it is what the sentinel of an older version tells of: TLS 1.2 may be off."""
    table = Table({TLS10: RSA_CBC, TLS11: RSA_CBC, TLS13: TLS13_SUITES}, hands_over=False)
    found = await see(table)
    assert of(found, TLS12) == ("no <TLSv1.1", {"tls12_hint"})
    assert of(found, TLS13) == ("yes", set())
    assert found.besides.replace("handshake", "").split() == []


async def test_tls12_behind_a_handshake_of_tls13(autojump_clock: object) -> None:
    """TLS 1.3 need not have been asked for by a hello of its own: a handshake offers it in any case."""
    table = Table({TLS10: RSA_CBC, TLS11: RSA_CBC, TLS13: TLS13_SUITES})
    found = await see(table, wanted=Wanted(versions=(TLS10, TLS11, TLS12)))
    assert found.record["tls"]["version"] == "TLSv1.3"
    assert of(found, TLS12) == ("no <TLSv1.1", {"tls12_hint"})


async def test_tls13_off_and_tls12_on(autojump_clock: object) -> None:
    """Where TLS 1.2 is spoken, it is what the sentinel of an older version tells of: TLS 1.3 may be off."""
    spoken = {TLS10: RSA_CBC, TLS11: RSA_CBC, TLS12: RSA_AEAD}
    for says, verdict in ((None, "no <TLSv1.2"), (70, "no 70"), (FIN, "no fin+")):
        found = await see(Table(spoken, above=says, hands_over=False))
        assert of(found, TLS13) == (verdict, set())


async def test_a_rung_that_helps(autojump_clock: object) -> None:
    """What alert 40 alone does not ask for is tried, because the server has said that it could."""
    short = Quirk(lambda offer: TLS13.code in offer.versions and offer.hello.message_bytes > 255, 40)
    found = await see(Table(MODERN, quirks=(short,), hands_over=False))
    assert of(found, TLS13) == ("yes @small+", set())
    found = await see(Table(MODERN, quirks=(short,), sentinels=False, hands_over=False))
    assert of(found, TLS13) == ("no 40+", set())


@pytest.mark.parametrize("table", [DENIES, OLD_DENIES])
@pytest.mark.parametrize("says", [None, FIN, RST, 40, 47, 70])
@pytest.mark.parametrize("service", ["https", "smtp"])
async def test_with_few_connections(autojump_clock: object, service: str, says: Says | None, table: Table) -> None:
    """`--economical` denies nothing that the usual way leaves open."""
    usual = await see(replace(table, above=says), service=service)
    economical = await see(replace(table, above=says), service=service, wanted=Wanted(economical=True))
    for version, entry in (economical.conclusion.versions or {}).items():
        told = (usual.conclusion.versions or {})[version].verdict
        assert entry.verdict in (told, Known.UNKNOWN), version
    assert len(economical.questions) <= len(usual.questions)


async def test_without_the_better_version(autojump_clock: object) -> None:
    """A version that was not to be asked for is no matter."""
    found = await see(DENIES, wanted=Wanted(versions=(TLS11, TLS12), handshake=False))
    assert set(found.conclusion.versions or {}) == {TLS11, TLS12}
    assert of(found, TLS12) == ("yes", {"tls13_hint"})
