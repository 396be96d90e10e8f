"""openssl s_server: one version at a time, one suite at a time, and client certificates.

It serves one connection after the other: a peer that keeps a connection open keeps the next one waiting.
"""

from collections.abc import Sequence
from pathlib import Path

from tests.live.certificates import SELF_SIGNED, WEB, WEB_RSA, Certificates, Issuer
from tests.live.servers import (
    BY_OPENSSL,
    TLS13,
    Listener,
    Server,
    alert,
    failed,
    lower,
    merged,
    spoken_by_openssl,
)


def openssl(name: str, options: Sequence[str], listener: Listener) -> Server:
    """An instance with these options of s_server; `-www` makes it answer HTTP instead of reading its standard input."""

    def configure(_: Path, certificates: Certificates) -> Sequence[str | Path]:
        assert listener.leaf
        files = (
            *("-cert", certificates.chain_file(listener.leaf)),
            *(("-cert_chain", certificates.intermediate) if listener.leaf.issuer is Issuer.INTERMEDIATE else ()),
            *("-key", certificates.key_file(listener.leaf)),
            *("-CAfile", certificates.root),
        )
        accept = ("-accept", f"{listener.address}:{listener.port}")
        return "openssl", "s_server", "-www", "-quiet", *accept, *files, *options

    return Server(name, configure, (listener,))


SUITE = {"cipher": "TLS_RSA_WITH_AES_128_CBC_SHA", "cipher_id": "0x002f"}
GCM = {"cipher": "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", "cipher_id": "0xc02f"}
CHACHA = {"cipher": "TLS_CHACHA20_POLY1305_SHA256", "cipher_id": "0x1303"}
MODERN = spoken_by_openssl("TLSv1.2", "TLSv1.3")
# Debian's OpenSSL takes TLS 1.0 for allowed unless it is told a lowest version, and then finds no signature algorithm
# for it at its security level 2. An alert 80 says little, and a hello for suites without signatures meets the same.
UNSIGNED = {"flags": ["retry_used"]} | alert("internal_error")
UNTOLD = merged(MODERN, {"TLSv1.0": UNSIGNED, "TLSv1.1": UNSIGNED})

SERVERS = (
    openssl(
        "openssl-tls1.2-rsa",
        ["-tls1_2", "-cipher", "ECDHE-RSA-AES128-GCM-SHA256"],
        Listener(
            "web.live.test",
            "127.77.5.1",
            443,
            "https",
            {
                "status": "tls",
                "versions": spoken_by_openssl("TLSv1.2", known={"TLSv1.2": GCM}),
                "tls": TLS13 | {"version": "TLSv1.2"} | GCM,
            },
            leaf=WEB_RSA,
        ),
    ),
    openssl(
        "openssl-tls1.3-only",
        ["-tls1_3", "-ciphersuites", "TLS_CHACHA20_POLY1305_SHA256"],
        Listener(
            "web.live.test",
            "127.77.5.2",
            443,
            "tls",
            {
                "status": "tls",
                "versions": spoken_by_openssl("TLSv1.3", known={"TLSv1.3": CHACHA}),
                "tls": TLS13 | CHACHA,
            },
            leaf=WEB,
        ),
    ),
    openssl(
        "openssl-old-only",
        ["-min_protocol", "TLSv1", "-max_protocol", "TLSv1.1", "-cipher", "AES128-SHA:@SECLEVEL=0"],
        Listener(
            "web.live.test",
            "127.77.5.3",
            443,
            "https",
            {
                "status": "tls",
                "versions": spoken_by_openssl(
                    "TLSv1.0",
                    "TLSv1.1",
                    others=BY_OPENSSL | {"TLSv1.2": lower("TLSv1.1")},
                    known=dict.fromkeys(("TLSv1.0", "TLSv1.1"), SUITE),
                ),
                "tls": TLS13 | SUITE | {"version": "TLSv1.1", "group": None, "group_id": None},
            },
            leaf=WEB_RSA,
        ),
    ),
    openssl(
        "openssl-asks-for-certificate",
        ["-min_protocol", "TLSv1.2", "-verify", "2"],
        Listener(
            "web.live.test",
            "127.77.5.4",
            443,
            "https",
            {"status": "tls", "versions": MODERN, "tls": TLS13 | {"client_certificate": "requested"}},
            leaf=WEB,
        ),
    ),
    # In TLS 1.3 the handshake is over when the server finds that the client sent no certificate (RFC 8446 §4.4.2.4) ...
    openssl(
        "openssl-requires-certificate",
        ["-min_protocol", "TLSv1.2", "-Verify", "2"],
        Listener(
            "web.live.test",
            "127.77.5.5",
            443,
            "https",
            {
                "status": "tls",
                "versions": MODERN,
                "tls": {"version": "TLSv1.3", "client_certificate": "required"},
            },
            leaf=WEB,
        ),
    ),
    # ... in TLS 1.2 it fails.
    openssl(
        "openssl-requires-certificate-tls1.2",
        ["-tls1_2", "-Verify", "2"],
        Listener(
            "web.live.test",
            "127.77.5.6",
            443,
            "https",
            {
                "status": "tls",
                "versions": spoken_by_openssl("TLSv1.2"),
                "tls": merged(failed("handshake_failure"), {"client_certificate": "required"}),
            },
            leaf=WEB,
            handshake=False,
        ),
    ),
    openssl(
        "openssl-self-signed",
        [],
        Listener(None, "127.77.5.7", 443, "tls", {"status": "tls", "versions": UNTOLD, "tls": TLS13}, leaf=SELF_SIGNED),
    ),
)
