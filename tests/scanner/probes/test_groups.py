"""`--groups`: exactly the groups that a server has, in the order that decides, and no more connections than needed."""

from collections.abc import Iterable
from dataclasses import replace
from hashlib import sha256

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given, settings
from hypothesis import strategies as st
from OpenSSL import SSL
from trio.testing import MockClock

from scanner.dialogue import End
from scanner.probes import Known, Talked
from scanner.probes.groups import TLS13_GROUPS, Groups
from scanner.probes.older_groups import CURVES
from scanner.tls.exchange import Evidence, HelloAnswer
from scanner.tls.hello import ServerHello, Shape
from scanner.tls.key_exchange import FINITE_GROUPS, FiniteGroup, curve_of, finite_group_of, prime_of
from scanner.tls.names import Version, group_code
from targets.services import SERVICES
from tests.peers import tls_table
from tests.peers.tls_server import HOST, Closed
from tests.peers.tls_table import (
    ECDSA_AEAD,
    KEY_SHARE,
    P256,
    P384,
    RSA_AEAD,
    RSA_CBC,
    SSL3,
    TLS10,
    TLS12,
    TLS13,
    TLS13_SUITES,
    X25519,
    Key,
    Quirk,
    Says,
    Table,
    TableServer,
    refuses_extensions,
    refuses_lengths,
    refuses_many_suites,
)
from tests.scanner.probes.asking import OpensslServer, asked, server_of
from tests.scanner.probes.tables import Played, known_of, play_probe
from tests.scanner.tls.wire import message

FIN, RST, SILENCE = tls_table.End
WIRE_ENDS: dict[Says, End] = {FIN: End.EOF, RST: End.RESET, SILENCE: End.TIMEOUT}
STATIC = (0x009D, 0x002F)
SMALL_PRIME = 2**1024 - 105


def played(table: Table) -> Played:
    """What the probe makes of this server."""
    end = WIRE_ENDS.get(table.nothing, End.EOF)
    return play_probe(Groups(), known_of(table, end), table, end)


def of_tls13(groups: Iterable[int], **more: object) -> Table:
    """A server of TLS 1.3 alone with these groups."""
    return replace(Table({TLS13: TLS13_SUITES}, groups=tuple(groups)), **more)  # type: ignore[arg-type]


def of_tls12(groups: Iterable[int], **more: object) -> Table:
    """A server of TLS 1.2 alone with these groups."""
    return replace(Table({TLS12: RSA_AEAD}, groups=tuple(groups)), **more)  # type: ignore[arg-type]


NOTHING = st.sampled_from([40, 71, 47, FIN, RST, SILENCE])

# --- TLS 1.3 ----------------------------------------------------------------------------------------------------------


@given(
    groups=st.lists(st.sampled_from(TLS13_GROUPS), min_size=1, max_size=14, unique=True),
    own=st.booleans(),
    nothing=NOTHING,
)
@settings(max_examples=150, deadline=None)
def test_tls13(groups: list[int], own: bool, nothing: Says) -> None:
    """A connection a group, one for the refusal, one for the order."""
    made = played(of_tls13(groups, own_group_order=own, nothing=nothing))
    part = made.result["tls13"]
    assert made.ids("tls13", "groups") == (groups if own else [each for each in TLS13_GROUPS if each in groups])
    assert part["order"] == ("unknown" if len(groups) == 1 else "server" if own else "client")
    assert (part["complete"], part["flags"], made.result["complete"]) == (True, [], True)
    assert made.connections <= len(groups) + (1 if nothing in (40, 71) else 3) + 1
    assert (made.result["ecdhe"], made.result["dhe"]) == (None, None)


def test_a_group_that_was_taken_before() -> None:
    """A server that had taken a group, and now refuses it, is not said to have no more."""
    known = known_of(of_tls13((X25519,)))
    made = play_probe(Groups(), known, of_tls13((P256, P384)))
    assert made.ids("tls13", "groups") == [P256, P384]
    assert not made.result["complete"]


def test_without_an_empty_list_of_shares() -> None:
    """A server that refuses that gets a key share that it has to pass over."""
    empty = Quirk(lambda offer: KEY_SHARE in offer.extensions and not offer.shares, 50)
    made = played(of_tls13((P384, X25519), quirks=(empty,)))
    assert made.ids("tls13", "groups") == [P384, X25519]
    assert made.result["complete"]
    assert made.connections == 1 + 2 + 1 + 1


def test_a_group_that_was_not_offered() -> None:
    """One that always names the same group is told for it, and asked no further."""
    made = played(of_tls13((X25519,), names_group=P384))
    part = made.result["tls13"]
    assert made.ids("tls13", "groups") == [P384]
    assert (part["flags"], part["complete"], made.connections) == (["unoffered_group"], False, 2)


def test_a_group_without_a_name() -> None:
    """A number without a name stays a number, and is where the questions end."""
    made = played(of_tls13((X25519,), names_group=0x6A6B))
    assert made.result["tls13"]["groups"] == [{"name": None, "id": "0x6a6b"}]
    assert not made.result["complete"]


def test_a_server_hello_to_no_key() -> None:
    """A ServerHello in answer to no key share at all breaks the rules."""

    class Bold(TableServer):
        def _flight(self, offer: tls_table.Offer, version: Version, suite: int, group: int | None) -> list[bytes]:
            offer.shares.append(group or 0)
            return super()._flight(offer, version, suite, group)

    table = of_tls13((X25519,))
    made = play_probe(Groups(), known_of(table), lambda: Bold(table))
    part = made.result["tls13"]
    assert (part["groups"], part["flags"], part["complete"]) == ([], ["violation"], False)


def test_hybrid_groups_of_openssl() -> None:
    """OpenSSL's own server, as it is: hybrid groups first; of equal ones (its "tuples") the client's first."""
    context = server_of(TLS12, TLS13)
    made = play_probe(Groups(), _spoken(TLS12, TLS13), lambda: OpensslServer(context))
    assert made.result["complete"]
    found = [each["name"] for each in made.result["tls13"]["groups"]]
    assert found[0] == "X25519MLKEM768"
    assert {"x25519", "secp256r1", "x448", "secp384r1", "secp521r1", "ffdhe2048", "ffdhe3072"} <= set(found)
    assert {each["name"] for each in made.result["ecdhe"]["groups"]} == {
        *("x25519", "secp256r1", "x448", "secp384r1", "secp521r1"),
    }


@pytest.mark.parametrize(
    "groups",
    [
        ("SecP384r1MLKEM1024",),
        ("MLKEM512", "MLKEM1024", "MLKEM768"),
        ("SecP256r1MLKEM768", "X25519MLKEM768", "SecP384r1MLKEM1024", "MLKEM768", "brainpoolP256r1tls13", "secp521r1"),
    ],
)
def test_groups_of_openssl(groups: tuple[str, ...]) -> None:
    """OpenSSL's own server with just these groups has just these groups."""
    context = server_of(TLS13, TLS13)
    # pyOpenSSL has no words for it; "curves" is what OpenSSL called groups before TLS 1.3.
    assert SSL._lib.SSL_CTX_set1_curves_list(context._context, ":".join(groups).encode())  # type: ignore[attr-defined]
    made = play_probe(Groups(), _spoken(TLS13), lambda: OpensslServer(context))
    assert made.result["complete"]
    assert sorted(each["name"] for each in made.result["tls13"]["groups"]) == sorted(groups)


@pytest.mark.parametrize("curve", [ec.SECP256R1(), ec.SECP384R1(), ec.SECP521R1(), ec.BrainpoolP384R1()])
def test_one_curve_of_openssl(curve: ec.EllipticCurve) -> None:
    """OpenSSL's own server of TLS 1.2 with one curve, whatever that of its certificate is."""
    context = server_of(TLS12, TLS12)
    context.set_tmp_ecdh(curve)
    made = play_probe(Groups(), _spoken(TLS12), lambda: OpensslServer(context))
    assert made.result["complete"]
    assert made.ids("ecdhe", "groups") == [group_code(curve.name)]


def _spoken(*versions: Version) -> Known:
    """These versions, and nothing more about them."""
    return Known(SERVICES["https"], HOST, versions, {}, None)


# --- Up to TLS 1.2: curves --------------------------------------------------------------------------------------------


@given(
    groups=st.lists(st.sampled_from(CURVES), min_size=1, max_size=14, unique=True),
    own=st.booleans(),
    nothing=NOTHING,
    version=st.sampled_from([TLS10, TLS12]),
)
@settings(max_examples=150, deadline=None)
def test_curves(groups: list[int], own: bool, nothing: Says, version: Version) -> None:
    """A connection a curve, a refusal, one more to be sure of it, and one for the order; DHE takes two."""
    suites = {version: RSA_CBC if version is TLS10 else RSA_AEAD[:2]}
    table = Table(suites, groups=tuple(groups), own_group_order=own, nothing=nothing)
    made = played(table)
    part = made.result["ecdhe"]
    assert made.ids("ecdhe", "groups") == (groups if own else [each for each in CURVES if each in groups])
    assert part["order"] == ("unknown" if len(groups) == 1 else "server" if own else "client")
    assert (part["version"], part["complete"], part["flags"]) == (version, True, [])
    each_refusal = 1 if nothing in (40, 71) else 3
    assert made.connections <= len(groups) + each_refusal + 1 + 1 + (2 * each_refusal if version is TLS12 else 2 + 1)


@given(
    groups=st.permutations((X25519, P256, P384, 0x0019, 0x001A)),
    own=st.booleans(),
    certificate=st.sampled_from([P256, P384, 0x0016]),
)
@settings(max_examples=60, deadline=None)
def test_the_curve_of_the_certificate_is_listed(groups: list[int], own: bool, certificate: int) -> None:
    """Striking out the curve of an ECDSA certificate hides no other one that any client can get (RFC 8422 §5.1)."""
    table = Table(
        {TLS12: ECDSA_AEAD},
        keys=(Key.ECDSA,),
        groups=tuple(groups),
        own_group_order=own,
        certificate_curve=certificate,
    )
    made = played(table)
    reachable = [each for each in (groups if own else CURVES) if each in groups]
    if own and certificate in groups:  # whoever lists it gets nothing behind it
        reachable = reachable[: reachable.index(certificate) + 1]
    assert made.ids("ecdhe", "groups") == reachable
    assert made.result["ecdhe"]["complete"]
    assert made.connections <= len(reachable) + 1 + 1 + 1 + 2


def test_no_ecdhe_at_all() -> None:
    """A server without such suites has no curves, and that is certain."""
    made = played(Table({TLS12: STATIC}))
    assert made.result["ecdhe"] == {
        "version": "TLSv1.2",
        "complete": True,
        "order": "unknown",
        "groups": [],
        "flags": [],
    }
    assert made.result["dhe"]["bits"] is None
    assert made.result["complete"]
    assert made.findings == set()


def test_ecdhe_that_was_there_before() -> None:
    """A server that had chosen ECDHE, and now refuses it, is not said to have none."""
    table = of_tls12((X25519,))
    made = play_probe(Groups(), known_of(table), Table({TLS12: STATIC}))
    assert not made.result["ecdhe"]["complete"]


@pytest.mark.parametrize("version", [TLS12, TLS13])
@pytest.mark.parametrize(
    "quirk", [refuses_lengths(256, 9999, FIN), refuses_lengths(256, 511, 40), refuses_many_suites(20, 40)]
)
def test_small_hellos(version: Version, quirk: Quirk) -> None:
    """A server that was answered in small hellos alone gets small ones, with the usual groups."""
    suites = {version: TLS13_SUITES if version is TLS13 else (*STATIC, *RSA_AEAD)}
    table = Table(suites, groups=(P384, X25519), quirks=(quirk,))
    made = play_probe(Groups(), known_of(table, shape=Shape.SMALL), table)
    assert made.ids("tls13" if version is TLS13 else "ecdhe", "groups") == [P384, X25519]
    assert made.result["complete"]


@pytest.mark.parametrize(("suite", "shape"), [(0xC014, Shape.SMALL), (0xC08B, Shape.OTHER_SUITES)])
def test_the_suite_that_was_chosen_is_offered(suite: int, shape: Shape) -> None:
    """However many there are, the one that the server is known to have is among those that are asked with."""
    table = Table({TLS12: (suite,)}, keys=(Key.RSA, Key.ECDSA), groups=(P384, X25519))
    made = play_probe(Groups(), known_of(table, shape=shape), table)
    assert (made.ids("ecdhe", "groups"), made.result["ecdhe"]["complete"]) == ([P384, X25519], True)


def test_without_extensions() -> None:
    """A server that takes no extensions gets no list of groups: it names its usual one, and has a prime of its own."""
    table = Table({TLS10: RSA_CBC}, groups=(P256, P384), quirks=(refuses_extensions(47),))
    made = play_probe(Groups(), known_of(table, shape=Shape.NO_EXTENSIONS), table)
    part = made.result["ecdhe"]
    assert (made.ids("ecdhe", "groups"), part["complete"], part["flags"]) == ([P256], False, [])
    assert (made.result["dhe"]["bits"], made.result["dhe"]["complete"]) == (2048, True)
    assert made.connections == 2


def test_a_curve_that_was_not_offered() -> None:
    """One that does not look at the list is told for it."""
    made = played(of_tls12((P256,), names_group=P256))
    part = made.result["ecdhe"]
    assert made.ids("ecdhe", "groups") == [P256]
    assert (part["flags"], part["complete"]) == (["unoffered_group"], False)


def test_a_curve_that_is_written_out() -> None:
    """Explicit parameters have no number (RFC 4492 §5.4)."""

    class Explicit(TableServer):
        def _key_exchange(self, offer: tls_table.Offer, suite: int) -> list[bytes]:
            return [message(12, b"\x01" + bytes(99))]

    table = of_tls12((P256,))
    made = play_probe(Groups(), known_of(table), lambda: Explicit(table))
    part = made.result["ecdhe"]
    assert (part["groups"], part["flags"], part["complete"]) == ([], ["explicit_curve"], False)


def test_small_curves() -> None:
    """A curve below 224 bits is a finding."""
    assert played(of_tls12((X25519, P256, 0x0015))).findings == set()
    assert played(of_tls12((X25519, 0x0013))).findings == {"weak-dh-group"}


# --- Up to TLS 1.2: finite fields -------------------------------------------------------------------------------------

DHE = (0x009F, 0x009E)


@pytest.mark.parametrize("version", [SSL3, TLS10, TLS12])
@pytest.mark.parametrize(
    ("prime", "bits", "found"), [(SMALL_PRIME, 1024, {"weak-dh-group"}), (2**2048 - 1, 2048, set())]
)
def test_a_group_of_its_own(version: Version, prime: int, bits: int, found: set[str]) -> None:
    """The prime that a server has whatever is listed."""
    made = played(Table({version: DHE if version is TLS12 else (0x0039, 0x0033)}, prime=prime))
    part = made.result["dhe"]
    assert (part["version"], part["bits"], part["group"], part["groups"]) == (version, bits, None, [])
    assert made.result["complete"]
    assert made.findings == found


@pytest.mark.parametrize("group", sorted(FINITE_GROUPS))
def test_a_named_group_of_its_own(group: int) -> None:
    """One of RFC 7919 that is used whatever is listed is not one that is negotiated."""
    made = played(Table({TLS12: DHE}, prime=prime_of(group)))
    part = made.result["dhe"]
    assert (part["bits"], group_code(part["group"]), part["groups"]) == (prime_of(group).bit_length(), group, [])
    assert made.result["complete"]


@given(groups=st.lists(st.sampled_from(sorted(FINITE_GROUPS)), min_size=1, unique=True), own=st.booleans())
@settings(max_examples=40, deadline=None)
def test_negotiated_groups(groups: list[int], own: bool) -> None:
    """A server that goes by RFC 7919 takes one that is listed, and its own where none is."""
    made = played(Table({TLS12: DHE}, groups=tuple(groups), own_group=False, own_group_order=own))
    part = made.result["dhe"]
    assert made.ids("dhe", "groups") == (groups if own else sorted(groups))
    assert part["order"] == ("unknown" if len(groups) == 1 else "server" if own else "client")
    assert (part["bits"], part["group"], part["complete"]) == (2048, None, True)


@pytest.mark.parametrize(
    ("group", "digest"),
    [
        (0x0100, "250c86d9989af8885cadd5b6c644c506ca8925ae94a0b9b322366d0c37b75e53"),
        (0x0101, "fcf98ee9d3cdcb3fd760045eddd3a8050264045110c03ed2e86f4839571008b9"),
        (0x0102, "62712135de8ff782973b7dedc9c6a6f2ab7bcb92d4e434f186edab4b17b0c067"),
        (0x0103, "5e15ee6f955e8ef903fca448f5db2240d731a4dfb15c8b8b94928312ce440040"),
        (0x0104, "bd376b08d13f27a0141e95a13fa799da4b1165c5d35fdd0a8dd82bbf68ca9152"),
    ],
)
def test_primes(group: int, digest: str) -> None:
    """They are OpenSSL's: the digest is that of the prime as `openssl asn1parse` prints it."""
    assert sha256(f"{prime_of(group):X}\n".encode()).hexdigest() == digest


def test_messages() -> None:
    """What a ServerKeyExchange tells, whole or cut, and whatever it holds."""
    assert curve_of(bytes.fromhex("03001d20") + bytes(32)) == X25519
    assert curve_of(b"\x03\x00") is None
    assert curve_of(b"\x01\x00\x1d\x00") is None
    prime = prime_of(0x0100).to_bytes(256, "big")
    assert finite_group_of(b"\x01\x00" + prime + b"\x00\x01\x02") == FiniteGroup(2048, 0x0100)
    assert finite_group_of(b"\x01\x00" + prime[:-1]) is None
    assert finite_group_of(b"\xff\xff" + bytes(65535)) is None
    assert finite_group_of(b"\x00\x02\x00\x00") is None
    assert finite_group_of(b"") is None


@given(body=st.binary(max_size=40), length=st.integers(0, 0xFFFF))
def test_any_message(body: bytes, length: int) -> None:
    """Any bytes are a group, or none."""
    for data in (body, length.to_bytes(2, "big") + body, b"\x03" + body):
        assert curve_of(data) is None or data[0] == 3
        group = finite_group_of(data)
        assert group is None or 0 < group.bits <= 8 * len(data)


# --- What is not known, is not said -----------------------------------------------------------------------------------


@pytest.mark.parametrize("end", [End.EOF, End.RESET, End.TIMEOUT])
def test_gone_in_the_middle(end: End) -> None:
    """A server that is gone after two answers has at least these groups; the list is not complete."""
    table, served = of_tls13((X25519, P256, P384)), 0

    class Dying(TableServer):
        def hear(self, data: bytes) -> bytes:
            nonlocal served
            served += 1
            if served <= 2:
                return super().hear(data)
            if end is End.TIMEOUT:
                return b""
            raise Closed

    made = play_probe(Groups(), known_of(table), lambda: Dying(table), end)
    assert made.ids("tls13", "groups") == [X25519, P256]
    assert not made.result["complete"]
    assert made.connections == 2 + 2


def _answers() -> st.SearchStrategy[HelloAnswer]:
    numbers = st.sampled_from([None, 0x001D, 0x0017, 0x11EC, 0x0100, 0x6A6A])
    hello = st.builds(
        ServerHello,
        version=st.sampled_from([0x0303, 0x0304]),
        cipher=st.sampled_from([0xC02F, 0x009F, 0x1301]),
        group=numbers,
        retry=st.booleans(),
        flags=st.just(frozenset()),
    )
    message = st.tuples(st.sampled_from([11, 12, 14]), st.binary(max_size=9) | st.just(bytes.fromhex("03001d2000")))
    return st.builds(
        HelloAnswer,
        st.sampled_from(Evidence),
        version=st.sampled_from([None, 0x0302, 0x0303, 0x0304]),
        cipher=st.sampled_from([None, 0xC02F, 0x009F, 0x1301]),
        group=numbers,
        alert=st.sampled_from([None, 40, 80]),
        server_hello=st.none() | hello,
        behind=st.lists(message, max_size=3).map(tuple),
    )


@given(answers=st.lists(_answers(), max_size=40))
@settings(max_examples=200, deadline=None)
def test_any_answers(answers: list[HelloAnswer]) -> None:
    """Whatever comes, in any order: a result, and an end."""
    probe, known = Groups(), _spoken(TLS12, TLS13)
    talked: list[Talked] = []
    left = iter(answers)
    while talks := probe.ask(known, talked):
        talked += [Talked(talk, next(left, None), None) for talk in talks]
    result = probe.result(known, talked)
    list(probe.findings(result))


# --- Whole interviews -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("service", ["https", "smtp", "ldap"])
async def test_in_a_record(service: str, autojump_clock: MockClock) -> None:
    """Through STARTTLS as without; the finding is raised."""
    table = Table({TLS12: RSA_AEAD, TLS13: TLS13_SUITES}, groups=(P384, X25519), prime=SMALL_PRIME)
    made = await asked("groups", lambda: TableServer(table), service, versions=(TLS12, TLS13))
    part = made["groups"]
    names = [{"name": "secp384r1", "id": "0x0018"}, {"name": "x25519", "id": "0x001d"}]
    assert part == {
        "complete": True,
        "tls13": {"complete": True, "order": "server", "groups": names, "flags": []},
        "ecdhe": {"version": "TLSv1.2", "complete": True, "order": "server", "groups": names, "flags": []},
        "dhe": {
            "version": "TLSv1.2",
            "bits": 1024,
            "group": None,
            "complete": True,
            "order": "unknown",
            "groups": [],
            "flags": [],
        },
    }
    assert "weak-dh-group" in {finding["id"] for finding in made["findings"]}
