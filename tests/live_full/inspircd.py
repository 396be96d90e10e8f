"""InspIRCd: IRC with the STARTTLS command, by its GnuTLS module."""

from collections.abc import Sequence
from pathlib import Path

from tests.live.certificates import WEB, Certificates
from tests.live.servers import TLS13, Listener, Server, Truth, alert, speaks
from tests.live_full.names import Names

CONFIGURATION = """\
<server name="web.live.test" description="live" network="live" id="001">
<admin name="live" nick="live" email="live@live.test">
<pid file="{directory}/pid">
<bind address="127.77.13.1" port="6667" type="clients">
<module name="ssl_gnutls">
<module name="starttls">
<module name="cap">
<sslprofile name="default" provider="gnutls" certfile="{chain}" keyfile="{key}">
<starttls sslprofile="default">
<connect allow="*" timeout="60" resolvehostnames="no">
<log method="file" type="*" level="default" target="{directory}/inspircd.log">
<options prefixquit="">
<performance quietbursts="yes">
<security announceinvites="dynamic">
"""

# InspIRCd ends a failed handshake with a close_notify, which proves nothing to us; and its GnuTLS wants P-256 first.
CLOSED: Truth = {"verdict": "unknown"} | alert("close_notify")
P256: Truth = {"group": "secp256r1", "group_id": "0x0017"}
SAYS: Truth = {"capabilities": Names(frozenset({"tls"})), "auth": []}

UPGRADED: Truth = {
    "status": "tls",
    "mode": "starttls",
    "starttls": {
        "verdict": "ok",
        "stage": "reply",
        "code": "670",
        "text": ":web.live.test 670 * :STARTTLS successful, go ahead with TLS handshake",
        "advertised": True,
        "early_bytes": None,
        "before": SAYS,
        "inside": SAYS,
    },
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
            "TLSv1.3": {"evidence": "hello_retry_request", "flags": ["hrr"]} | P256,
        },
    ),
    "tls": TLS13 | P256,
    "flags": [],
}


def configure(directory: Path, certificates: Certificates) -> Sequence[str | Path]:
    """One file; its log and its process number stay beside it."""
    path = directory / "inspircd.conf"
    files = {"chain": certificates.chain_file(WEB), "key": certificates.key_file(WEB)}
    path.write_text(CONFIGURATION.format(directory=directory, **files))
    return "inspircd", "--nofork", "--runasroot", "--config", path


SERVERS = (Server("inspircd", configure, (Listener("web.live.test", "127.77.13.1", 6667, "irc", UPGRADED, leaf=WEB),)),)
