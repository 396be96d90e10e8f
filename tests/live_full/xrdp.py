"""xrdp: Remote Desktop with TLS, without, with either, and with a key that it cannot read."""

import subprocess
from pathlib import Path

from tests.live.certificates import WEB_RSA, Certificates, Leaf
from tests.live.servers import Listener, Server, Truth, spoken_by_openssl
from tests.live_full.truths import accepted, encrypted, not_encrypted, refused
from tests.live_full.unpacked import CERTIFICATES, inside, unpacked

PORT = 3389
PROGRAM, KEYGEN = "/usr/sbin/xrdp", "/usr/bin/xrdp-keygen"
LIBRARIES = "/usr/lib/*-linux-gnu/xrdp"
KEYS = "/etc/xrdp/rsakeys.ini"  # for its own encryption, that of before TLS
KEY = f"{CERTIFICATES / WEB_RSA.label}.key"

CONFIGURATION = """\
[Globals]
port=tcp://{address}:{port}
security_layer={layer}
certificate={chain}
key_file={key}
ssl_protocols=TLSv1.2, TLSv1.3
[Logging]
LogFile=/dev/null
EnableSyslog=false
EnableConsole=true
ConsoleLevel=INFO
"""

OFFERED = encrypted(
    accepted("2/1", "RDP_NEG_RSP PROTOCOL_SSL", before=None, inside=None, required=None),
    spoken_by_openssl("TLSv1.2", "TLSv1.3"),
    None,
)
NOT_OFFERED = not_encrypted(
    "no_tls",
    refused("not_offered", "reply", "2/0", "RDP_NEG_RSP PROTOCOL_RDP", advertised=False),
    None,
    "starttls-not-offered",
)
NO_CERTIFICATE = not_encrypted(
    "inconclusive",
    refused("refused_server_error", "reply", "3/3", "RDP_NEG_FAILURE SSL_CERT_NOT_ON_SERVER"),
    None,
    "starttls-refused",
)


def xrdp(name: str, address: str, layer: str, truth: Truth, *, key: str = KEY, leaf: Leaf | None = None) -> Server:
    """An instance with this `security_layer`, in the root that all of them share."""

    def configure(directory: Path, certificates: Certificates) -> tuple[str | Path, ...]:
        programs = (PROGRAM, KEYGEN, f"{LIBRARIES}/*.so")
        root = unpacked("xrdp", directory.parent, certificates, programs=programs, libraries=[LIBRARIES])
        if not inside(root, KEYS).exists():
            keygen = ("chroot", root, KEYGEN, "xrdp", KEYS)
            subprocess.run(keygen, check=True, capture_output=True, timeout=60)
        chain = f"{CERTIFICATES / WEB_RSA.label}.pem"
        file = f"/etc/xrdp/{name}.ini"
        inside(root, file).write_text(
            CONFIGURATION.format(address=address, port=PORT, layer=layer, chain=chain, key=key)
        )
        return "chroot", root, PROGRAM, "--nodaemon", "--config", file

    return Server(name, configure, (Listener("web.live.test", address, PORT, "rdp", truth, leaf=leaf),))


SERVERS = (
    xrdp("xrdp-tls", "127.77.30.1", "tls", OFFERED, leaf=WEB_RSA),
    xrdp("xrdp-either", "127.77.30.2", "negotiate", OFFERED, leaf=WEB_RSA),
    xrdp("xrdp-plain", "127.77.30.3", "rdp", NOT_OFFERED),
    xrdp("xrdp-no-key", "127.77.30.4", "tls", NO_CERTIFICATE, key="/nonexistent"),
)
