"""`--economical`: how many connections decide all versions, and that they decide them as the usual ones do."""

import re
from functools import partial
from itertools import chain, combinations
from pathlib import Path

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from trio.testing import MockClock

from scanner.outcome import Flag
from scanner.question import Negotiate, OfferVersion, Question, Wanted
from scanner.tls.exchange import Evidence
from scanner.tls.hello import Shape
from scanner.tls.names import Version
from scanner.versions import Known, absent
from tests.peers.tls_table import (
    RSA_OLD,
    SSL2,
    SSL3,
    TLS10,
    TLS11,
    TLS12,
    TLS13,
    End,
    Table,
    reads_one_packet,
    refuses_lengths,
)
from tests.scanner.answers import ALERTED, RESET, SHAKEN, SHAKEN_13, Came, alert, answer, asked, lower, yes
from tests.scanner.test_ladder_on_peers import KINDS, TLS, Seen, ends, see, tables

DOCS = Path(__file__).parents[2] / "docs" / "records.md"
ECONOMICAL = Wanted(economical=True)
SUITES = {SSL2: KINDS, SSL3: RSA_OLD, **TLS}


def having(*versions: Version) -> Table:
    """A server with these versions that answers as the standards have it."""
    return Table({version: SUITES[version] for version in Version if version in versions})


# The rows of the table in docs/records.md
USUAL = {
    "TLS 1.2 and 1.3": having(TLS12, TLS13),
    "TLS 1.0 to 1.3": having(TLS10, TLS11, TLS12, TLS13),
    "SSLv3 to TLS 1.3": having(SSL3, TLS10, TLS11, TLS12, TLS13),
    "TLS 1.3 alone": having(TLS13),
    "TLS 1.2 alone": having(TLS12),
    "TLS 1.0 to 1.2": having(TLS10, TLS11, TLS12),
    "TLS 1.0 alone": having(TLS10),
    "SSLv3 alone": having(SSL3),
    "TLS 1.2 and 1.3, and RST below": Table({TLS12: SUITES[TLS12], TLS13: SUITES[TLS13]}, **ends(End.RST)),
    "none: alert 70 to all": having(),
}


async def both(table: Table, service: str = "https", *, named: bool = True) -> tuple[Seen, Seen]:
    """An interview in the usual way, and one that saves connections."""
    usual = await see(table, service=service, named=named)
    return usual, await see(table, service=service, named=named, wanted=ECONOMICAL)


def verdicts(found: Seen) -> dict[Version, Known]:
    return {version: entry.verdict for version, entry in (found.conclusion.versions or {}).items()}


def in_docs() -> dict[str, tuple[int, int, int]]:
    """The rows of the docs' table: usual, economical with implicit TLS, economical with STARTTLS."""
    rows = re.findall(r"^\| ([^|]+) \| (\d+) \| (\d+) \| (\d+) \|$", DOCS.read_text("utf-8"), re.MULTILINE)
    return {name: (int(usual), int(implicit), int(starttls)) for name, usual, implicit, starttls in rows}


@pytest.mark.parametrize(("name", "table"), USUAL.items(), ids=USUAL)
async def test_the_table_in_the_docs(autojump_clock: object, name: str, table: Table) -> None:
    """What the docs say that either way takes is what it takes, and the record counts it."""
    (usual, implicit), (again, starttls) = await both(table), await both(table, "smtp")
    taken = [each.record["connections"] for each in (usual, implicit, again, starttls)]
    assert taken[0] == taken[2]
    assert (taken[0], taken[1], taken[3]) == in_docs()[name]
    assert verdicts(usual) == verdicts(implicit) == verdicts(starttls)


def test_the_docs_have_no_other_rows() -> None:
    """And the first of them is what it is about: 4 for 7."""
    assert list(in_docs()) == list(USUAL)
    assert in_docs()["TLS 1.2 and 1.3"] == (7, 4, 4)


SUBSETS = list(chain.from_iterable(combinations(Version, size) for size in range(len(Version) + 1)))


@pytest.mark.parametrize("service", ["https", "smtp"])
@pytest.mark.parametrize("versions", SUBSETS, ids=lambda versions: " ".join(versions) or "none")
async def test_any_versions(autojump_clock: object, service: str, versions: tuple[Version, ...]) -> None:
    """Whatever a server speaks, with gaps or without: the same verdicts, and true ones, for no more connections."""
    usual, economical = await both(having(*versions), service)
    truth = {version: Known.YES if version in versions else Known.NO for version in Version}
    assert verdicts(usual) == verdicts(economical) == truth
    assert len(economical.questions) <= len(usual.questions)
    assert len(usual.questions) == 7 or set(versions) <= {SSL2, SSL3}  # with which there is no handshake
    assert economical.conclusion.status == usual.conclusion.status
    assert economical.conclusion.flags == usual.conclusion.flags
    assert economical.record["certificate"] == usual.record["certificate"]
    assert economical.record["findings"] == usual.record["findings"]


@given(table=tables(), service=st.sampled_from(["https", "smtp"]), named=st.booleans())
@settings(max_examples=250, deadline=None, derandomize=True)
def test_any_table(table: Table, service: str, named: bool) -> None:
    """Whatever a server stumbles over, and however it refuses: no verdict is the contrary of the other's."""
    usual, economical = trio.run(partial(both, table, service, named=named), clock=MockClock(autojump_threshold=0))
    for version, verdict in verdicts(economical).items():
        assert verdict is Known.UNKNOWN or verdicts(usual)[version] in (verdict, Known.UNKNOWN)
        assert version in table.suites or verdict is not Known.YES
    assert len(economical.questions) <= len(usual.questions)


# --- What one answer tells of other versions --------------------------------------------------------------------------

ABSENT: dict[str, tuple[dict[Version | None, Came], set[Version]]] = {  # None: the full handshake
    "a handshake at TLS 1.3": ({None: SHAKEN_13}, set()),
    "a handshake at TLS 1.2": ({None: SHAKEN}, {TLS13}),
    "a handshake that failed": ({None: ALERTED}, set()),
    "a lower version": ({TLS12: lower(TLS10)}, {TLS11, TLS12}),
    "SSLv3 in answer to TLS 1.3": ({TLS13: lower(SSL3)}, {TLS10, TLS11, TLS12, TLS13}),
    "a version": ({TLS12: yes(TLS12)}, set()),
    "alert 70 below a version that is spoken": ({TLS12: yes(TLS12), TLS11: alert(70)}, {SSL3, TLS10, TLS11}),
    "alert 70 below a handshake's": ({TLS12: alert(70), None: SHAKEN_13}, {SSL3, TLS10, TLS11, TLS12}),
    "alert 70, and nothing higher is known": ({TLS12: alert(70), TLS13: alert(70), None: ALERTED}, set()),
    "alert 70 above a version that is spoken": ({TLS12: alert(70), TLS10: yes(TLS10)}, set()),
    "alert 70 to TLS 1.3, which was offered alone": ({TLS13: alert(70), TLS12: yes(TLS12)}, set()),
    "alert 70 to SSLv2, which has no version below it": ({SSL2: alert(70), TLS12: yes(TLS12)}, set()),
    "alert 70, and yet one below it is spoken": (
        {None: SHAKEN_13, TLS12: alert(70), TLS10: yes(TLS10)},
        {SSL3, TLS11, TLS12},
    ),
    "alert 40": ({TLS12: yes(TLS12), TLS11: alert(40)}, set()),
    "RST": ({TLS12: yes(TLS12), TLS11: RESET}, set()),
}


@pytest.mark.parametrize(("answers", "gone"), ABSENT.values(), ids=ABSENT)
def test_what_an_answer_tells_of_others(answers: dict[Version | None, Came], gone: set[Version]) -> None:
    """Nothing but a firm answer tells of other versions, and never of one that is proved, nor of SSLv2."""
    assert absent([answer(asked(version), came, upgraded=False) for version, came in answers.items()]) == gone


def test_a_capped_handshake_tells_of_what_it_offered() -> None:
    """Up to TLS 1.2, it says nothing of TLS 1.3."""
    assert absent([answer(Negotiate(newest=TLS12), SHAKEN, upgraded=False)]) == set()


async def test_what_was_asked_keeps_its_evidence(autojump_clock: object) -> None:
    """The firm alert is the evidence of the version that met it; what follows from it is `implied`, without a hello."""
    found = await see(having(TLS12, TLS13), wanted=ECONOMICAL)
    entries = found.conclusion.versions or {}
    assert [entries[version].evidence for version in (SSL3, TLS10, TLS11, TLS13)] == [
        *(Evidence.IMPLIED, Evidence.IMPLIED, Evidence.ALERT, Evidence.IMPLIED),
    ]
    assert found.record["versions"]["TLSv1.0"] == {"verdict": "no", "evidence": "implied"}
    of_handshake = ("cipher", "cipher_id", "group", "group_id")
    assert found.record["tls"]["version"] == "TLSv1.3"
    assert found.record["versions"]["TLSv1.3"] == {
        "verdict": "yes",
        "evidence": "implied",
        **{each: found.record["tls"][each] for each in of_handshake},
    }


async def test_what_was_agreed_on_is_not_lost(autojump_clock: object) -> None:
    """A version that answered for a higher one has the cipher of that answer; in TLS 1.2, no group stands there."""
    found = await see(having(SSL3), wanted=ECONOMICAL)
    assert found.record["versions"]["SSLv3"] == {
        "verdict": "yes",
        "evidence": "implied",
        "cipher": "TLS_RSA_WITH_RC4_128_SHA",
        "cipher_id": "0x0005",
    }
    found = await see(having(TLS12), wanted=ECONOMICAL)
    assert found.record["versions"]["TLSv1.2"].keys() == {"verdict", "evidence", "cipher", "cipher_id"}


async def test_silence_is_no_firm_answer(autojump_clock: object) -> None:
    """Silence below a version is asked about each version, and again at a later look, as in the usual way."""
    silent = Table({TLS12: SUITES[TLS12]}, **ends(End.SILENCE))
    first, second = await see(silent, wanted=ECONOMICAL), await see(silent, wanted=ECONOMICAL, looks=2)
    silence = "? silence | ? silence | ? silence | ? silence"
    assert first.verdicts == f"{silence} | yes implied | no implied"
    assert second.verdicts == f"{silence.replace('?', 'no')} | yes implied | no implied"
    assert second.questions[-1] == Negotiate()  # so that silence is told from a server that is gone


# --- What is asked, and when ------------------------------------------------------------------------------------------

ORDERS: dict[str, tuple[str, Table, Wanted, list[Question]]] = {
    "implicit TLS": (
        "https",
        having(TLS12, TLS13),
        ECONOMICAL,
        [Negotiate(), OfferVersion(TLS12), OfferVersion(SSL2), OfferVersion(TLS11)],
    ),
    "STARTTLS": (
        "smtp",
        having(TLS12, TLS13),
        ECONOMICAL,
        [OfferVersion(TLS12), Negotiate(), OfferVersion(SSL2), OfferVersion(TLS11)],
    ),
    "without the handshake": (
        "https",
        having(TLS12, TLS13),
        Wanted(handshake=False, economical=True),
        [OfferVersion(TLS12), OfferVersion(TLS13), OfferVersion(SSL2), OfferVersion(TLS11)],
    ),
    "two versions": (
        "https",
        having(TLS12, TLS13),
        Wanted((TLS12, TLS13), economical=True),
        [Negotiate(), OfferVersion(TLS12)],
    ),
    "old versions": (
        "https",
        having(TLS12, TLS13),
        Wanted((SSL3, TLS10), economical=True),
        [Negotiate(), OfferVersion(TLS10)],
    ),
    "nobody answers": (
        "https",
        Table({}, **ends(End.SILENCE)),
        ECONOMICAL,
        [Negotiate(), OfferVersion(TLS12, Shape.SMALL)],
    ),
    "nobody answers, and SSLv2 alone is asked for": (
        "https",
        Table({}, **ends(End.SILENCE)),
        Wanted((SSL2,), economical=True),
        [Negotiate()],
    ),
}


@pytest.mark.parametrize(("service", "table", "wanted", "questions"), ORDERS.values(), ids=ORDERS)
async def test_the_order(
    autojump_clock: object, service: str, table: Table, wanted: Wanted, questions: list[Question]
) -> None:
    """The handshake first, where nothing comes before TLS, and then from the newest version down."""
    assert (await see(table, service=service, wanted=wanted)).questions == questions


@pytest.mark.parametrize("service", ["https", "smtp"])
async def test_one_that_reads_one_packet(autojump_clock: object, service: str) -> None:
    """A first handshake that is too long for the server does no harm: its plain hellos are short enough."""
    table = Table({TLS12: SUITES[TLS12], TLS13: SUITES[TLS13]}, quirks=(reads_one_packet(End.SILENCE),))
    usual, economical = await both(table, service)
    assert verdicts(usual) == verdicts(economical)
    assert economical.findings == {"large-hello-intolerant"}
    assert economical.conclusion.flags == set()
    assert len(economical.questions) <= len(usual.questions)


@pytest.mark.parametrize("service", ["https", "smtp"])
async def test_one_that_reads_no_long_hello(autojump_clock: object, service: str) -> None:
    """A server that hangs on 256 bytes and more is found out for as many connections as in the usual way."""
    usual, economical = await both(Table(TLS, quirks=(refuses_lengths(256, 9999, End.SILENCE),)), service)
    assert verdicts(usual) == verdicts(economical)
    assert economical.conclusion.flags == usual.conclusion.flags == {Flag.LENGTH_INTOLERANT}
    assert len(economical.questions) <= len(usual.questions)
