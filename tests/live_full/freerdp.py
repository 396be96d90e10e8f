"""FreeRDP's server, which shows an X display (here one that nobody sees): with network level authentication, which
follows TLS, with TLS alone, and without TLS.
"""

import shutil
from collections.abc import Sequence
from pathlib import Path

from tests.live.certificates import SECOND, Certificates, Leaf
from tests.live.servers import Listener, Server, Truth, spoken_by_openssl
from tests.live_full.truths import OLD_UNSIGNED, accepted, encrypted, not_encrypted, refused
from tests.live_full.unpacked import inside, unpacked

PORT = 3389
PROGRAM, X_SERVER, KEYMAPS = "/usr/bin/freerdp-shadow-cli", "/usr/bin/Xvfb", "/usr/bin/xkbcomp"
LIBRARIES = "/usr/lib/*-linux-gnu/libfreerdp-shadow*.so*"
DISPLAY = "77"
SOCKET = f"/tmp/.X11-unix/X{DISPLAY}"
WHEN_IT_IS_THERE = 'until [ -S "$0" ]; do sleep 0.05; done; exec "$@"'

# It presents a certificate without what is above it, hence one that the root has signed; and it has an RSA key.
LEAF = SECOND
VERSIONS = spoken_by_openssl("TLSv1.2", "TLSv1.3", others=OLD_UNSIGNED)


def offered(code: str, protocol: str) -> Truth:
    """TLS, under this name."""
    starttls = accepted(code, f"RDP_NEG_RSP {protocol}", before=None, inside=None, required=None)
    return encrypted(starttls, VERSIONS, None)


NOT_ALLOWED = not_encrypted(
    "no_tls",
    refused("not_offered", "reply", "3/2", "RDP_NEG_FAILURE SSL_NOT_ALLOWED_BY_SERVER", advertised=False),
    None,
    "starttls-not-offered",
)


def root_of(directory: Path, certificates: Certificates) -> Path:
    """The root that all of them share. The X server has its keymaps compiled by way of a shell."""
    programs = (PROGRAM, LIBRARIES, X_SERVER, KEYMAPS)
    root = unpacked("freerdp", directory, certificates, programs=programs)
    if not inside(root, "/bin/sh").exists():
        shutil.copy2("/bin/sh", inside(root, "/bin/sh"))
        inside(root, SOCKET).parent.chmod(0o1777)
    return root


def configure_display(directory: Path, certificates: Certificates) -> Sequence[str | Path]:
    """An X server that draws into memory."""
    root = root_of(directory.parent, certificates)
    screen = ("-screen", "0", "640x480x24")
    return "chroot", root, X_SERVER, f":{DISPLAY}", *screen, "-nolisten", "tcp", "-noreset"


def freerdp(address: str, security: str, truth: Truth, leaf: Leaf | None = None) -> Server:
    """An instance with this `/sec`, and a home where it finds its certificate."""

    def configure(directory: Path, certificates: Certificates) -> Sequence[str | Path]:
        root = root_of(directory.parent, certificates)
        home = f"/home/{security}"
        kept = f"{home}/.config/freerdp/shadow/shadow"
        shutil.copyfile(certificates.chain_file(LEAF), inside(root, f"{kept}.crt"))
        shutil.copyfile(certificates.key_file(LEAF), inside(root, f"{kept}.key"))
        inside(root, f"{home}/accounts").write_text("nobody:::00000000000000000000000000000000:::\n")
        options = (f"/bind-address:{address}", f"/port:{PORT}", f"/sec:{security}", f"/sam-file:{home}/accounts")
        environment = ("env", f"HOME={home}", f"DISPLAY=:{DISPLAY}")
        socket = root / SOCKET.lstrip("/")
        return "sh", "-c", WHEN_IT_IS_THERE, socket, *environment, "chroot", root, PROGRAM, *options

    listener = Listener(LEAF.names[0], address, PORT, "rdp", truth, leaf=leaf)
    return Server(f"freerdp-{security}", configure, (listener,))


SERVERS = (
    Server("freerdp-display", configure_display, ()),
    freerdp("127.77.31.1", "nla", offered("2/2", "PROTOCOL_HYBRID"), leaf=LEAF),
    freerdp("127.77.31.2", "tls", offered("2/1", "PROTOCOL_SSL"), leaf=LEAF),
    freerdp("127.77.31.3", "rdp", NOT_ALLOWED),
)
