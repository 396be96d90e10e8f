"""OpenSMTPD, in the version that Debian 12 has: 6.8.0, which keeps the private key in a process of its own, in a way
that OpenSSL 3 does not go along with ("missing private key" in its log). So it greets, lists STARTTLS, says yes, sends
its ServerHello, and then ends every handshake: a real server with which none completes.
"""

from collections.abc import Sequence
from pathlib import Path

from tests.live.certificates import MAIL, MAIL_RSA, Certificates
from tests.live.servers import Found, Listener, Server, Truth, failed, gets, spoken_by_openssl
from tests.live_full.truths import (
    HOST,
    OLD_UNSIGNED,
    accepted,
    encrypted,
    not_encrypted,
    refused,
)
from tests.live_full.unpacked import CERTIFICATES, directory_of, inside, unpacked

CONFIGURATION = f"""\
pki mail cert "{CERTIFICATES}/{MAIL.label}.pem"
pki mail key "{CERTIFICATES}/{MAIL.label}.key"
pki rsa cert "{CERTIFICATES}/{MAIL_RSA.label}.pem"
pki rsa key "{CERTIFICATES}/{MAIL_RSA.label}.key"
table passwords file:/etc/passwords
table unwanted {{ 127.0.0.0/8 }}
filter unwanted phase connect match src <unwanted> disconnect "550 5.7.1 you are not wanted here"
listen on 127.77.21.1 port 25 tls pki mail
listen on 127.77.21.1 port 587 tls-require pki mail auth <passwords>
listen on 127.77.21.1 port 465 smtps pki rsa auth <passwords>
listen on 127.77.21.2 port 25
listen on 127.77.21.3 port 25 filter unwanted
match from any for any reject
"""


def ehlo(*, starttls: bool) -> Truth:
    """What EHLO lists. AUTH is not among it before TLS."""
    keywords = ["8BITMIME", "ENHANCEDSTATUSCODES", "SIZE 36700160", "DSN", *(["STARTTLS"] if starttls else []), "HELP"]
    return {"capabilities": keywords, "auth": [], "login_disabled": None}


VERSIONS = spoken_by_openssl("TLSv1.2", "TLSv1.3", others=OLD_UNSIGNED)
# No handshake, so no certificate by it; in TLS 1.2 it had come before the alert.
NO_HANDSHAKE: Truth = {
    "tls": failed("internal_error"),
    "findings": Found("handshake-fails"),
}
UPGRADED = encrypted(
    accepted("220", "220 2.0.0 Ready to start TLS", before=ehlo(starttls=True), inside=None, required=None),
    VERSIONS,
    gets("unknown", "fails", "fails", "fails"),
    **NO_HANDSHAKE,
)
IMPLICIT: Truth = UPGRADED | {
    "mode": "implicit",
    "starttls": None,
    "clients": gets("fails", "fails", "fails", "fails"),
}
NOT_OFFERED = not_encrypted(
    "no_tls",
    refused(
        "not_offered",
        "capabilities",
        "250",
        "250 opensmtpd.live.test Hello [127.0.0.1] [127.0.0.1], pleased to meet you / 8BITMIME / ENHANCEDSTATUSCODES"
        " / SIZE 36700160 / DSN / HELP",
        advertised=False,
        before=ehlo(starttls=False),
    ),
    gets("plaintext", "plaintext", "fails", "fails"),
    "starttls-not-offered",
)
TURNED_AWAY = not_encrypted(
    "inconclusive",
    refused("refused_session", "greeting", "550", "550 5.7.1 you are not wanted here"),
    gets("unknown", "unknown", "unknown", "fails"),
)
LISTENERS = (
    Listener(HOST, "127.77.21.1", 25, "smtp", UPGRADED, leaf=MAIL, handshake=False),
    Listener(HOST, "127.77.21.1", 587, "submission", UPGRADED, leaf=MAIL, handshake=False),
    Listener(HOST, "127.77.21.1", 465, "submissions", IMPLICIT, leaf=MAIL_RSA, handshake=False),
    Listener(HOST, "127.77.21.2", 25, "smtp", NOT_OFFERED),
    Listener(HOST, "127.77.21.3", 25, "smtp", TURNED_AWAY),
)


def configure(directory: Path, certificates: Certificates) -> Sequence[str | Path]:
    """Its own files, and the directories that it insists on."""
    accounts = "opensmtpd", "opensmtpq"
    root = unpacked("opensmtpd", directory, certificates, programs=["/usr/sbin/smtpd"], accounts=accounts)
    inside(root, "/etc/smtpd.conf").write_text(CONFIGURATION)
    inside(root, "/etc/mailname").write_text("opensmtpd.live.test\n")
    inside(root, "/etc/passwords").touch()
    for key in inside(root, str(CERTIFICATES)).glob("*.key"):
        key.chmod(0o600)  # it does not read one that others may read
    for path, mode in (("/var/spool/smtpd", 0o711), ("/var/lib/opensmtpd/empty", 0o755), ("/var/run", 0o755)):
        directory_of(root, "root", path, mode)
    return "chroot", root, "/usr/sbin/smtpd", "-d"


SERVERS = (Server("opensmtpd", configure, LISTENERS),)
