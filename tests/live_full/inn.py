"""INN: nnrpd, which serves readers, with STARTTLS, with TLS demanded, with implicit TLS, without a certificate, and out
of order; and innd, which serves peers, and has no TLS, but hands whoever says MODE READER over to nnrpd, or does not.
"""

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from tests.live.certificates import WEB, Certificates, Leaf
from tests.live.servers import Found, Listener, Server, Truth, gets, spoken_by_openssl
from tests.live_full.truths import accepted, encrypted, implicit, not_encrypted, refused
from tests.live_full.unpacked import CERTIFICATES, directory_of, inside, unpacked

PROGRAMS = "/usr/lib/news/bin"
ACCOUNT = "news"
PEERS, READERS, STRICT, PLAIN, BROKEN, NO_READERS = (f"127.77.17.{number}" for number in range(1, 7))

# All of them live in one root, and each has an inn.conf of its own.
CONFIGURATION = """\
domain: live.test
pathhost: web.live.test
mta: "/bin/false"
pathnews: /usr/lib/news
pathdb: /var/lib/news
pathetc: /etc/news
pathfilter: /etc/news/no-filter
pathlog: /var/log/news
pathspool: /var/spool/news
hismethod: hisv6
ovmethod: tradindexed
nnrpdloadlimit: 0
"""
OVERVIEW, NO_OVERVIEW = "enableoverview: true\n", "enableoverview: false\n"  # nnrpd does not serve without
FOR_PEERS = """\
bindaddress: {address}
bindaddress6: "::1"
port: {port}
"""
RUN = "pathrun: /run/news/{name}\n"  # two of innd would take one another for themselves
KEY = f"/etc/news/{WEB.label}.key"
WITH_TLS = f"""\
tlscertfile: {CERTIFICATES / WEB.label}.pem
tlskeyfile: {KEY}
tlsprotocols: [ TLSv1.2 TLSv1.3 ]
"""
# Who wants to read has to log in, and in the one of the two files may not do so without TLS.
ACCESS = """\
auth everybody {{
  hosts: "*"
  {tls}
  auth: "ckpasswd -f /etc/news/passwords"
}}
access everybody {{
  users: "*"
  newsgroups: "*"
}}
"""
SPOOL = ("/var/spool/news", "/var/spool/news/overview")
DIRECTORIES = ("/etc/news", "/run/news", "/var/lib/news", "/var/log/news", *SPOOL)
FILES = {
    "/etc/news/inn.conf": CONFIGURATION + OVERVIEW,
    "/etc/news/newsfeeds": "ME:!*::\n",
    "/etc/news/incoming.conf": 'peer scanner {\n  hostname: "127.0.0.1"\n}\n',
    "/etc/news/readers.conf": ACCESS.format(tls=""),
    "/etc/news/strict.conf": ACCESS.format(tls="require_encryption: true"),
    "/var/lib/news/active": "".join(f"{name} 0 1 n\n" for name in ("control", "control.cancel", "junk")),
    "/var/lib/news/newsgroups": "",
    "/var/lib/news/history": "",
}


def capabilities(*, login: bool = True, starttls: bool = True) -> Truth:
    """What nnrpd lists."""
    listed = [
        "VERSION 2",
        "IMPLEMENTATION INN 2.7.1",
        "AUTHINFO USER" if login else "AUTHINFO",
        "COMPRESS DEFLATE",
        "HDR",
        "LIST ACTIVE ACTIVE.TIMES COUNTS DISTRIB.PATS DISTRIBUTIONS HEADERS MODERATORS MOTD NEWSGROUPS OVERVIEW.FMT "
        "SUBSCRIPTIONS",
        "NEWNEWS",
        "OVER",
        "POST",
        "READER",
        *(["STARTTLS"] if starttls else []),
        "XPAT",
    ]
    return {"capabilities": listed, "auth": ["USER"] if login else [], "login_disabled": None}


GO_AHEAD = ("382", "382 Begin TLS negotiation now")
VERSIONS = spoken_by_openssl("TLSv1.2", "TLSv1.3")
INSIDE = capabilities(starttls=False)
OFFERED = encrypted(
    accepted(*GO_AHEAD, before=capabilities(), inside=INSIDE, required=False),
    VERSIONS,
    gets("plaintext", "secure", "secure", "fails"),
    "login-not-disabled",
)
DEMANDED = encrypted(
    accepted(*GO_AHEAD, before=capabilities(login=False), inside=INSIDE, required=True),
    VERSIONS,
    gets("refused", "secure", "secure", "fails"),
)
IMPLICIT = implicit(INSIDE, VERSIONS)
# It lists STARTTLS for all that, and finds no certificate when it is asked for it.
NO_CERTIFICATE = not_encrypted(
    "inconclusive",
    refused(
        "refused_temporary",
        "reply",
        "580",
        "580 Error initializing TLS",
        advertised=True,
        required=False,
        before=capabilities(),
    ),
    gets("plaintext", "unknown", "unknown", "fails"),
    "login-not-disabled",
)
SORRY = "400 NNTP server unavailable.  Try later!"
UNAVAILABLE = not_encrypted(
    "inconclusive",
    refused("unavailable", "greeting", "400", SORRY),
    gets("unknown", "unknown", "unknown", "fails"),
)
# Said in plaintext, where TLS is awaited.
UNAVAILABLE_WITHOUT_TLS: Truth = {
    "status": "inconclusive",
    "mode": "implicit",
    "starttls": None,
    "tls": {
        "version": None,
        "chain": None,
        "error": {
            "verdict": "unavailable",  # it has no certificate that it could read, and says so in plaintext
            "stage": "tls",
            "cause": "plaintext",
            "hint": None,
            "detail": SORRY + r"\r\n",
        },
    },
    "certificate": None,
    "findings": Found(),
    "clients": gets("unknown", "unknown", "unknown", "unknown"),
    "flags": [],
}
# AUTHINFO without arguments: whoever asks need not log in. There is no MODE-READER.
TRANSIT = not_encrypted(
    "no_tls",
    refused(
        "not_offered",
        "capabilities",
        "101",
        "101 Capability list:",
        advertised=False,
        before={
            "capabilities": [
                "VERSION 2",
                "IMPLEMENTATION INN 2.7.1",
                "AUTHINFO",
                "IHAVE",
                "LIST ACTIVE ACTIVE.TIMES MOTD NEWSGROUPS",
                "STREAMING",
            ],
            "auth": [],
            "login_disabled": None,
        },
    ),
    gets("plaintext", "plaintext", "fails", "fails"),
    "starttls-not-offered",
)


def root_of(directory: Path, certificates: Certificates) -> Path:
    """The root that they share: a news server that holds no news."""
    programs = [f"{PROGRAMS}/{name}" for name in ("innd", "nnrpd", "makedbz")]
    root = unpacked("inn", directory, certificates, programs=programs, libraries=["/usr/lib/news"], accounts=[ACCOUNT])
    if inside(root, KEY).exists():
        return root
    for path in DIRECTORIES:
        directory_of(root, ACCOUNT, path)
    for path, text in FILES.items():
        inside(root, path).write_text(text)
    shutil.copyfile(certificates.key_file(WEB), inside(root, KEY))
    inside(root, KEY).chmod(0o600)
    for file in (inside(root, path) for path in (*FILES, KEY)):
        owner = file.parent.stat()
        shutil.chown(file, owner.st_uid, owner.st_gid)
    subprocess.run([*as_news(root), f"{PROGRAMS}/makedbz", "-i", "-o", "-s", "100"], check=True, timeout=60)
    return root


def run_of(root: Path, name: str) -> str:
    """The line of inn.conf about a directory of its own for what it leaves there as long as it runs."""
    directory_of(root, ACCOUNT, f"/run/news/{name}")
    return RUN.format(name=name)


def as_news(root: Path) -> Sequence[str | Path]:
    """In the root, and not as its root."""
    return "chroot", f"--userspec={ACCOUNT}:{ACCOUNT}", root


def innd(name: str, listener: Listener, settings: str) -> Server:
    """The server of peers. It is told its address and its port in inn.conf."""

    def write(directory: Path, certificates: Certificates) -> Sequence[str | Path]:
        root = root_of(directory.parent, certificates)
        file = f"/etc/news/{name}-inn.conf"
        place = FOR_PEERS.format(address=listener.address, port=listener.port)
        inside(root, file).write_text(CONFIGURATION + run_of(root, name) + OVERVIEW + place + settings)
        return "env", f"INNCONF={file}", *as_news(root), f"{PROGRAMS}/innd", "-f"

    return Server(name, write, (listener,))


def nnrpd(
    name: str,
    address: str,
    service: str,
    truth: Truth,
    settings: str,
    *options: str,
    leaf: Leaf | None = None,
) -> Server:
    """A server of readers, which lays down root's privileges by itself."""
    port = 563 if service == "nntps" else 119
    more = ("-S",) if service == "nntps" else ()

    def write(directory: Path, certificates: Certificates) -> Sequence[str | Path]:
        root = root_of(directory.parent, certificates)
        file = f"/etc/news/{name}-inn.conf"
        inside(root, file).write_text(CONFIGURATION + run_of(root, name) + settings)
        command = (f"{PROGRAMS}/nnrpd", "-D", "-f", "-b", address, "-p", str(port), *more, *options)
        return "env", f"INNCONF={file}", "chroot", root, *command

    return Server(name, write, (Listener("web.live.test", address, port, service, truth, leaf=leaf),))


SERVERS = (
    innd("innd", Listener("web.live.test", PEERS, 1119, "nntp", OFFERED, leaf=WEB), WITH_TLS),
    innd("innd-no-readers", Listener("web.live.test", NO_READERS, 1120, "nntp", TRANSIT), "noreader: true\n"),
    nnrpd("nnrpd", READERS, "nntp", OFFERED, OVERVIEW + WITH_TLS, leaf=WEB),
    nnrpd("nnrpd-tls", READERS, "nntps", IMPLICIT, OVERVIEW + WITH_TLS, leaf=WEB),
    nnrpd("nnrpd-strict", STRICT, "nntp", DEMANDED, OVERVIEW + WITH_TLS, "-c", "/etc/news/strict.conf", leaf=WEB),
    nnrpd("nnrpd-no-certificate", PLAIN, "nntp", NO_CERTIFICATE, OVERVIEW),
    nnrpd("nnrpd-broken", BROKEN, "nntp", UNAVAILABLE, NO_OVERVIEW + WITH_TLS),
    nnrpd("nnrpd-tls-broken", BROKEN, "nntps", UNAVAILABLE_WITHOUT_TLS, NO_OVERVIEW + WITH_TLS),
)
