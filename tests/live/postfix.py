"""Postfix: one instance, whose master.cf opens a listener for each way in which SMTP meets TLS."""

import shutil
from collections.abc import Sequence
from pathlib import Path

from tests.live.certificates import EXPIRED, LEAVES, MAIL, MAIL_RSA, Certificates, Leaf
from tests.live.dovecot import OPTIONAL, SASL_SOCKET
from tests.live.servers import TLS13, Found, Listener, Server, Truth, gets, spoken_by_openssl

MASTER = "/usr/lib/postfix/sbin/master"  # where Debian has it

MAIN_CF = """
compatibility_level = 3.6
myhostname = mail.live.test
mydestination =
mynetworks = 127.77.1.254/32
alias_maps =
alias_database =
local_recipient_maps =
maillog_file = /dev/stdout
queue_directory = {directory}/queue
data_directory = {directory}/data
smtpd_client_connection_count_limit = 0
smtpd_tls_protocols = >=TLSv1.2
smtpd_tls_mandatory_protocols = >=TLSv1.2
smtpd_sasl_type = dovecot
smtpd_sasl_path = {sasl_socket}
postscreen_greet_wait = 2s
"""

MASTER_CF = """
127.77.1.1:25  inet n - n - - smtpd
  -o smtpd_tls_security_level=may {mail} -o smtpd_sasl_auth_enable=yes
127.77.1.2:25  inet n - n - - smtpd
  -o smtpd_tls_security_level=may {mail_rsa} -o smtpd_sasl_auth_enable=yes -o smtpd_tls_auth_only=yes
127.77.1.2:587 inet n - n - - smtpd
  -o smtpd_tls_security_level=encrypt {mail} -o smtpd_sasl_auth_enable=yes
127.77.1.2:465 inet n - n - - smtpd
  -o smtpd_tls_wrappermode=yes {mail} -o smtpd_sasl_auth_enable=yes
127.77.1.3:25  inet n - n - - smtpd
  -o smtpd_tls_security_level=none
127.77.1.4:25  inet n - n - - smtpd
  -o smtpd_tls_security_level=may {broken}
127.77.1.5:25  inet n - n - - smtpd
  -o smtpd_tls_security_level=may {mail_rsa} -o smtpd_tls_protocols=>=TLSv1
  -o smtpd_tls_ciphers=low -o tls_low_cipherlist=ALL:@SECLEVEL=0
127.77.1.6:25  inet n - n - 1 postscreen
  -o smtpd_tls_security_level=may {expired}
smtpd      pass       - - n - - smtpd
  -o smtpd_tls_security_level=may {expired}
tlsproxy   unix       - - n - 0 tlsproxy
  -o smtpd_tls_security_level=may {expired}
dnsblog    unix       - - n - 0 dnsblog
anvil      unix       - - n - 1 anvil
postlog    unix-dgram n - n - 1 postlogd
proxymap   unix       - - n - - proxymap
rewrite    unix       - - n - - trivial-rewrite
tlsmgr     unix       - - n 1000? 1 tlsmgr
"""
MECHANISMS = ("PLAIN", "LOGIN")
MODERN = spoken_by_openssl("TLSv1.2", "TLSv1.3")
OLD = spoken_by_openssl("TLSv1.0", "TLSv1.1", "TLSv1.2", "TLSv1.3")


def ehlo(*, starttls: bool = False, auth: bool = False) -> Truth:
    """What EHLO lists."""
    keywords = ["PIPELINING", "SIZE 10240000", "VRFY", "ETRN"]
    keywords += ["STARTTLS"] if starttls else []
    keywords += ["AUTH PLAIN LOGIN"] if auth else []
    keywords += ["ENHANCEDSTATUSCODES", "8BITMIME", "DSN", "SMTPUTF8", "CHUNKING"]
    return {"capabilities": keywords, "auth": list(MECHANISMS) if auth else [], "login_disabled": None}


def starttls(
    versions: Truth,
    *findings: str,
    auth_before: bool = False,
    auth_inside: bool = False,
    required: bool | None = None,
    session: str = "secure",
) -> Truth:
    """The record where STARTTLS goes well. What a login is to begin with, or else the mail, goes in the clear."""
    accepted: Truth = {
        "verdict": "ok",
        "stage": "reply",
        "cause": None,
        "hint": None,
        "code": "220",
        "text": "220 2.0.0 Ready to start TLS",
        "advertised": True,
        "early_bytes": None,
        "before": ehlo(starttls=True, auth=auth_before),
        "inside": ehlo(auth=auth_inside),
    }
    inside_only = required or (auth_inside and not auth_before)
    return {
        "status": "tls",
        "starttls": {**accepted, "required": False if auth_before else required},
        "versions": versions,
        "tls": TLS13,
        "findings": Found(*findings),
        "clients": gets("refused" if inside_only else "plaintext", session, session, "fails"),
    }


IMPLICIT: Truth = {
    "status": "tls",
    "starttls": {"verdict": None, "before": None, "inside": ehlo(auth=True)},
    "versions": MODERN,
    "tls": TLS13,
    "findings": Found(),
    "clients": gets("fails", "fails", "fails", "secure"),
}
NOT_OFFERED: Truth = {
    "status": "no_tls",
    "starttls": {
        "verdict": "not_offered",
        "stage": "capabilities",
        "cause": None,
        "advertised": False,
        "required": None,
        "before": ehlo(),
        "inside": None,
    },
    "versions": None,
    "tls": None,
    "certificate": None,
    "findings": Found("starttls-not-offered"),
    "clients": gets("plaintext", "plaintext", "fails", "fails"),
}
BROKEN_KEY: Truth = {
    "status": "inconclusive",
    "starttls": {
        "verdict": "refused_temporary",
        "stage": "reply",
        "cause": None,
        "code": "454",
        "text": "454 4.7.0 TLS not available due to local problem",
        "advertised": True,
        "required": None,
        "before": ehlo(starttls=True),
        "inside": None,
    },
    "versions": None,
    "tls": None,
    "certificate": None,
    "findings": Found(),
    "clients": gets("unknown", "unknown", "unknown", "fails"),  # it passes, and what is inside TLS nobody saw
    "flags": ["advertised_but_refused"],
}
LISTENERS = (
    Listener(
        "mail.live.test",
        "127.77.1.1",
        25,
        "smtp",
        starttls(MODERN, "auth-before-tls", auth_before=True, auth_inside=True),
        leaf=MAIL,
    ),
    Listener("mail.live.test", "127.77.1.2", 25, "smtp", starttls(MODERN, auth_inside=True), leaf=MAIL_RSA),
    Listener(
        "mail.live.test",
        "127.77.1.2",
        587,
        "submission",
        starttls(MODERN, auth_inside=True, required=True),  # it says so in answer to RSET
        leaf=MAIL,
    ),
    Listener("mail.live.test", "127.77.1.2", 465, "submissions", IMPLICIT, leaf=MAIL),
    Listener("mail.live.test", "127.77.1.3", 25, "smtp", NOT_OFFERED),
    Listener("mail.live.test", "127.77.1.4", 25, "smtp", BROKEN_KEY),
    Listener(
        "mx.live.test", "127.77.1.5", 25, "smtp", starttls(OLD, "tls1.0-enabled", "tls1.1-enabled"), leaf=MAIL_RSA
    ),
    # postscreen: a greeting in two parts, two seconds apart, and whoever talks between them is turned away.
    Listener(
        "expired.live.test",
        "127.77.1.6",
        25,
        "smtp",
        starttls(MODERN, "certificate-expired", session="secure_untrusted"),
        leaf=EXPIRED,
    ),
)


def configure(directory: Path, certificates: Certificates) -> Sequence[str | Path]:
    """main.cf and master.cf in a directory of their own; queue and data beside them."""
    for name in ("configuration", "queue", "data"):
        (directory / name).mkdir()
    shutil.chown(directory / "data", "postfix")
    files = {leaf.label.replace("-", "_"): _chain_option(certificates, leaf, leaf) for leaf in LEAVES}
    master = MASTER_CF.format(broken=_chain_option(certificates, MAIL, MAIL_RSA), **files)
    (directory / "configuration" / "master.cf").write_text(master)
    sasl_socket = directory.parent / OPTIONAL / SASL_SOCKET
    main = MAIN_CF.format(directory=directory, sasl_socket=sasl_socket)
    (directory / "configuration" / "main.cf").write_text(main)
    # `postfix start` would leave our process group while it starts, and be missed by a Ctrl-C at that moment. So: its
    # own check, which makes the queue's directories, and then the daemon that it would start.
    return "sh", "-c", f"postfix -c {directory}/configuration check && exec {MASTER} -c {directory}/configuration -s"


def _chain_option(certificates: Certificates, chain: Leaf, key: Leaf) -> str:
    return f"-o smtpd_tls_chain_files={certificates.key_file(key)},{certificates.chain_file(chain)}"


SERVERS = (Server("postfix", configure, LISTENERS),)
