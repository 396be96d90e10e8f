"""SSLv2 by a server of ours, since no library in a package speaks it any more; SSLv3 by tlslite-ng."""

import sys
from collections.abc import Sequence
from pathlib import Path

from tests.live.certificates import WEB_RSA, Certificates
from tests.live.servers import VERSIONS, Found, Listener, Server, Truth, alert, beyond_us, lower, speaks
from tests.live.sslv3 import OTHERS, PROGRAM
from tests.peers import sslv2_server

HOST = "web.live.test"
TLS = VERSIONS[1:]
HUNG_UP: Truth = {"evidence": "closed"}


def sslv2(number: int, name: str, options: str, truth: Truth, status: str = "tls") -> Server:
    """An instance of `tests/peers/sslv2_server.py`."""
    address = f"127.77.45.{number}"

    def configure(_: Path, certificates: Certificates) -> Sequence[str | Path]:
        program = (sys.executable, "-P", sslv2_server.__file__, address, "443")
        return *program, certificates.chain_file(WEB_RSA), *options.split()

    listener = Listener(HOST, address, 443, "tls", {"status": status} | truth)
    return Server(f"sslv2-{name}", configure, (listener,))


def spoken(cipher: str, cipher_id: str, others: Truth = HUNG_UP) -> Truth:
    """SSLv2 and nothing else; its answer is the control of the closed connections."""
    entry = {"evidence": "sslv2_server_hello", "cipher": cipher, "cipher_id": cipher_id}
    versions = speaks("SSLv2", others=dict.fromkeys(TLS, others), known={"SSLv2": entry})
    return {"versions": versions, "tls": beyond_us("SSLv2"), "findings": FINDINGS}


# The intermediate certificate has no place in a SERVER-HELLO.
FINDINGS = Found("sslv2-enabled", "no-tls1.2-or-later", "certificate-not-trusted")
RC4_KIND = ("SSL_CK_RC4_128_WITH_MD5", "0x010080")
RC4 = spoken(*RC4_KIND)

NO_KINDS: Truth = {
    "versions": speaks(
        "SSLv2",
        others=dict.fromkeys(TLS, HUNG_UP),
        known={"SSLv2": {"evidence": "sslv2_server_hello", "cipher": None, "flags": ["no_ciphers"]}},
    )
}
# An ERROR is an answer of SSLv2, and no SERVER-HELLO: nothing was agreed on, and no other hello was answered.
REFUSES_ALL: Truth = {
    "versions": {"SSLv2": {"evidence": "sslv2_error"}} | dict.fromkeys(TLS, {"verdict": "unknown"} | HUNG_UP)
}


def tlslite(number: int, highest: str, truth: Truth) -> Server:
    """SSLv3 up to this version, by the server of tests/live."""
    address = f"127.77.45.{number}"

    def configure(_: Path, certificates: Certificates) -> Sequence[str | Path]:
        files = certificates.chain_file(WEB_RSA), certificates.key_file(WEB_RSA)
        return sys.executable, "-P", PROGRAM, address, "443", highest, *files

    return Server(f"tlslite-{highest}", configure, (Listener(HOST, address, 443, "tls", {"status": "tls"} | truth),))


SERVERS = (
    sslv2(1, "all", "", RC4),
    sslv2(2, "padded", "--padding 7", RC4),
    sslv2(3, "long-header", "--padding 0 --kinds 0700c0,010080", RC4),
    sslv2(4, "export", "--kinds 020080", spoken("SSL_CK_RC4_128_EXPORT40_WITH_MD5", "0x020080")),
    sslv2(5, "alert", "--greets-tls alert", spoken(*RC4_KIND, others=alert("protocol_version"))),
    # A kind that nobody has but this server: there is no cipher in common, and SSLv2 is spoken all the same.
    sslv2(6, "no-kinds", "--kinds 123456", NO_KINDS),
    sslv2(7, "error", "--error 1", REFUSES_ALL, status="tls_failed"),
    tlslite(
        11,
        "SSLv3",
        {
            "versions": speaks("SSLv3", others=OTHERS | dict.fromkeys(TLS[1:4], lower("SSLv3"))),
            "tls": beyond_us("SSLv3"),
        },
    ),
    tlslite(
        12,
        "TLSv1.2",
        {"versions": speaks(*TLS[:4], others=OTHERS), "tls": {"version": "TLSv1.2", "error": None}},
    ),
)
