"""vsftpd: FTP with AUTH TLS, demanded for a login or not, FTPS, FTP without TLS, and with no room for anybody else."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from tests.live.certificates import WEB_RSA, Certificates
from tests.live.servers import TLS13, Found, Listener, Server, Truth, alert, gets, spoken_by_openssl
from tests.live_full.crowd import held
from tests.live_full.truths import not_encrypted, refused

CONFIGURATION = """\
listen=YES
listen_address={address}
listen_port={port}
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
LOGINS_IN_THE_CLEAR = WITH_TLS + "force_local_logins_ssl=NO\n"
IMPLICIT_TLS = WITH_TLS + "implicit_ssl=YES\n"
WITHOUT_TLS = "ssl_enable=NO\n"
ONE_CLIENT = WITHOUT_TLS + "max_clients=1\n"
FULL = "127.77.10.5"

# vsftpd asks OpenSSL for P-256 alone, hence the HelloRetryRequest, and for one suite of TLS 1.2: what is below finds
# none, and says so with an alert 40, whatever is offered. OpenSSL is told to ask for a client's certificate.
P256: Truth = {"group": "secp256r1", "group_id": "0x0017"}
NO_SUITE: Truth = {"verdict": "no"} | alert("handshake_failure")
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
        "required": None,  # it is or is not (force_local_logins_ssl), and only USER would tell
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
    "tls": TLS13 | P256 | {"client_certificate": "requested"},
    "findings": Found(),
    "clients": gets("unknown", "secure", "secure", "fails"),
    "flags": [],
}
IMPLICIT: Truth = OFFERED | {
    "mode": "implicit",
    "starttls": {"verdict": None, "before": None, "inside": SAYS},
    "clients": gets("fails", "fails", "fails", "secure"),
}
PLAIN = not_encrypted(
    "no_tls",
    refused(
        "not_offered",
        "reply",
        "530",
        "530 Please login with USER and PASS.",
        advertised=False,
        before={"capabilities": list(COMMANDS), "auth": []},
    ),
    gets("plaintext", "plaintext", "fails", "fails"),
    "starttls-not-offered",
)
BUSY = not_encrypted(
    "inconclusive",
    refused("rate_limited", "greeting", "421", "421 There are too many connected users, please try later."),
    gets("unknown", "unknown", "unknown", "fails"),
)


def configure(address: str, tls: str, port: int = 21) -> Callable[[Path, Certificates], Sequence[str | Path]]:
    """One file; the empty directory that vsftpd wants for its chroot is another."""

    def write(directory: Path, certificates: Certificates) -> Sequence[str | Path]:
        empty = directory / "empty"
        empty.mkdir()
        files = {"chain": certificates.chain_file(WEB_RSA), "key": certificates.key_file(WEB_RSA)}
        path = directory / "vsftpd.conf"
        path.write_text((CONFIGURATION + tls).format(address=address, port=port, directory=empty, **files))
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
    Server(
        "vsftpd-logins-in-the-clear",
        configure("127.77.10.3", LOGINS_IN_THE_CLEAR),
        (Listener("web.live.test", "127.77.10.3", 21, "ftp", OFFERED, leaf=WEB_RSA),),
    ),
    Server(
        "vsftpd-implicit",
        configure("127.77.10.4", IMPLICIT_TLS, 990),
        (Listener("web.live.test", "127.77.10.4", 990, "ftps", IMPLICIT, leaf=WEB_RSA),),
    ),
    Server(
        "vsftpd-full",
        configure(FULL, ONE_CLIENT),
        (Listener("web.live.test", FULL, 21, "ftp", BUSY),),
        partial(held, FULL, 21, 1, begins=b"220"),
    ),
)
