"""`--ciphers`: exactly the suites that a server has, in the order that decides, and no more connections than needed."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from trio.testing import MockClock

from scanner.dialogue import End
from scanner.probes import Known, Talked
from scanner.probes.ciphers import USUAL_LENGTHS, Ciphers, candidates
from scanner.tls.exchange import Evidence, HelloAnswer
from scanner.tls.hello import SUITES, Shape
from scanner.tls.names import Version
from scanner.tls.suites import TLS13_SUITES
from targets.services import SERVICES
from tests.peers import tls_table
from tests.peers.tls_server import HOST, Closed
from tests.peers.tls_table import (
    RSA_AEAD,
    RSA_CBC,
    RSA_OLD,
    SSL2,
    SSL3,
    TLS10,
    TLS11,
    TLS12,
    TLS13,
    Key,
    Says,
    Table,
    TableServer,
    refuses_extensions,
    refuses_lengths,
    refuses_many_suites,
    refuses_name,
)
from tests.scanner.probes.asking import asked
from tests.scanner.probes.tables import Played, known_of, play_probe

FIN, RST, SILENCE = tls_table.End
ALL_KEYS = (Key.RSA, Key.ECDSA, Key.GOST)
REFUSALS: st.SearchStrategy[Says] = st.sampled_from([40, 71, 47, FIN, RST])
WIRE_ENDS: dict[Says, End] = {FIN: End.EOF, RST: End.RESET, SILENCE: End.TIMEOUT}


def played(table: Table, shape: Shape = Shape.PLAIN) -> Played:
    """What the probe makes of this server."""
    end = WIRE_ENDS.get(table.nothing, End.EOF)
    return play_probe(Ciphers(), known_of(table, end, shape), table, end)


def suites(made: Played, version: Version) -> list[int]:
    """Those of one version."""
    return made.ids("versions", version, "suites")


# --- What it finds ----------------------------------------------------------------------------------------------------


@st.composite
def tables(draw: st.DrawFn) -> Table:
    """Any server of two versions: with some usual suites, and of the others a few."""
    versions = draw(st.lists(st.sampled_from([SSL3, TLS10, TLS11, TLS12, TLS13]), min_size=1, max_size=2, unique=True))
    had = {}
    for version in sorted(versions, key=lambda each: each.code):
        usual = candidates(version)[: len(SUITES[version]) - 1]
        first = draw(st.lists(st.sampled_from(usual), min_size=1, max_size=12, unique=True))
        others = draw(st.lists(st.sampled_from(candidates(version)), max_size=6, unique=True))
        had[version] = tuple(draw(st.permutations(sorted({*first, *others}))))
    return Table(had, keys=ALL_KEYS, own_order=draw(st.booleans()), nothing=draw(REFUSALS))


@given(table=tables())
@settings(max_examples=150, deadline=None)
def test_exactly_those_in_order(table: Table) -> None:
    """Whatever a server has is found, all of it, in its order or in ours, by about a connection a suite."""
    made, allowed = played(table), 0
    assert made.result["complete"]
    for version, had in table.suites.items():
        found, part = suites(made, version), made.result["versions"][version]
        pool = candidates(version)[: USUAL_LENGTHS[0] if version is not SSL3 else 88]
        if table.own_order:
            assert found == list(had)
        else:
            assert sorted(found) == sorted(had)
            assert [suite for suite in found if suite in pool] == [suite for suite in pool if suite in had]
        if len(had) > 1:
            assert part["order"] == ("server" if table.own_order else "client")
        assert part["flags"] == []
        refusals = 1 + -(-len(candidates(version)) // 88)  # of what is left, and of each list of unusual ones
        unusual = sum(suite not in pool for suite in had)
        allowed += len(had) + unusual + refusals * (1 if table.nothing in (40, 71) else 3) + 2
    assert made.connections <= allowed


def test_how_many_connections() -> None:
    """Six suites of TLS 1.2: one connection each, four refusals, and one for the order."""
    made = played(Table({TLS12: RSA_AEAD}))
    assert suites(made, TLS12) == list(RSA_AEAD)
    assert made.connections == 6 + 4 + 1
    assert made.result["versions"][TLS12]["order"] == "server"


def test_all_of_them() -> None:
    """A server that has every suite there is."""
    made = played(Table({TLS12: candidates(TLS12), TLS13: TLS13_SUITES}, keys=ALL_KEYS))
    assert suites(made, TLS12) == list(candidates(TLS12))
    assert suites(made, TLS13) == list(TLS13_SUITES)
    assert {part["order"] for part in made.result["versions"].values()} == {"server"}


def test_chacha_for_those_who_want_it() -> None:
    """A server that goes by its own order, but for clients that put ChaCha20 first, goes by its own order."""

    class Prioritizing(TableServer):
        def _suite(self, offer: tls_table.Offer, version: Version) -> int:
            first = offer.hello.suites[0]
            return first if first in (0xCCA8, 0xCCA9) else super()._suite(offer, version)

    table = Table({TLS12: (0xC030, 0xC02F, 0x009D, 0xCCA8)})
    made = play_probe(Ciphers(), known_of(table), lambda: Prioritizing(table))
    assert suites(made, TLS12) == [0xC030, 0xC02F, 0x009D, 0xCCA8]
    assert made.result["versions"][TLS12]["order"] == "server"


def test_neither_order() -> None:
    """A server that takes two suites for equal, and there goes by the client, has no order that one word tells."""

    class Equal(TableServer):
        def _suite(self, offer: tls_table.Offer, version: Version) -> int:
            equal = (code for code in offer.hello.suites if code in (0xC02F, 0xC030))
            return next(equal, 0) or super()._suite(offer, version)

    table = Table({TLS12: (0xC02F, 0xC030, 0x009D)})
    made = play_probe(Ciphers(), known_of(table), lambda: Equal(table))
    assert suites(made, TLS12) == [0xC02F, 0xC030, 0x009D]
    assert made.result["versions"][TLS12]["order"] == "unknown"


def test_sslv2_tells_by_itself() -> None:
    """A SERVER-HELLO of SSLv2 has them all; it takes no further connection, and tells no order."""
    made = played(Table({SSL2: (0x0700C0, 0x010080)}))
    (part,) = made.result["versions"].values()
    assert [suite["name"] for suite in part["suites"]] == [
        "SSL_CK_DES_192_EDE3_CBC_WITH_MD5",
        "SSL_CK_RC4_128_WITH_MD5",
    ]
    assert [suite["weak"] for suite in part["suites"]] == [["3des"], ["rc4"]]
    assert (part["order"], part["complete"], made.connections) == ("unknown", True, 0)
    assert made.findings == set()  # `sslv2-enabled` says it


def test_what_a_suite_is_worth() -> None:
    """Each entry says what is weak about it, and whether it has forward secrecy."""
    made = played(Table({TLS12: (0xC02F, 0x0005, 0x009D)}))
    assert made.result["versions"][TLS12]["suites"] == [
        {"name": "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", "id": "0xc02f", "forward_secrecy": True, "weak": []},
        {"name": "TLS_RSA_WITH_RC4_128_SHA", "id": "0x0005", "forward_secrecy": False, "weak": ["rc4"]},
        {"name": "TLS_RSA_WITH_AES_256_GCM_SHA384", "id": "0x009d", "forward_secrecy": False, "weak": []},
    ]
    assert made.findings == {"weak-cipher"}
    assert played(Table({TLS12: RSA_AEAD})).findings == set()


# --- What is offered --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", [SSL3, TLS10, TLS11, TLS12])
def test_no_suite_of_another_version(version: Version) -> None:
    """Neither those of TLS 1.3 below it, nor AEAD below TLS 1.2, nor what is no suite, nor what needs a user's name."""
    offered = set(candidates(version))
    assert len(offered) == len(candidates(version))
    assert not offered & {0x0000, 0x00FF, 0x5600, 0xC01D, 0xC0B0, *TLS13_SUITES}
    assert offered >= {0x0005, 0x000A, 0x002F, 0xC013, 0x0018, 0x0001, 0x0003, 0x008C, 0x00AE}
    assert (0xC02F in offered, 0xC027 in offered, 0xC100 in offered) == (version is TLS12,) * 3


# --- Servers that stumble ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("says", [47, 40, FIN, RST])
def test_long_lists_refused(says: Says) -> None:
    """A server that refuses long lists of suites is asked with shorter ones, and loses none."""
    table = Table({TLS12: RSA_AEAD, TLS10: RSA_CBC}, quirks=(refuses_many_suites(40, says),), nothing=says)
    made = played(table, Shape.SMALL)
    assert made.result["complete"]
    assert (suites(made, TLS12), suites(made, TLS10)) == (list(RSA_AEAD), list(RSA_CBC))


def test_length_in_bytes_refused() -> None:
    """One that hangs on hellos of 256 bytes and more has been answered in small ones, and is asked so."""
    made = played(Table({TLS12: RSA_AEAD[:2]}, quirks=(refuses_lengths(256, 9999, FIN),)), Shape.SMALL)
    assert made.result["complete"]
    assert suites(made, TLS12) == list(RSA_AEAD[:2])


def test_extensions_refused() -> None:
    """One that takes no extensions gets none."""
    made = played(Table({TLS10: RSA_CBC[2:]}, quirks=(refuses_extensions(47),)), Shape.NO_EXTENSIONS)
    assert made.result["complete"]
    assert suites(made, TLS10) == list(RSA_CBC[2:])


def test_name_refused() -> None:
    """One that does not like our name gets no name."""
    made = played(Table({TLS12: RSA_AEAD}, quirks=(refuses_name(112),)), Shape.NO_NAME)
    assert suites(made, TLS12) == list(RSA_AEAD)


# --- What is not known, is not said -----------------------------------------------------------------------------------


@pytest.mark.parametrize("end", [End.EOF, End.RESET, End.TIMEOUT])
def test_gone_in_the_middle(end: End) -> None:
    """A server that is gone after three answers has at least what it chose: the list is not complete."""
    table, served = Table({TLS12: RSA_AEAD}), 0

    class Dying(TableServer):
        def hear(self, data: bytes) -> bytes:
            nonlocal served
            served += 1
            if served <= 6:
                return super().hear(data)
            if end is End.TIMEOUT:
                return b""
            raise Closed

    made = play_probe(Ciphers(), known_of(table), lambda: Dying(table), end)
    assert not made.result["complete"]
    assert suites(made, TLS12) == list(RSA_AEAD[:3])
    assert made.connections == 6 + 2  # the refused offer, and its control


def test_silence_is_a_refusal_twice() -> None:
    """Silence to what is left, behind which the first suite is answered, and silence again: that is how it refuses."""
    made = played(Table({TLS13: TLS13_SUITES[:2]}, nothing=SILENCE))
    assert made.result["complete"]
    assert suites(made, TLS13) == list(TLS13_SUITES[:2])


def test_one_lost_connection_costs_nothing() -> None:
    """A connection that is lost by chance is made again."""
    table, served = Table({TLS12: RSA_AEAD}), 0

    class Losing(TableServer):
        def hear(self, data: bytes) -> bytes:
            nonlocal served
            served += 1
            if served == 7:
                raise Closed(reset=True)
            return super().hear(data)

    made = play_probe(Ciphers(), known_of(table), lambda: Losing(table), End.RESET)
    assert made.result["complete"]
    assert suites(made, TLS12) == list(RSA_AEAD)


def test_a_server_that_does_not_look() -> None:
    """One that always chooses the same suite is told for it, and asked no further."""
    made = played(Table({TLS12: RSA_AEAD}, chooses=0xC030))
    part = made.result["versions"][TLS12]
    assert part["flags"] == ["unoffered_cipher"]
    assert suites(made, TLS12) == [0xC030]
    assert not part["complete"]
    assert made.connections <= 4


def test_another_version_is_no_suite_of_this_one() -> None:
    """Where it answers with an older version, what it chose is not one of this version's suites."""
    table = Table({TLS12: (0xC02F,), TLS11: (0xC013, 0x0035)})

    class Falling(TableServer):
        def _version(self, offer: tls_table.Offer) -> Version:
            return TLS12 if 0xC02F in offer.hello.suites else TLS11

    known = known_of(table)
    made = play_probe(Ciphers(), replace(known, versions=(TLS12,)), lambda: Falling(table))
    assert suites(made, TLS12) == [0xC02F]
    assert made.result["complete"]


def test_an_older_version_again_and_again() -> None:
    """One that speaks an older version until a single suite is left costs a connection a suite, not one for each two.

    (Three quarters of a list of 96 took more than 12,000 once.)
    """

    class Falling(TableServer):
        def _version(self, offer: tls_table.Offer) -> Version:
            return TLS12 if len(offer.hello.suites) == 2 else TLS11  # beside the value of RFC 5746

    table = Table({TLS12: candidates(TLS12), TLS11: candidates(TLS12)}, keys=ALL_KEYS)
    known = replace(known_of(table), versions=(TLS12,), hellos={})
    made = play_probe(Ciphers(), known, lambda: Falling(table))
    assert suites(made, TLS12) != []
    assert made.connections <= len(candidates(TLS12)) + 10


def test_two_servers_behind_one_address() -> None:
    """Where a suite brings an older version, and then this one, the list is not complete."""
    table = Table({TLS12: (0xC02F, 0xC030), TLS11: (0xC030,)})
    fallen: list[TableServer] = []

    class Once(TableServer):
        def _version(self, offer: tls_table.Offer) -> Version:
            if fallen or 0xC030 not in offer.hello.suites or 0xC02F in offer.hello.suites:
                return TLS12
            fallen.append(self)
            return TLS11

    known = replace(known_of(table), versions=(TLS12,), hellos={})
    made = play_probe(Ciphers(), known, lambda: Once(table))
    assert suites(made, TLS12) == [0xC02F]
    assert not made.result["complete"]


def test_nothing_at_all() -> None:
    """A server that was proved to speak a version, and now refuses every list, is not said to have no suite."""
    known = Known(SERVICES["https"], HOST, (TLS12,), {}, None)
    made = play_probe(Ciphers(), known, Table({TLS12: ()}))
    assert made.result == {
        "complete": False,
        "versions": {"TLSv1.2": {"complete": False, "order": "unknown", "suites": [], "flags": []}},
    }
    assert made.findings == set()


def test_a_suite_that_was_chosen_before() -> None:
    """A server that had chosen a suite, and now refuses it, is not said to have no more."""
    known = known_of(Table({TLS12: (0xC02F,)}))
    made = play_probe(Ciphers(), known, Table({TLS12: (0x009D, 0x002F)}))
    assert suites(made, TLS12) == [0x009D, 0x002F]
    assert not made.result["complete"]


def test_turned_away() -> None:
    """No ClientHello was said: nothing is known, and nothing more is asked."""
    known = known_of(Table({TLS12: RSA_AEAD}))
    probe = Ciphers()
    (talk,) = probe.ask(known, [])
    talked = [Talked(talk, None, None)]
    assert probe.ask(known, talked) == []
    assert not probe.result(known, talked)["complete"]


@given(
    answers=st.lists(
        st.builds(
            HelloAnswer,
            st.sampled_from(Evidence),
            version=st.sampled_from([None, 0x0300, 0x0303, 0x0304, 0x7F12]),
            cipher=st.sampled_from([None, 0xC02F, 0x0005, 0x1301, 0xABCD]),
            alert=st.sampled_from([None, 0, 40, 80, 255]),
            flags=st.sampled_from([frozenset(), frozenset({"violation"})]),
        ),
        max_size=40,
    )
)
@settings(max_examples=200, deadline=None)
def test_any_answers(answers: list[HelloAnswer]) -> None:
    """Whatever comes, in any order: a result."""
    probe, known = Ciphers(), Known(SERVICES["https"], HOST, (SSL3, TLS12, TLS13), {}, None)
    talked: list[Talked] = []
    left = iter(answers)
    while talks := probe.ask(known, talked):
        found = [Talked(talk, next(left, None), None) for talk in talks]
        talked += found
    result = probe.result(known, talked)
    for part in result["versions"].values():
        ids = [suite["id"] for suite in part["suites"]]
        assert len(set(ids)) == len(ids)


# --- Whole interviews -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("service", ["https", "smtp", "postgresql"])
async def test_in_a_record(service: str, autojump_clock: MockClock) -> None:
    """Through STARTTLS as without; the finding is raised."""
    table = Table({TLS10: RSA_OLD, TLS12: RSA_AEAD[:2]})
    made = await asked("ciphers", lambda: TableServer(table), service, versions=(TLS10, TLS12))
    assert made["status"] == "tls"
    parts = made["ciphers"]["versions"]
    assert made["ciphers"]["complete"]
    assert [suite["id"] for suite in parts["TLSv1.0"]["suites"]] == ["0x0005", "0x0004", "0x000a"]
    assert [suite["id"] for suite in parts["TLSv1.2"]["suites"]] == ["0xc030", "0xc02f"]
    assert "weak-cipher" in {finding["id"] for finding in made["findings"]}


STATIC = (0x009D, 0x002F)


@pytest.mark.parametrize(
    ("table", "versions", "found"),
    [
        (Table({TLS12: STATIC}), tuple(Version), True),
        (Table({SSL2: (0x010080,), TLS10: STATIC[1:]}), tuple(Version), True),
        (Table({TLS12: (*STATIC, 0xC02F)}), tuple(Version), False),
        (Table({TLS12: STATIC, TLS13: TLS13_SUITES[:1]}), tuple(Version), False),
        (Table({TLS12: STATIC}), (TLS12,), False),  # TLS 1.3 was not asked for
    ],
)
async def test_no_forward_secrecy(
    table: Table, versions: tuple[Version, ...], found: bool, autojump_clock: MockClock
) -> None:
    """It is found where every version was asked for, and has a whole list without it."""
    made = await asked("ciphers", lambda: TableServer(table), versions=versions)
    assert ("no-forward-secrecy" in {finding["id"] for finding in made["findings"]}) is found


async def test_weak_cipher_without_asking(autojump_clock: MockClock) -> None:
    """A weak suite that a server chose is there, whether all were asked for or not."""
    made = await asked((), lambda: TableServer(Table({TLS10: RSA_OLD})))
    assert "weak-cipher" in {finding["id"] for finding in made["findings"]}
    assert made["ciphers"] is None
    made = await asked((), lambda: TableServer(Table({TLS10: RSA_CBC})))
    assert "weak-cipher" not in {finding["id"] for finding in made["findings"]}
