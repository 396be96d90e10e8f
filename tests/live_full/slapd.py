"""slapd: LDAP with StartTLS and LDAPS, one that requires TLS, and one without. Debian's is built with GnuTLS."""

from collections.abc import Callable, Sequence
from pathlib import Path

from tests.live.certificates import WEB, Certificates
from tests.live.servers import TLS13, Found, Listener, Server, Truth, gets, merged, speaks
from tests.live_full.names import Names

CONFIGURATION = """\
include /etc/ldap/schema/core.schema
modulepath /usr/lib/ldap
moduleload back_mdb
pidfile {directory}/pid
{tls}
database mdb
suffix "dc=live,dc=test"
directory {directory}/database
"""
WITH_TLS = """\
TLSCertificateFile {chain}
TLSCertificateKeyFile {key}"""

START_TLS = "1.3.6.1.4.1.1466.20037"
EXTENSIONS = ["1.3.6.1.4.1.4203.1.11.1", "1.3.6.1.4.1.4203.1.11.3", "1.3.6.1.1.8", "1.3.6.1.1.21.3", "1.3.6.1.1.21.1"]

# Other mechanisms may be there, by other plugins of Cyrus SASL. A password goes in plain text inside TLS alone.
IN_PLAIN_TEXT = frozenset({"PLAIN", "LOGIN"})
WITH_A_CHALLENGE = frozenset({"SCRAM-SHA-256", "SCRAM-SHA-1", "DIGEST-MD5", "CRAM-MD5"})
OUTSIDE: Truth = {"capabilities": [START_TLS, *EXTENSIONS], "auth": Names(WITH_A_CHALLENGE, absent=IN_PLAIN_TEXT)}
INSIDE: Truth = {"capabilities": [START_TLS, *EXTENSIONS], "auth": Names(WITH_A_CHALLENGE | IN_PLAIN_TEXT)}

CLOSED: Truth = {"evidence": "closed"}
ENCRYPTED: Truth = {
    "status": "tls",
    "versions": speaks(
        "TLSv1.0",
        "TLSv1.1",
        "TLSv1.2",
        "TLSv1.3",
        others={"SSLv2": CLOSED, "SSLv3": CLOSED},
        known={
            "TLSv1.0": {"flags": ["tls12_hint"]},
            "TLSv1.1": {"flags": ["tls12_hint"]},
            "TLSv1.2": {"flags": ["tls13_hint"]},
            "TLSv1.3": {"group": "x25519", "group_id": "0x001d"},
        },
    ),
    "tls": TLS13,
    "findings": Found("tls1.0-enabled", "tls1.1-enabled"),
    "flags": [],
}
UPGRADED: Truth = ENCRYPTED | {
    "mode": "starttls",
    "starttls": {
        "verdict": "ok",
        "stage": "reply",
        "code": "0",
        "text": "",
        "advertised": True,
        "required": None,
        "early_bytes": None,
        "before": OUTSIDE,
        "inside": INSIDE,
    },
    # Whether a simple bind is taken in the clear, only a bind would tell.
    "clients": gets("unknown", "secure", "secure", "fails"),
}
# Not even the root DSE is to be had before TLS: confidentialityRequired.
REQUIRED: Truth = merged(
    UPGRADED,
    {
        "starttls": {"advertised": None, "required": True, "before": None},
        "clients": {"none": "refused"},
        "flags": ["unadvertised"],
    },
)
IMPLICIT: Truth = ENCRYPTED | {
    "mode": "implicit",
    "starttls": {"verdict": None, "before": None, "inside": INSIDE},
    "clients": gets("fails", "fails", "fails", "secure"),
}
# Without a certificate slapd does not list StartTLS, and does not know it: protocolError (RFC 4511 §4.14.2).
PLAIN: Truth = {
    "status": "no_tls",
    "mode": "starttls",
    "starttls": {
        "verdict": "not_offered",
        "stage": "reply",
        "code": "2",
        "text": "unsupported extended operation",
        "advertised": False,
        "required": None,
        "before": OUTSIDE | {"capabilities": EXTENSIONS},
        "inside": None,
    },
    "versions": None,
    "tls": None,
    "certificate": None,
    "findings": Found("starttls-not-offered"),
    "clients": gets("plaintext", "plaintext", "fails", "fails"),
}


def configure(tls: str, *urls: str) -> Callable[[Path, Certificates], Sequence[str | Path]]:
    """One file, and an empty directory for the database."""

    def write(directory: Path, certificates: Certificates) -> Sequence[str | Path]:
        (directory / "database").mkdir()
        files = tls.format(chain=certificates.chain_file(WEB), key=certificates.key_file(WEB))
        path = directory / "slapd.conf"
        path.write_text(CONFIGURATION.format(directory=directory, tls=files))
        return "slapd", "-f", path, "-h", " ".join(urls), "-d", "0"

    return write


SERVERS = (
    Server(
        "slapd",
        configure(WITH_TLS, "ldap://127.77.11.1:389", "ldaps://127.77.11.1:636"),
        (
            Listener("web.live.test", "127.77.11.1", 389, "ldap", UPGRADED, leaf=WEB),
            Listener("web.live.test", "127.77.11.1", 636, "ldaps", IMPLICIT, leaf=WEB),
        ),
    ),
    Server(
        "slapd-required",
        configure(WITH_TLS + "\nsecurity tls=128", "ldap://127.77.11.3:389"),
        (Listener("web.live.test", "127.77.11.3", 389, "ldap", REQUIRED, leaf=WEB),),
    ),
    Server(
        "slapd-plain",
        configure("", "ldap://127.77.11.2:389"),
        (Listener("web.live.test", "127.77.11.2", 389, "ldap", PLAIN),),
    ),
)
