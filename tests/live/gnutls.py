"""gnutls-serv: another library than OpenSSL, and priority strings that nail down versions, suites and groups.

It has no option for the address and listens on all of them, hence ports of its own.
"""

from collections.abc import Sequence
from pathlib import Path

from tests.live.certificates import WEB, WEB_RSA, Certificates
from tests.live.servers import TLS13, VERSIONS, Listener, Server, alert, lower, speaks

ADDRESS = "127.77.4.1"


def gnutls(name: str, priority: str, listener: Listener) -> Server:
    """An instance that asks for no client certificate (by default it does)."""

    def configure(_: Path, certificates: Certificates) -> Sequence[str | Path]:
        assert listener.leaf
        options = ("--quiet", "--http", "--nodb", "--disable-client-cert", "--priority", priority)
        files = (
            *("--x509certfile", certificates.chain_file(listener.leaf)),
            *("--x509keyfile", certificates.key_file(listener.leaf)),
        )
        return "gnutls-serv", "--port", str(listener.port), *options, *files

    return Server(name, configure, (listener,))


SUITE = {"cipher": "TLS_RSA_WITH_AES_256_CBC_SHA", "cipher_id": "0x0035"}
BY_GNUTLS = dict.fromkeys(VERSIONS, alert("protocol_version"))

SERVERS = (
    gnutls(
        "gnutls-tls1.0",
        "NONE:+VERS-TLS1.0:+RSA:+AES-256-CBC:+SHA1:+COMP-NULL:+SIGN-ALL",
        Listener(
            "web.live.test",
            ADDRESS,
            20441,
            "tls",
            {
                "status": "tls",
                "versions": speaks(
                    "TLSv1.0",
                    others=BY_GNUTLS | dict.fromkeys(("TLSv1.1", "TLSv1.2", "TLSv1.3"), lower("TLSv1.0")),
                    known={"TLSv1.0": SUITE},
                ),
                "tls": TLS13 | SUITE | {"version": "TLSv1.0", "group": None, "group_id": None},
            },
            leaf=WEB_RSA,
        ),
    ),
    gnutls(
        "gnutls-tls1.2",
        "NORMAL:-VERS-ALL:+VERS-TLS1.2",
        Listener(
            "web.live.test",
            ADDRESS,
            20442,
            "tls",
            {
                "status": "tls",
                "versions": speaks("TLSv1.2", others=BY_GNUTLS | {"TLSv1.3": lower("TLSv1.2")}),
                "tls": TLS13
                | {"version": "TLSv1.2", "cipher": "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", "cipher_id": "0xc02c"},
            },
            leaf=WEB,
        ),
    ),
    # The hello shares x25519 alone, so that a HelloRetryRequest comes. GnuTLS refuses TLS 1.2 with alert 40, and what
    # is below with 70: the 40 proves nothing to us.
    gnutls(
        "gnutls-secp384r1",
        "NORMAL:-VERS-ALL:+VERS-TLS1.3:-GROUP-ALL:+GROUP-SECP384R1",
        Listener(
            "web.live.test",
            ADDRESS,
            20443,
            "https",
            {
                "status": "tls",
                "versions": speaks(
                    "TLSv1.3",
                    others=BY_GNUTLS,
                    known={
                        "TLSv1.2": {"flags": ["retry_used"]} | alert("handshake_failure"),
                        "TLSv1.3": {"evidence": "hello_retry_request", "group": "secp384r1", "group_id": "0x0018"},
                    },
                ),
                "tls": TLS13 | {"group": "secp384r1", "group_id": "0x0018"},
            },
            leaf=WEB,
        ),
    ),
)
