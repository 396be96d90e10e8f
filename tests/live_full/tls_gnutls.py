"""gnutls-serv with what tests/live leaves out: all versions, one kind of key exchange, anonymous suites, and groups."""

import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.live.certificates import WEB, WEB_RSA, Certificates, Leaf
from tests.live.gnutls import ADDRESS, BY_GNUTLS
from tests.live.servers import TLS13, Found, Listener, Server, Truth, alert, beyond_us, lower, speaks

OLD, MODERN = ("TLSv1.0", "TLSv1.1"), ("TLSv1.2", "TLSv1.3")
ALL_VERSIONS = "+VERS-TLS1.0:+VERS-TLS1.1:+VERS-TLS1.2:+VERS-TLS1.3"
UP_TO_1_2 = "-VERS-ALL:+VERS-TLS1.0:+VERS-TLS1.1:+VERS-TLS1.2"
SENTINELS: Truth = {version: {"flags": ["tls12_hint"]} for version in OLD}
BELOW_1_3: Truth = {"TLSv1.2": {"flags": ["tls13_hint"]}}
SHAKEN: Truth = TLS13 | {"client_certificate": "none"}
OLD_ENABLED = Found("tls1.0-enabled", "tls1.1-enabled")
WEAK = Found("tls1.0-enabled", "tls1.1-enabled", "weak-cipher")


Files = Callable[[Path], Sequence[str | Path]]


def no_files(_: Path) -> Sequence[str | Path]:
    """Nothing besides."""
    return ()


def server(
    port: int,
    name: str,
    priority: str,
    truth: Truth,
    leaf: Leaf = WEB_RSA,
    *,
    shown: bool = True,
    more: Files = no_files,
) -> Server:
    """An instance at a port of its own. `shown`: does the certificate come to us in a handshake?"""

    def configure(directory: Path, certificates: Certificates) -> Sequence[str | Path]:
        options = ("--quiet", "--http", "--nodb", "--disable-client-cert", "--priority", priority)
        chain, key = certificates.chain_file(leaf), certificates.key_file(leaf)
        command = ("gnutls-serv", "--port", str(port), *options, "--x509certfile", chain, "--x509keyfile", key)
        return *command, *more(directory)

    told = {"status": "tls"} | truth
    listener = Listener("web.live.test", ADDRESS, port, "tls", told, leaf=leaf if shown else None)
    return Server(f"gnutls-{name}", configure, (listener,))


ALL: Truth = {
    "versions": speaks(*OLD, *MODERN, others=BY_GNUTLS, known=SENTINELS | BELOW_1_3),
    "tls": SHAKEN,
    "findings": OLD_ENABLED,
}
# Without TLS 1.3 it writes no sentinel (RFC 8446 §4.1.3 asks it only of who has that).
ALL_BUT_1_3: Truth = {"versions": speaks(*OLD, "TLSv1.2", others=BY_GNUTLS | {"TLSv1.3": lower("TLSv1.2")})}
# Where TLS 1.3 is all that there is, it refuses TLS 1.2 by alert 40, as if there were no suite in common.
REFUSED_BY_40 = BY_GNUTLS | {"TLSv1.2": {"flags": ["retry_used"]} | alert("handshake_failure")}


def srp_files(directory: Path) -> Sequence[str | Path]:
    """The user that our hello names. To any other it says alert 40, and not that of RFC 5054 §2.5.1.3."""
    passwords, groups = directory / "passwords", directory / "groups"
    subprocess.run(["srptool", "--create-conf", groups], check=True, capture_output=True)
    command = ("srptool", "--passwd", passwords, "--passwd-conf", groups, "--username", "tlsweep")
    subprocess.run(command, input=b"live\nlive\n", check=True, capture_output=True)
    return "--srppasswd", passwords, "--srppasswdconf", groups


def psk_files(directory: Path) -> Sequence[str | Path]:
    """One key (RFC 4279)."""
    keys = directory / "keys"
    subprocess.run(["psktool", "--username", "somebody", "--pskfile", keys], check=True, capture_output=True)
    return "--pskpasswd", keys


SHARED_SECRET: Truth = {
    "versions": speaks(
        "TLSv1.2",
        others=BY_GNUTLS | {"TLSv1.3": {"verdict": "unknown"} | alert("handshake_failure")},
        known={"TLSv1.2": {"hello": "shared_secret", "flags": ["retry_used"]}},
    ),
    "tls": beyond_us(),
    "findings": Found(),
}
OTHER_SUITES: Truth = {"TLSv1.2": {"hello": "other_suites", "flags": ["retry_used"]}}

SERVERS = (
    server(
        20476,
        "camellia-gcm",
        f"NORMAL:{UP_TO_1_2}:-CIPHER-ALL:+CAMELLIA-128-GCM:+CAMELLIA-256-GCM",
        {
            "versions": speaks(
                "TLSv1.2",
                others=BY_GNUTLS | dict.fromkeys((*OLD, "TLSv1.3"), alert("handshake_failure")),
                known=OTHER_SUITES,
            ),
            "tls": beyond_us(),
            "findings": Found(),
        },
        shown=False,
    ),
    server(
        20481,
        "srp",
        "NORMAL:-VERS-ALL:+VERS-TLS1.2:-KX-ALL:+SRP",
        SHARED_SECRET,
        shown=False,
        more=srp_files,
    ),
    server(
        20482,
        "psk",
        "NORMAL:-VERS-ALL:+VERS-TLS1.2:-KX-ALL:+ECDHE-PSK:+DHE-PSK:+PSK",
        SHARED_SECRET,
        shown=False,
        more=psk_files,
    ),
    server(
        20480,
        "ccm-8",
        f"NORMAL:{UP_TO_1_2}:-CIPHER-ALL:+AES-128-CCM-8",
        {
            "versions": speaks(
                "TLSv1.2",
                others=BY_GNUTLS | dict.fromkeys((*OLD, "TLSv1.3"), alert("handshake_failure")),
                known=OTHER_SUITES,
            ),
            "tls": {"version": "TLSv1.2", "cipher": "TLS_DHE_RSA_WITH_AES_128_CCM_8", "error": None},
        },
    ),
    server(20471, "all", f"NORMAL:{ALL_VERSIONS}", ALL),
    server(20472, "ecdsa", f"NORMAL:{ALL_VERSIONS}", ALL, leaf=WEB),
    server(20473, "dhe", f"NORMAL:{UP_TO_1_2}:-KX-ALL:+DHE-RSA", ALL_BUT_1_3),
    # For our OpenSSL's handshake this group is too rare to be offered.
    server(
        20474,
        "ffdhe4096",
        "NORMAL:-VERS-ALL:+VERS-TLS1.3:-GROUP-ALL:+GROUP-FFDHE4096",
        {
            "versions": speaks(
                "TLSv1.3",
                others=REFUSED_BY_40,
                known={"TLSv1.3": {"evidence": "hello_retry_request", "group": "ffdhe4096", "flags": ["hrr"]}},
            ),
            "tls": beyond_us("ffdhe4096"),
            "findings": Found(),
        },
        shown=False,
    ),
    server(
        20475,
        "ccm",
        "NORMAL:-VERS-ALL:+VERS-TLS1.3:-CIPHER-ALL:+AES-128-CCM",
        {
            "versions": speaks("TLSv1.3", others=REFUSED_BY_40),
            "tls": SHAKEN | {"cipher": "TLS_AES_128_CCM_SHA256", "cipher_id": "0x1304"},
        },
    ),
    # Suites that our OpenSSL has no more. The raw hellos do not depend on it.
    server(
        20477,
        "3des",
        f"NORMAL:{UP_TO_1_2}:-CIPHER-ALL:+3DES-CBC:-KX-ALL:+RSA",
        ALL_BUT_1_3 | {"tls": beyond_us("TLS_RSA_WITH_3DES_EDE_CBC_SHA"), "findings": WEAK},
        shown=False,
    ),
    server(
        20478,
        "rc4",
        "NONE:+VERS-TLS1.0:+VERS-TLS1.1:+VERS-TLS1.2:+RSA:+ARCFOUR-128:+SHA1:+COMP-NULL:+SIGN-ALL",
        ALL_BUT_1_3 | {"tls": beyond_us("TLS_RSA_WITH_RC4_128_SHA"), "findings": WEAK},
        shown=False,
    ),
    # No certificate is sent. To an offer of TLS 1.3 it has no suite, though it could answer with TLS 1.2.
    server(
        20479,
        "anonymous",
        f"NORMAL:{UP_TO_1_2}:-KX-ALL:+ANON-ECDH:+ANON-DH",
        {
            "versions": speaks(
                *OLD,
                "TLSv1.2",
                others=BY_GNUTLS | {"TLSv1.3": {"flags": ["retry_used"]} | alert("handshake_failure")},
            ),
            "tls": {"version": "TLSv1.2", "chain": None, "error": None},
            "certificate": None,
        },
        shown=False,
    ),
)
