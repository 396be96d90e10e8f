"""tlslite-ng, in Python: the only one of these servers that still speaks SSLv3, and a strict reader of hellos."""

import sys
from collections.abc import Sequence
from pathlib import Path

from tests.live.certificates import WEB_RSA, Certificates
from tests.live.servers import TLS13, VERSIONS, Found, Listener, Server, alert, beyond_us, lower, speaks

PROGRAM = Path(__file__).with_name("sslv3_server.py")


def tlslite(name: str, highest: str, listener: Listener) -> Server:
    """An instance that speaks SSLv3 up to the highest version."""

    def configure(_: Path, certificates: Certificates) -> Sequence[str | Path]:
        assert listener.leaf
        files = certificates.chain_file(listener.leaf), certificates.key_file(listener.leaf)
        return sys.executable, "-P", PROGRAM, listener.address, str(listener.port), highest, *files

    return Server(name, configure, (listener,))


OTHERS = {
    "SSLv2": alert("protocol_version"),
    "TLSv1.3": alert("protocol_version"),  # it looks for its own version in `supported_versions`
}
NEWER = ("TLSv1.0", "TLSv1.1", "TLSv1.2")

SERVERS = (
    tlslite(
        "sslv3-only",
        "SSLv3",
        Listener(
            "web.live.test",
            "127.77.6.1",
            443,
            "https",
            {
                "status": "tls",
                "versions": speaks("SSLv3", others=OTHERS | dict.fromkeys(NEWER, lower("SSLv3"))),
                "tls": beyond_us("SSLv3"),
                "findings": Found("sslv3-enabled", "no-tls1.2-or-later"),
            },
            leaf=WEB_RSA,
            handshake=False,
        ),
    ),
    tlslite(
        "sslv3-and-tls1.0",
        "TLSv1.0",
        Listener(
            "web.live.test",
            "127.77.6.2",
            443,
            "tls",
            {
                "status": "tls",
                "versions": speaks("SSLv3", "TLSv1.0", others=OTHERS | dict.fromkeys(NEWER, lower("TLSv1.0"))),
                "tls": {"version": "TLSv1.0", "client_certificate": "none", "error": None},
            },
            leaf=WEB_RSA,
        ),
    ),
    # In a hello that offers TLS 1.3 alone it objects to groups that RFC 8446 §4.2.7 says MUST NOT be offered there.
    tlslite(
        "sslv3-to-tls1.3",
        "TLSv1.3",
        Listener(
            "web.live.test",
            "127.77.6.3",
            443,
            "tls",
            {
                "status": "tls",
                "versions": speaks(*VERSIONS[1:], others=OTHERS),
                "tls": TLS13 | {"group": "x25519", "group_id": "0x001d"},
            },
            leaf=WEB_RSA,
        ),
    ),
)
