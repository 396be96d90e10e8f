"""sslscan and testssl.sh see the same versions, suites and groups; where they do not, the reason is written down.

`DISPUTES` has each point in which one of them differs, with what shows who is right. Ours never rests on less than a
ServerHello or a HelloRetryRequest, which is in the record: nobody sends one for what he does not speak. A dispute that
is settled by a newer sslscan or testssl.sh fails here as well, and its line may go.
"""

import json
import re
import subprocess
import tempfile
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.live.scan import Scan, scan_of
from tests.live.servers import VERSIONS, Fleet, Listener, Server
from tests.live.test_truth import record_of
from tests.live_full import tls_gnutls, tls_libraries, tls_nginx, tls_old, tls_openssl

SIDE_BY_SIDE = 3  # there are as many waits as there is work
WITHIN_S = 600.0  # testssl.sh on a machine with much else to do
HOST = "web.live.test"
SERVERS: dict[str, Server] = {
    server.name: server
    for module in (tls_nginx, tls_openssl, tls_gnutls, tls_libraries, tls_old)
    for server in module.SERVERS
}

# sslscan's key of X25519 has the highest bit by chance, and then wolfSSL hangs up on it (RFC 7748 §5 has that ignored).
BY_CHANCE = {"lighttpd-wolfssl-1"}

HRR = "RFC 8446 §4.1.4: a HelloRetryRequest for this group; sslscan 2.0 and testssl.sh 3.0 know no hybrid ones"
SERVER_HELLO = "RFC 5246 §7.4.1.3: a ServerHello of this version"
HEADER = "Hickman's draft of 1995, §1.1: the header of three bytes, which they do not read"
CONTROL = "no other hello was answered: nothing tells a refusal from a server that is gone"
CERTIFICATE = "RFC 5246 §7.4.6: sslscan wants whole handshakes, and the server wants a certificate for these"
BRAINPOOL = "RFC 7027 §2: the suites need a curve that sslscan does not offer beside them"
NO_SSLV3 = "RFC 6101 §5.6.1.3: a ServerHello; the OpenSSL that is in sslscan has no SSLv3"
NO_SSLV2 = "Hickman's draft of 1995, §2.6: the kinds of the SERVER-HELLO; sslscan lists none"
ANONYMOUS = "RFC 8422 §2.6: ECDH_anon has curves too; they ask with suites that need a certificate"
OWN_CURVE = "RFC 8422 §5.1: a list of curves is about the certificate's key too, and sslscan names one at a time"

SRP = "RFC 5054 §2.5.1: it does not name a user, without whom a server may not choose its suites"
SECRET = "RFC 8446 §4.2.11: TLS 1.3 with a shared key alone answers nobody without it, and may be on or off"

# Of (tool, server, what): who is right, and why. `what` is a version, or a list of one.
DISPUTES: dict[tuple[str, str, str], str] = {
    **{(tool, "gnutls-srp", "TLSv1.2"): SRP for tool in ("sslscan", "testssl")},
    **{(tool, name, "TLSv1.3"): SECRET for name in ("gnutls-srp", "gnutls-psk") for tool in ("sslscan", "testssl")},
    **{("testssl", "openssl-psk-without-certificate", version): SERVER_HELLO for version in ("TLSv1.0", "TLSv1.1")},
    **{("sslscan", name, "TLSv1.3"): HRR for name in ("hybrid-6", "hybrid-7", "hybrid-8")},
    **{("testssl", name, "TLSv1.3"): HRR for name in ("hybrid-6", "hybrid-7", "hybrid-8", "gnutls-ffdhe4096")},
    ("sslscan", "hybrid-9", "TLSv1.2"): SERVER_HELLO,
    **{("sslscan", name, "SSLv2"): HEADER for name in ("sslv2-padded", "sslv2-long-header")},
    **{("testssl", name, "SSLv2"): HEADER for name in ("sslv2-padded", "sslv2-long-header")},
    **{(tool, "sslv2-error", version): CONTROL for version in VERSIONS[1:] for tool in ("sslscan", "testssl")},
    **{
        ("testssl", name, version): SERVER_HELLO
        for name in ("openssl-anonymous", "gnutls-anonymous")
        for version in ("TLSv1.0", "TLSv1.1")
    },
    **{("testssl", "tlslite-TLSv1.2", version): SERVER_HELLO for version in ("TLSv1.0", "TLSv1.1", "TLSv1.2")},
    **{
        ("sslscan", "openssl-requires-certificate", f"ciphers {v}"): CERTIFICATE
        for v in ("TLSv1.0", "TLSv1.1", "TLSv1.2")
    },
    ("sslscan", "openssl-brainpool", "ciphers TLSv1.2"): BRAINPOOL,
    ("sslscan", "tlslite-SSLv3", "ciphers SSLv3"): NO_SSLV3,
    ("sslscan", "sslv2-all", "ciphers SSLv2"): NO_SSLV2,
    ("sslscan", "openssl-anonymous", "groups TLSv1.2"): ANONYMOUS,
    ("testssl", "openssl-anonymous", "groups any"): ANONYMOUS,
    **{("testssl", "openssl-anonymous", f"ciphers {v}"): SERVER_HELLO for v in ("TLSv1.0", "TLSv1.1")},
    ("sslscan", "openssl-ecdsa", "groups TLSv1.2"): OWN_CURVE,
    ("sslscan", "hybrid-6", "ciphers TLSv1.3"): HRR,
    ("sslscan", "hybrid-6", "groups TLSv1.3"): HRR,
    ("testssl", "hybrid-6", "ciphers TLSv1.3"): HRR,
    ("testssl", "hybrid-6", "groups any"): HRR,
}

ASKED_OF_SSLSCAN = [name for name in SERVERS if name not in BY_CHANCE]
LISTED = [
    *("nginx-tls", "openssl-tls1.0", "openssl-tls1.2", "openssl-tls1.3", "openssl-all", "openssl-secp521r1"),
    *("openssl-ffdhe3072", "openssl-dhe", "openssl-rsa-pss", "openssl-static-rsa", "openssl-ccm", "openssl-anonymous"),
    *(
        "openssl-ecdsa",
        "openssl-requires-certificate",
        "openssl-brainpool",
        "gnutls-all",
        "gnutls-rc4",
        "gnutls-ffdhe4096",
    ),
    *("java-2", "boringssl-20464", "go-3", "lighttpd-mbedtls-2", "hybrid-6", "tlslite-SSLv3", "sslv2-all"),
]
# Of those, testssl.sh asks for suites and groups, too: that takes it half a minute.
LISTED_BY_TESTSSL = [name for name in LISTED if not name.startswith(("sslv2", "tlslite"))]


def listener_of(name: str) -> Listener:
    """The first of a server."""
    return SERVERS[name].listeners[0]


def run(*command: str) -> str:
    """What another scanner says. Its exit status tells of findings, and of nothing that matters here.

    As we ignore SIGPIPE, so does it: sslscan 2.0 would die of a server that closes early.
    """
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=WITHIN_S, restore_signals=False)
    return done.stdout


# --- sslscan ----------------------------------------------------------------------------------------------------------

SSLSCAN = ("sslscan", "--xml=-", "--no-heartbleed", "--no-check-certificate", f"--sni-name={HOST}", "--timeout=5")
BRIEF = (
    "--no-ciphersuites",
    "--no-groups",
    "--no-cipher-details",
    "--no-compression",
    "--no-fallback",
    "--no-renegotiation",
)
VERSION_OF = {"2": "SSLv2", "3": "SSLv3"} | {version[4:]: version for version in VERSIONS[2:]}
PROTOCOL = re.compile(r'<protocol type="(?:ssl|tls)" version="([\d.]+)" enabled="([01])"')
CIPHER = re.compile(r'<cipher status="\w+" sslversion="([^"]+)"[^>]*? id="(0x\w+)"')
GROUP = re.compile(r'<group sslversion="([^"]+)"[^>]*? id="(0x\w+)"')


def by_sslscan(name: str) -> str:
    """XML; with suites and groups where these are compared."""
    listener = listener_of(name)
    options = () if name in LISTED else BRIEF
    return run(*SSLSCAN, *options, f"{listener.address}:{listener.port}")


@pytest.fixture(scope="module")
def sslscan(fleet: Fleet, scan: Scan) -> Mapping[str, str]:
    """Its words on each server, which it meets after us."""
    assert scan.exit_status == 0
    with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        return dict(zip(ASKED_OF_SSLSCAN, pool.map(by_sslscan, ASKED_OF_SSLSCAN), strict=True))


@pytest.fixture(scope="module")
def lists(fleet: Fleet, scan: Scan) -> Scan:
    """Suites and groups, by a scan that asks for them."""
    assert scan.exit_status == 0
    return scan_of(fleet, [listener_of(name) for name in LISTED], "--ciphers", "--groups")


def disputed(tool: str, name: str, what: str, *, agree: bool) -> None:
    """They agree, unless it is written down that they do not."""
    reason = DISPUTES.get((tool, name, what))
    assert agree != (reason is not None), f"{tool} on {what} of {name}: {reason or 'another answer than ours'}"


def same_versions(tool: str, name: str, spoken: Mapping[str, bool], record: Mapping[str, Any]) -> None:
    """Each version that it tells of is spoken, or is not, as in our record; and what is, was shown."""
    assert spoken, f"{tool} says nothing of {name}"
    for version, yes in spoken.items():
        entry = record["versions"][version]
        disputed(tool, name, version, agree=entry["verdict"] == ("yes" if yes else "no"))
        if entry["verdict"] == "yes":
            assert entry["evidence"] in ("server_hello", "hello_retry_request", "sslv2_server_hello")


@pytest.mark.parametrize("name", ASKED_OF_SSLSCAN)
def test_versions_by_sslscan(name: str, scan: Scan, sslscan: Mapping[str, str]) -> None:
    """All six versions, on every server."""
    spoken = {VERSION_OF[number]: enabled == "1" for number, enabled in PROTOCOL.findall(sslscan[name])}
    same_versions("sslscan", name, spoken, record_of(listener_of(name), scan))


def collected(pairs: list[tuple[str, str]]) -> dict[str, set[str]]:
    """Code points by version."""
    found: dict[str, set[str]] = {}
    for version, code in pairs:
        found.setdefault(version, set()).add(code.lower())
    return found


def same_lists(tool: str, name: str, what: str, ours: Mapping[str, set[str]], theirs: Mapping[str, set[str]]) -> None:
    """The same code points for each version; where it is disputed, ours are more."""
    for version in {*ours, *theirs}:
        mine, other = ours.get(version, set()), theirs.get(version, set())
        disputed(tool, name, f"{what} {version}", agree=mine == other)
        assert other <= mine, (version, sorted(other - mine))


@pytest.mark.parametrize("name", LISTED)
def test_ciphers_by_sslscan(name: str, lists: Scan, sslscan: Mapping[str, str]) -> None:
    """The suites of each version, for which it makes whole handshakes, and we say hellos."""
    part = record_of(listener_of(name), lists)["ciphers"]
    assert part["complete"]
    ours = {version: {suite["id"] for suite in each["suites"]} for version, each in part["versions"].items()}
    same_lists("sslscan", name, "ciphers", ours, collected(CIPHER.findall(sslscan[name])))


@pytest.mark.parametrize("name", [name for name in LISTED if not name.startswith(("sslv2", "tlslite"))])
def test_groups_by_sslscan(name: str, lists: Scan, sslscan: Mapping[str, str]) -> None:
    """The groups of TLS 1.3, and the curves of the newest version below it."""
    part = record_of(listener_of(name), lists)["groups"]
    assert part["complete"]
    ours = {}
    if part["tls13"]:
        ours["TLSv1.3"] = {group["id"] for group in part["tls13"]["groups"]}
    if part["ecdhe"]:
        ours[part["ecdhe"]["version"]] = {group["id"] for group in part["ecdhe"]["groups"]}
    theirs = collected(GROUP.findall(sslscan[name]))
    same_lists(
        "sslscan", name, "groups", ours, {version: codes for version, codes in theirs.items() if version in ours}
    )


# --- testssl.sh -------------------------------------------------------------------------------------------------------

TESTSSL = ("testssl", "-p", "--quiet", "--warnings", "off", "--color", "0", "--ip", "one")
LISTS = ("-E", "-f")  # the suites of each version; the groups of those with forward secrecy
IDS = {
    "TLS1": "TLSv1.0",
    "TLS1_1": "TLSv1.1",
    "TLS1_2": "TLSv1.2",
    "TLS1_3": "TLSv1.3",
    "SSLv2": "SSLv2",
    "SSLv3": "SSLv3",
}
SUITE = re.compile(r"cipher-(\w+)_x([0-9a-f]+)")
PREFIXES = {"ssl3": "SSLv3", "tls1": "TLSv1.0", "tls1_1": "TLSv1.1", "tls1_2": "TLSv1.2", "tls1_3": "TLSv1.3"}
CURVES = {
    "prime192v1": "secp192r1",
    "prime256v1": "secp256r1",
    "X25519": "x25519",
    "X448": "x448",
}  # the names that it has of OpenSSL

Found = list[dict[str, str]]


def by_testssl(name: str) -> Found:
    """Its findings."""
    listener = listener_of(name)
    lists = LISTS if name in LISTED_BY_TESTSSL else ()
    with tempfile.TemporaryDirectory(prefix="tlsweep-testssl-") as directory:
        path = Path(directory) / "found.json"
        said = run(*TESTSSL, *lists, "--jsonfile", str(path), f"{listener.address}:{listener.port}")
        found: Found = json.loads(path.read_text()) if path.exists() else []
    assert found, said
    return found


@pytest.fixture(scope="module")
def heard_of_testssl(fleet: Fleet, sslscan: Mapping[str, str]) -> Mapping[str, Found]:
    """Its findings on each server, which meets one scanner at a time."""
    with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        return dict(zip(SERVERS, pool.map(by_testssl, SERVERS), strict=True))


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", SERVERS)
def test_versions_by_testssl(name: str, scan: Scan, heard_of_testssl: Mapping[str, Found]) -> None:
    """All six versions; SSLv2 that is spoken is "vulnerable"."""
    spoken = {
        IDS[each["id"]]: each["finding"].startswith(("offered", "vulnerable"))
        for each in heard_of_testssl[name]
        if each["id"] in IDS
    }
    assert set(spoken) == set(VERSIONS)
    same_versions("testssl", name, spoken, record_of(listener_of(name), scan))


@pytest.mark.parametrize("name", LISTED_BY_TESTSSL)
def test_ciphers_by_testssl(name: str, lists: Scan, heard_of_testssl: Mapping[str, Found]) -> None:
    """The suites of each version."""
    part = record_of(listener_of(name), lists)["ciphers"]
    ours = {version: {suite["id"] for suite in each["suites"]} for version, each in part["versions"].items()}
    named = filter(None, (SUITE.fullmatch(each["id"]) for each in heard_of_testssl[name]))
    theirs = collected([(PREFIXES[found[1]], f"0x{int(found[2], 16):04x}") for found in named])
    same_lists("testssl", name, "ciphers", ours, theirs)


@pytest.mark.parametrize("name", LISTED_BY_TESTSSL)
def test_groups_by_testssl(name: str, lists: Scan, heard_of_testssl: Mapping[str, Found]) -> None:
    """The curves of all versions together, which it does not tell apart."""
    part = record_of(listener_of(name), lists)["groups"]
    told = [each["groups"] for each in (part["tls13"], part["ecdhe"]) if each]
    ours = {group["name"] for groups in told for group in groups if not group["name"].startswith("ffdhe")}
    curves = next((each["finding"] for each in heard_of_testssl[name] if each["id"] == "PFS_ECDHE_curves"), "")
    theirs = {CURVES.get(curve, curve) for curve in curves.split()}
    same_lists("testssl", name, "groups", {"any": ours}, {"any": theirs})


def test_every_dispute_is_about_somebody() -> None:
    """No line of the table is about a server that is not asked."""
    asked = {"sslscan": ASKED_OF_SSLSCAN, "testssl": list(SERVERS)}
    for tool, name, what in DISPUTES:
        assert name in (LISTED if " " in what else asked[tool]), (tool, name, what)
