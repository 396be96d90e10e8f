"""Servers that have nothing but what the plain hello leaves out: they are found, whatever it is, and never denied."""

import pytest

from scanner.ladder import MOST_RUNGS
from scanner.question import Negotiate, OfferVersion, ReadFirstFlight
from scanner.tls.exchange import Evidence
from scanner.tls.hello import SUITES, Shape, suites_of
from scanner.tls.names import Version, cipher_id
from scanner.tls.suites import has_certificate, suite_name, suites_there_are
from scanner.versions import Known
from tests.peers.tls_table import (
    DHE_RSA,
    RSA_AEAD,
    RSA_CBC,
    SM,
    SM2_CURVE,
    SSL3,
    TLS10,
    TLS11,
    TLS12,
    TLS13,
    TLS13_SUITES,
    X25519MLKEM768,
    End,
    Key,
    Quirk,
    Says,
    Table,
    codes,
    refuses_many_suites,
)
from tests.scanner.test_ladder_on_peers import Seen, ends, in_short, see

EVERY_KEY = tuple(Key)
OLD = (TLS10, TLS11)

# In an offer of TLS 1.2 that stays below what some servers refuse, these have no place (`hello.py`).
LEFT_OUT = {
    suite
    for suite in suites_there_are(TLS12)
    if "_KRB5_EXPORT_" in suite_name(suite)
    or any(f"TLS_{kind}_WITH_ARIA" in suite_name(suite) for kind in ("DH_DSS", "DH_RSA", "DHE_DSS"))
    or any(f"TLS_{kind}_WITH_ARIA" in suite_name(suite) for kind in ("ECDH_ECDSA", "ECDH_RSA"))
    or any(f"TLS_{kind}_WITH_CAMELLIA" in suite_name(suite) for kind in ("DH_DSS", "DH_RSA", "DHE_DSS"))
    or any(f"TLS_{kind}_WITH_CAMELLIA" in suite_name(suite) for kind in ("ECDH_ECDSA", "ECDH_RSA"))
} - set(SUITES[TLS12])
EXPORT_KERBEROS = {suite for suite in LEFT_OUT if "_KRB5_EXPORT_" in suite_name(suite)}


def only(version: Version, suite: int, nothing: Says = 40) -> Table:
    """A server with one suite, and every kind of key."""
    return Table({version: (suite,)}, keys=EVERY_KEY, nothing=nothing, hands_over=False)


def of(found: Seen, version: Version) -> str:
    """The verdict on one version, in short."""
    return in_short((found.conclusion.versions or {})[version])


@pytest.mark.parametrize(("version", "named"), [(SSL3, True), (TLS10, True), (TLS12, True), (TLS12, False)])
async def test_one_suite_alone(autojump_clock: object, version: Version, named: bool) -> None:
    """A server of any single suite is seen to speak its version, and what it chose stands in the record."""
    for suite in suites_there_are(version):
        found = await see(only(version, suite), named=named)
        entry = (found.conclusion.versions or {})[version]
        if entry.verdict is Known.YES and entry.evidence is Evidence.IMPLIED:
            assert version is SSL3  # in answer to an offer of more, which has more suites than that of SSLv3 itself
        elif entry.verdict is Known.YES:
            assert found.record["versions"][version]["cipher_id"] == cipher_id(suite)
            assert "unoffered_cipher" not in entry.flags
        elif version is SSL3:  # which has one hello, of less than 256 bytes
            assert suite not in SUITES[SSL3]
            assert of(found, version) == "no 40"  # as it has no other alert for that
        else:
            assert suite in LEFT_OUT, (suite_name(suite), found.besides)
            assert entry.verdict is Known.UNKNOWN
        shapes = [each.shape for each in found.questions if isinstance(each, OfferVersion) and each.version is version]
        assert len(shapes) <= 1 + MOST_RUNGS


def test_what_is_left_out_is_what_nobody_has() -> None:
    """EXPORT with Kerberos; ARIA and Camellia for static keys of Diffie-Hellman, and for DSA: fifty in all."""
    for version, left_out in ((TLS10, EXPORT_KERBEROS), (TLS11, EXPORT_KERBEROS), (TLS12, LEFT_OUT)):
        shapes = (Shape.PLAIN, Shape.OTHER_SUITES, Shape.SHARED_SECRET)
        offered = {suite for shape in shapes for suite in suites_of(version, shape)}
        assert set(suites_there_are(version)) - offered == left_out
        assert all(len(suites_of(version, shape)) <= 128 for shape in shapes)  # more are too many for some servers
    assert (len(EXPORT_KERBEROS), len(LEFT_OUT)) == (6, 50)


FAMILIES = {
    # by RFC: the suites of a server, and the shape of the hello that finds it
    "Camellia-GCM (RFC 6367)": (codes("c08b c08a c07d c07c"), "other_suites"),
    "ARIA (RFC 6209)": (codes("c061 c060 c053 c052"), "other_suites"),
    "AES-CCM-8 (RFC 7251)": (codes("c0af c0ae"), "other_suites"),
    "DHE with CCM (RFC 6655)": (codes("c09f c09e"), "other_suites"),
    "ChaCha20 of the draft": (codes("cc13 cc15"), "other_suites"),
    "SRP with a certificate (RFC 5054)": (codes("c021 c01e"), "other_suites"),
    "DHE, its own group alone (RFC 7919)": (DHE_RSA, "other_suites"),
    "PSK (RFC 4279, 5487)": (codes("00a9 00a8 008d 008c"), "shared_secret"),
    "DHE_PSK (RFC 4279, 5487)": (codes("00ab 00aa 0091 0090"), "shared_secret"),
    "RSA_PSK (RFC 4279, 5487)": (codes("00ad 00ac 0095 0094"), "shared_secret"),
    "ECDHE_PSK (RFC 5489, 8442)": (codes("d002 d001 c036 c035"), "shared_secret"),
    "PSK with CCM_8 (RFC 6655)": (codes("c0a9 c0a8"), "shared_secret"),
    "PSK with ChaCha20 (RFC 7905)": (codes("ccac ccab"), "shared_secret"),
    "PSK without encryption (RFC 4785)": (codes("00b1 00b0 002c"), "shared_secret"),
    "SRP (RFC 5054)": (codes("c020 c01d"), "shared_secret"),
    "ECCPWD (RFC 8492)": (codes("c0b1 c0b0"), "shared_secret"),
    "Kerberos (RFC 2712)": (codes("001f 001e"), "shared_secret"),
    "anonymous with Camellia": (codes("c085 0089"), "shared_secret"),
    # What the plain hello has
    "anonymous": (codes("00a7 c019 006d"), None),
    "NULL": (codes("003b 0002"), None),
    "GOST (RFC 9189)": (codes("c100 c101 c102"), None),
    "GOST of drafts": (codes("ff85 0081"), None),
}


@pytest.mark.parametrize(("suites", "shape"), FAMILIES.values(), ids=FAMILIES)
@pytest.mark.parametrize("service", ["https", "smtp"])
async def test_families(autojump_clock: object, service: str, suites: tuple[int, ...], shape: str | None) -> None:
    """Which hello finds a server of TLS 1.2 alone, and one of TLS 1.3 besides, with all their suites of one family."""
    found_by = f" @{shape}+" if shape else ""
    table = Table({TLS12: suites}, keys=EVERY_KEY, own_group=False, hands_over=False)
    alone = await see(table, service=service)
    assert of(alone, TLS12) == f"yes{found_by}"
    assert alone.record["versions"]["TLSv1.2"]["cipher_id"] == cipher_id(suites[0])
    assert alone.record["status"] == "tls"
    table = Table({TLS12: suites, TLS13: TLS13_SUITES}, keys=EVERY_KEY, own_group=False, hands_over=False)
    beside = await see(table, service=service)
    assert (of(beside, TLS12), of(beside, TLS13)) == (f"yes{found_by}", "yes")
    rungs = {None: [], "other_suites": ["1.2:other_suites"]}.get(shape, ["1.2:other_suites", "1.2:shared_secret"])
    assert [each for each in beside.besides.split() if each != "handshake"] == rungs


@pytest.mark.parametrize("suites", [codes("008d 008c"), codes("c036 c035"), codes("0095 0094"), codes("c020 c01d")])
async def test_shared_secrets_in_all_versions(autojump_clock: object, suites: tuple[int, ...]) -> None:
    """What was learnt with TLS 1.2 finds the older versions by one hello each, and tells nothing of TLS 1.3."""
    found = await see(Table(dict.fromkeys((*OLD, TLS12), suites), below=40, above=40, hands_over=False))
    spoken = " | ".join(["yes @shared_secret+"] * 3)
    assert found.verdicts == f"no 70 | no 40 | {spoken} | ? 40+"
    assert [each for each in found.besides.split() if each.startswith(("1.0", "1.1"))] == [
        "1.0:shared_secret",
        "1.1:shared_secret",
    ]


@pytest.mark.parametrize("version", OLD)
async def test_below_tls12_it_is_one_hello(autojump_clock: object, version: Version) -> None:
    """Beside a newer version, an older one with other suites than that takes one hello, as one that is not there."""
    suites = {TLS12: RSA_AEAD, TLS13: TLS13_SUITES}
    has = await see(Table({version: codes("008d"), **suites}, below=40, hands_over=False))
    lacks = await see(Table(suites, below=40, hands_over=False))
    assert of(has, version) == "yes @other_suites+"
    assert of(lacks, version) == "no 40+"
    for found in (has, lacks):
        rungs = [each for each in found.besides.split() if each != "handshake"]
        assert rungs == ["1.0:other_suites", "1.1:other_suites"]


async def test_no_such_user(autojump_clock: object) -> None:
    """Who knows the user of nobody says so (RFC 5054 §2.5.1.3): it is there, and the version cannot be told."""
    found = await see(Table({TLS12: codes("c020")}, knows_user=False, hands_over=False))
    assert of(found, TLS12) == "? 115 @shared_secret+"
    assert found.record["status"] == "tls_failed"


async def test_nothing_comes_of_certificates_without_one(autojump_clock: object) -> None:
    """Where a suite comes without a certificate, no connection is made to read one."""
    for suite in suites_there_are(TLS12):
        if suite in SUITES[TLS12] or suite in LEFT_OUT:
            continue
        found = await see(only(TLS12, suite))
        reads = [each for each in found.questions if isinstance(each, ReadFirstFlight)]
        assert len(reads) <= has_certificate(suite), suite_name(suite)  # else a handshake that broke has shown it
        assert (found.record["certificate"] is not None) == has_certificate(suite)


@pytest.mark.parametrize("how", End)
async def test_ends_in_place_of_alerts(autojump_clock: object, how: End) -> None:
    """Who hangs up where nothing is in common, and answers no version at all, is not said to lack any."""
    found = await see(only(TLS12, 0xC08B, nothing=how))
    assert of(found, TLS12).startswith("?") or of(found, TLS12).startswith("yes")


async def test_long_lists(autojump_clock: object) -> None:
    """Neither of these hellos has more than 128 suites, for these are too many for some."""
    for suite in (0xC08B, 0x00A9):
        table = Table({TLS12: (suite,)}, quirks=(refuses_many_suites(128, 47),), hands_over=False)
        assert of(await see(table), TLS12).startswith("yes @")


TLS13_ALONE = {
    # suites, groups, keys, and the shape of the hello that finds it
    "SM (RFC 8998)": (SM, (SM2_CURVE,), (Key.SM2,), "yes hrr @other_groups+"),
    "SM4 with usual groups and keys": (SM, (0x001D,), (Key.RSA,), "yes"),
    "ML-DSA and a hybrid group": (TLS13_SUITES, (X25519MLKEM768,), (Key.ML_DSA,), "yes hrr @other_groups+"),
    "GOST (RFC 9367)": (codes("c105 c103"), (0x0022,), (Key.RSA,), "yes hrr @other_groups+"),
    "integrity alone (RFC 9150)": (codes("c0b5 c0b4"), (0x001D,), (Key.RSA,), "yes"),
    "AEGIS": (codes("1307 1306"), (0x001D,), (Key.RSA,), "yes"),
    "CCM_8": (codes("1305"), (0x001D,), (Key.RSA,), "yes"),
}


@pytest.mark.parametrize(("suites", "groups", "keys", "verdict"), TLS13_ALONE.values(), ids=TLS13_ALONE)
@pytest.mark.parametrize("older", [True, False])
async def test_in_tls13(
    autojump_clock: object,
    older: bool,
    suites: tuple[int, ...],
    groups: tuple[int, ...],
    keys: tuple[Key, ...],
    verdict: str,
) -> None:
    """TLS 1.3 with suites, groups and signatures that few have, beside TLS 1.2 and without."""
    below = {TLS12: RSA_CBC} if older else {}
    table = Table({**below, TLS13: suites}, groups=groups, keys=(*keys, Key.RSA), hands_over=False)
    found = await see(table)
    assert of(found, TLS13) == verdict


async def test_who_does_not_need_it_pays_nothing(autojump_clock: object) -> None:
    """As many connections as there are versions, and the handshake: 7 for servers of usual suites."""
    for versions in ((TLS12, TLS13), (TLS10, TLS11, TLS12, TLS13), (TLS13,), (TLS12,), (TLS10,), (TLS10, TLS11, TLS12)):
        suites = {TLS10: RSA_CBC, TLS11: RSA_CBC, TLS12: RSA_AEAD, TLS13: TLS13_SUITES}
        spoken = {version: suites[version] for version in versions}
        for table in (Table(spoken), Table(spoken, refusals={}), Table(spoken, **ends(End.RST))):
            found = await see(table)
            assert (len(found.questions), found.besides) == (7, "")
            assert sum(isinstance(each, Negotiate) for each in found.questions) == 1


LACKING: dict[str, tuple[Table, bool]] = {
    # a server, and whether it is our own library that has nothing in common with it
    "Camellia-GCM": (Table({TLS12: codes("c08b")}, hands_over=False), True),
    "pre-shared keys": (Table({TLS12: codes("00a9")}, hands_over=False), True),
    "SRP": (Table({TLS12: codes("c020")}, hands_over=False), True),
    "3DES and RC4": (Table({TLS10: codes("000a 0005")}), True),
    "SSLv3": (Table({SSL3: RSA_CBC}), True),
    "usual suites, and not for OpenSSL": (
        Table({TLS12: RSA_AEAD}, quirks=(Quirk(lambda offer: offer.is_openssl, 40),)),
        False,
    ),
    "both": (
        Table(
            {TLS11: RSA_CBC, TLS12: codes("c08b")},
            quirks=(Quirk(lambda offer: offer.is_openssl, 40),),
        ),
        False,
    ),
}


@pytest.mark.parametrize(("table", "ours"), LACKING.values(), ids=LACKING)
@pytest.mark.parametrize("service", ["https", "smtp"])
async def test_what_our_library_lacks(autojump_clock: object, service: str, table: Table, ours: bool) -> None:
    """A handshake that is refused for want of what our library has not is our own limit, and no fault of the server."""
    record = (await see(table, service=service)).record
    error = record["tls"]["error"]
    assert record["status"] == "tls"
    assert error["verdict"] == ("local_limitation" if ours else "handshake_failed")
    assert error["cause"] == ("tls_library" if ours else "alert")
    assert ("handshake-fails" in {finding["id"] for finding in record["findings"]}) == (not ours)
    said = error["detail"] or ""  # OpenSSL itself turns down what it sees in a ServerHello
    assert not ours or said.startswith("not in our library: ") or said == "unsupported protocol"
