"""ProFTPD: FTP with AUTH TLS, demanded and not, FTPS, and FTP without TLS."""

from collections.abc import Callable, Sequence
from pathlib import Path

from tests.live.certificates import WEB, Certificates
from tests.live.servers import Listener, Server, Truth, gets, spoken_by_openssl
from tests.live_full.truths import accepted, encrypted, implicit, not_encrypted, refused
from tests.live_full.unpacked import CERTIFICATES, inside, unpacked

PROGRAM, MODULE = "/usr/sbin/proftpd", "/usr/lib/proftpd/mod_tls.so"
ENCRYPTED, PLAIN = "127.77.14.1", "127.77.14.2"

CONFIGURATION = """\
ServerName live
ServerType standalone
DefaultAddress {address}
SocketBindTight on
Port 0
UseIPv6 off
UseReverseDNS off
WtmpLog off
AuthPAM off
User nobody
Group nobody
ScoreboardFile /run/{name}/scoreboard
PidFile /run/{name}/pid
DelayEngine off
"""
HOST = """\
<VirtualHost {address}>
  Port {port}
  {settings}
</VirtualHost>
"""
LOAD_TLS = "LoadModule mod_tls.c\n"
WITH_TLS = f"""\
TLSEngine on
  TLSProtocol TLSv1.2 TLSv1.3
  TLSECCertificateFile {CERTIFICATES / WEB.label}.pem
  TLSECCertificateKeyFile {CERTIFICATES / WEB.label}.key
  TLSCertificateChainFile {CERTIFICATES / "intermediate.pem"}
  TLSRequired {{required}}
  TLSOptions {{options}}"""

FACTS = "modify;UNIX.group;UNIX.mode;"
LISTED_FACTS = "modify*;perm*;size*;type*;unique*;UNIX.group*;UNIX.groupname*;UNIX.mode*;UNIX.owner*;UNIX.ownername*;"
COMMANDS = (
    *("CLNT", "CSID", "EPRT", "EPSV", "HOST", "LANG en-US*", "MDTM", f"MFF {FACTS}", "MFMT", f"MLST {LISTED_FACTS}"),
    *("RANG STREAM", "REST STREAM", "SIZE", "TVFS", "UTF8"),
)


def features(*more: str) -> Truth:
    """What FEAT lists, in order of the alphabet."""
    return {"capabilities": sorted((*COMMANDS, *more)), "auth": [], "login_disabled": None}


# It lists AUTH TLS inside TLS as well. Whether it demands TLS, only USER would tell.
SAYS = features("AUTH TLS", "CCC", "PBSZ", "PROT", "SSCN")
VERSIONS = spoken_by_openssl("TLSv1.2", "TLSv1.3")
OFFERED = encrypted(
    accepted("234", "234 AUTH TLS successful", before=SAYS, inside=SAYS, required=None),
    VERSIONS,
    gets("unknown", "secure", "secure", "fails"),
)
IMPLICIT = implicit(SAYS, VERSIONS)
NOT_OFFERED = not_encrypted(
    "no_tls",
    refused("not_offered", "reply", "500", "500 AUTH not understood", advertised=False, before=features()),
    gets("plaintext", "plaintext", "fails", "fails"),
    "starttls-not-offered",
)


def tls(required: str, options: str = "NoSessionReuseRequired") -> str:
    """Settings of a virtual host."""
    return WITH_TLS.format(required=required, options=options)


def configure(address: str, load: str, hosts: dict[int, str]) -> Callable[[Path, Certificates], Sequence[str | Path]]:
    """One file, with a virtual host for each port."""

    def write(directory: Path, certificates: Certificates) -> Sequence[str | Path]:
        root = unpacked("proftpd", directory.parent, certificates, programs=(PROGRAM, MODULE))
        text = load + CONFIGURATION.format(address=address, name=directory.name)
        for port, settings in hosts.items():
            text += HOST.format(address=address, port=port, settings=settings)
        file = f"/etc/{directory.name}.conf"
        inside(root, file).write_text(text)
        inside(root, f"/run/{directory.name}/pid").touch()
        return "chroot", root, PROGRAM, "--nodaemon", "--config", file

    return write


SERVERS = (
    Server(
        "proftpd",
        configure(ENCRYPTED, LOAD_TLS, {21: tls("off"), 990: tls("on", "UseImplicitSSL"), 2121: tls("on")}),
        (
            Listener("web.live.test", ENCRYPTED, 21, "ftp", OFFERED, leaf=WEB),
            Listener("web.live.test", ENCRYPTED, 990, "ftps", IMPLICIT, leaf=WEB),
            Listener("web.live.test", ENCRYPTED, 2121, "ftp", OFFERED, leaf=WEB),
        ),
    ),
    Server(
        "proftpd-plain",
        configure(PLAIN, "", {21: ""}),
        (Listener("web.live.test", PLAIN, 21, "ftp", NOT_OFFERED),),
    ),
)
