"""vsftpd: FTP with AUTH TLS, and without."""

from collections.abc import Callable, Sequence
from pathlib import Path

from tests.live.certificates import WEB_RSA, Certificates
from tests.live.servers import TLS13, Listener, Server, Truth, alert, spoken_by_openssl

CONFIGURATION = """\
listen=YES
listen_address={address}
listen_port=21
background=NO
anonymous_enable=YES
local_enable=YES
secure_chroot_dir={directory}
"""
WITH_TLS = """\
ssl_enable=YES
rsa_cert_file={chain}
rsa_private_key_file={key}
"""
WITHOUT_TLS = "ssl_enable=NO\n"

# vsftpd asks OpenSSL for P-256 alone, hence the HelloRetryRequest, and for one suite of TLS 1.2: what is below finds
# none, and says so with an alert 40, which proves nothing to us.
P256: Truth = {"group": "secp256r1", "group_id": "0x0017"}
NO_SUITE: Truth = {"verdict": "unknown"} | alert("handshake_failure")
COMMANDS = ("EPRT", "EPSV", "MDTM", "PASV", "REST STREAM", "SIZE", "TVFS")
SAYS: Truth = {"capabilities": sorted((*COMMANDS, "AUTH TLS", "PBSZ", "PROT")), "auth": []}

OFFERED: Truth = {
    "status": "tls",
    "mode": "starttls",
    "starttls": {
        "verdict": "ok",
        "stage": "reply",
        "code": "234",
        "text": "234 Proceed with negotiation.",
        "advertised": True,
        "early_bytes": None,
        "before": SAYS,
        "inside": SAYS,
    },
    "versions": spoken_by_openssl(
        "TLSv1.2",
        "TLSv1.3",
        known={
            "TLSv1.0": NO_SUITE,
            "TLSv1.1": NO_SUITE,
            "TLSv1.2": {"cipher": "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384", "cipher_id": "0xc030"},
            "TLSv1.3": {"evidence": "hello_retry_request", "flags": ["hrr"]} | P256,
        },
    ),
    "tls": TLS13 | P256,
    "flags": [],
}
PLAIN: Truth = {
    "status": "no_tls",
    "mode": "starttls",
    "starttls": {
        "verdict": "not_offered",
        "code": "530",
        "advertised": False,
        "before": {"capabilities": list(COMMANDS), "auth": []},
        "inside": None,
    },
    "versions": None,
    "tls": None,
    "certificate": None,
}


def configure(address: str, tls: str) -> Callable[[Path, Certificates], Sequence[str | Path]]:
    """One file; the empty directory that vsftpd wants for its chroot is another."""

    def write(directory: Path, certificates: Certificates) -> Sequence[str | Path]:
        empty = directory / "empty"
        empty.mkdir()
        files = {"chain": certificates.chain_file(WEB_RSA), "key": certificates.key_file(WEB_RSA)}
        path = directory / "vsftpd.conf"
        path.write_text((CONFIGURATION + tls).format(address=address, directory=empty, **files))
        return "vsftpd", path

    return write


SERVERS = (
    Server(
        "vsftpd",
        configure("127.77.10.1", WITH_TLS),
        (Listener("web.live.test", "127.77.10.1", 21, "ftp", OFFERED, leaf=WEB_RSA),),
    ),
    Server(
        "vsftpd-plain",
        configure("127.77.10.2", WITHOUT_TLS),
        (Listener("web.live.test", "127.77.10.2", 21, "ftp", PLAIN),),
    ),
)
