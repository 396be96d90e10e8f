"""ngIRCd: IRC without STARTTLS, which it passes over until it closes; and IRC inside TLS, by GnuTLS."""

from collections.abc import Sequence
from pathlib import Path

from tests.live.certificates import WEB, Certificates
from tests.live.servers import TLS13, Listener, Server, Truth, alert, speaks
from tests.live_full.truths import implicit, not_encrypted, refused
from tests.live_full.unpacked import CERTIFICATES, inside, unpacked

ADDRESS = "127.77.33.1"
PROGRAM = "/usr/sbin/ngircd"
CONFIGURATION = f"""\
[Global]
  Name = web.live.test
  Info = live
  Listen = {ADDRESS}
  Ports = 6667
  ServerUID = nobody
  ServerGID = nobody
[Limits]
  MaxConnectionsIP = 0
  PongTimeout = 5
[Options]
  DNS = no
  Ident = no
  PAM = no
[SSL]
  Ports = 6697
  CertFile = {CERTIFICATES / WEB.label}.pem
  KeyFile = {CERTIFICATES / WEB.label}.key
"""

SAYS: Truth = {"capabilities": ["multi-prefix"], "auth": [], "login_disabled": None}
NOT_OFFERED = not_encrypted(
    "no_tls",
    refused("not_offered", "reply", "CAP", ":web.live.test CAP * LS :multi-prefix", advertised=False, before=SAYS),
    None,
    "starttls-not-offered",
)
CLOSED: Truth = {"verdict": "no"} | alert("close_notify")
IMPLICIT = implicit(
    SAYS,
    speaks(
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
    "tls1.0-enabled",
    "tls1.1-enabled",
    clients=None,
    tls=TLS13 | {"client_certificate": "requested"},
)


def configure(directory: Path, certificates: Certificates) -> Sequence[str | Path]:
    """One file."""
    root = unpacked("ngircd", directory, certificates, programs=(PROGRAM,))
    inside(root, "/etc/ngircd.conf").write_text(CONFIGURATION)
    return "chroot", root, PROGRAM, "--nodaemon", "--config", "/etc/ngircd.conf"


SERVERS = (
    Server(
        "ngircd",
        configure,
        (
            Listener("web.live.test", ADDRESS, 6667, "irc", NOT_OFFERED),
            Listener("web.live.test", ADDRESS, 6697, "ircs", IMPLICIT, leaf=WEB),
        ),
    ),
)
