"""Pure-FTPd, which lists AUTH TLS also where it is switched off, as it is by default."""

from collections.abc import Sequence
from pathlib import Path

from tests.live.certificates import Certificates
from tests.live.servers import Listener, Server, gets
from tests.live_full.truths import not_encrypted, refused
from tests.live_full.unpacked import library_path, unpacked

ADDRESS = "127.77.32.1"
PROGRAM = "/usr/sbin/pure-ftpd"

FACTS = "type*;size*;sizd*;modify*;UNIX.mode*;UNIX.uid*;UNIX.gid*;unique*;"
COMMANDS = [
    *("UTF8", "EPRT", "IDLE", "MDTM", "SIZE", "MFMT", "REST STREAM", f"MLST {FACTS}", "MLSD", "PRET"),
    *("AUTH TLS", "PBSZ", "PROT", "TVFS", "ESTA", "PASV", "EPSV", "ESTP"),
]
REFUSED = not_encrypted(
    "no_tls",
    refused(
        "refused_permanent",
        "reply",
        "500",
        "500 This security scheme is not implemented",
        advertised=True,
        before={"capabilities": COMMANDS, "auth": [], "login_disabled": None},
    ),
    gets("unknown", "unknown", "fails", "fails"),
    "starttls-refused",
)


def configure(directory: Path, certificates: Certificates) -> Sequence[str | Path]:
    """No files: it reads none."""
    root = unpacked("pureftpd", directory, certificates, programs=(PROGRAM,))
    environment = f"LD_LIBRARY_PATH={library_path(root)}"
    return "env", environment, root / PROGRAM.lstrip("/"), "--bind", f"{ADDRESS},21", "--ipv4only", "--dontresolve"


SERVERS = (Server("pure-ftpd", configure, (Listener("web.live.test", ADDRESS, 21, "ftp", REFUSED),)),)
