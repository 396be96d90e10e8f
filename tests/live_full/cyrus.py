"""Cyrus: IMAP, POP3, Sieve and LMTP, with TLS demanded before a login, with it optional, with a key that is not the
certificate's, and without TLS.
"""

from collections.abc import Sequence
from pathlib import Path

from tests.live.certificates import MAIL, MAIL_RSA, Certificates
from tests.live.servers import TLS13, Listener, Server, Truth, gets, merged, spoken_by_openssl
from tests.live_full.names import Names
from tests.live_full.truths import (
    HOST,
    OLD_UNSIGNED,
    Like,
    accepted,
    encrypted,
    implicit,
    not_encrypted,
    refused,
)
from tests.live_full.unpacked import CERTIFICATES, directory_of, inside, unpacked

BIN = "/usr/lib/cyrus/bin"
PROGRAMS = (f"{BIN}/master", f"{BIN}/ctl_cyrusdb", f"{BIN}/*d", "/usr/lib/*/sasl2/*.so")
OPTIONAL, BROKEN, PLAIN = "/etc/optional.conf", "/etc/broken.conf", "/etc/plain.conf"

# Every port of 127.77.25.1 demands TLS; .2, .3 and .4 have a file of their own.
MASTER_CONF = f"""\
START {{
  recover cmd="ctl_cyrusdb -r"
}}
SERVICES {{
  imap cmd="imapd" listen="127.77.25.1:143"
  imaps cmd="imapd -s" listen="127.77.25.1:993"
  pop3 cmd="pop3d" listen="127.77.25.1:110"
  pop3s cmd="pop3d -s" listen="127.77.25.1:995"
  sieve cmd="timsieved" listen="127.77.25.1:4190"
  lmtp cmd="lmtpd" listen="127.77.25.1:24"
  imap2 cmd="imapd -C {OPTIONAL}" listen="127.77.25.2:143"
  pop32 cmd="pop3d -C {OPTIONAL}" listen="127.77.25.2:110"
  sieve2 cmd="timsieved -C {OPTIONAL}" listen="127.77.25.2:4190"
  imap3 cmd="imapd -C {BROKEN}" listen="127.77.25.3:143"
  pop33 cmd="pop3d -C {BROKEN}" listen="127.77.25.3:110"
  sieve3 cmd="timsieved -C {BROKEN}" listen="127.77.25.3:4190"
  lmtp3 cmd="lmtpd -C {BROKEN}" listen="127.77.25.3:24"
  imap4 cmd="imapd -C {PLAIN}" listen="127.77.25.4:143"
  pop34 cmd="pop3d -C {PLAIN}" listen="127.77.25.4:110"
  sieve4 cmd="timsieved -C {PLAIN}" listen="127.77.25.4:4190"
  lmtp4 cmd="lmtpd -C {PLAIN}" listen="127.77.25.4:24"
}}
"""
IMAPD_CONF = """\
configdirectory: /var/lib/cyrus
partition-default: /var/spool/cyrus
defaultpartition: default
servername: mail.live.test
sasl_mech_list: PLAIN LOGIN
allowplaintext: {plaintext}
allowapop: {apop}
"""
WITH_TLS = """\
tls_server_cert: {certificate}
tls_server_key: {key}
"""
ZONES = "CH\t+4723+00832\tEurope/Zurich\n"  # it does not start without a list of time zones
DIRECTORIES = (
    *(f"/var/lib/cyrus{name}" for name in ("", "/db", "/proc", "/socket")),
    *("/var/spool/cyrus", "/run/cyrus"),
)

MECHANISMS = ["PLAIN", "LOGIN"]
# IMAP's greeting is short, and says LOGINDISABLED where that is so; else CAPABILITY is asked, and is long.
IMAP = ("IMAP4rev1", "LITERAL+", "ID", "ENABLE")
IMAP_AUTH = ("AUTH=PLAIN", "AUTH=LOGIN", "SASL-IR")
IMAP_ALL = frozenset({*IMAP, *IMAP_AUTH, "ACL", "CONDSTORE", "IDLE", "MOVE", "NAMESPACE", "QRESYNC", "UIDPLUS"})
POP3 = ("EXPIRE NEVER", "LOGIN-DELAY 0", "TOP", "UIDL", "PIPELINING", "RESP-CODES", "AUTH-RESP-CODE")
VERSION = r"3\.\d+\.\d+-Debian-\S+"


def imap(*more: str, login_disabled: bool = False) -> Truth:
    """What IMAP's CAPABILITY lists where it is short."""
    auth = MECHANISMS if "AUTH=PLAIN" in more else []
    return {"capabilities": [*IMAP, *more], "auth": auth, "login_disabled": login_disabled}


def pop3(*, stls: bool = False, login: bool = False) -> Truth:
    """What POP3's CAPA lists."""
    capabilities = [
        *(["SASL PLAIN LOGIN"] if login else []),
        *(["STLS"] if stls else []),
        *POP3,
        *(["USER"] if login else []),
        Like(f"IMPLEMENTATION Cyrus POP3 {VERSION}"),
    ]
    return {"capabilities": capabilities, "auth": MECHANISMS if login else [], "login_disabled": None}


def sieve(*, starttls: bool = False, login: bool = False) -> Truth:
    """The capabilities of Sieve."""
    capabilities = [
        Like(f"IMPLEMENTATION Cyrus timsieved {VERSION}"),
        "VERSION 1.0",
        "SASL PLAIN LOGIN" if login else "SASL",
        Like("SIEVE .*fileinto reject .*"),
        "NOTIFY mailto",
        "EXTLISTS urn:ietf:params:sieve:addrbook",
        *(["STARTTLS"] if starttls else []),
        "UNAUTHENTICATE",
    ]
    return {"capabilities": capabilities, "auth": MECHANISMS if login else [], "login_disabled": None}


def lmtp(*, starttls: bool = False, login: bool = False) -> Truth:
    """What LHLO lists; its last line is none of RFC 5321's keywords."""
    capabilities = [
        *("8BITMIME", "ENHANCEDSTATUSCODES", "PIPELINING", "SIZE"),
        *(["STARTTLS"] if starttls else []),
        *(["AUTH PLAIN LOGIN"] if login else []),
        *("IGNOREQUOTA", Like("Ok SESSIONID=<.*>")),
    ]
    return {"capabilities": capabilities, "auth": MECHANISMS if login else [], "login_disabled": None}


IMAP_INSIDE: Truth = {
    "capabilities": Names(IMAP_ALL, absent=frozenset({"STARTTLS", "LOGINDISABLED"})),
    "auth": MECHANISMS,
    "login_disabled": False,
}
DISABLED = imap("STARTTLS", "LOGINDISABLED", login_disabled=True)
IMAP_OK = ("OK", "t2 OK Begin TLS negotiation now")
POP3_OK = ("+OK", "+OK Begin TLS negotiation now")
SIEVE_OK = ("OK", 'OK "Begin TLS negotiation now"')
LMTP_OK = ("220", "220 Begin TLS negotiation now")

# It takes P-256 and nothing else, hence the HelloRetryRequest.
P256: Truth = {"group": "secp256r1", "group_id": "0x0017"}
VERSIONS = merged(
    spoken_by_openssl("TLSv1.2", "TLSv1.3", others=OLD_UNSIGNED),
    {"TLSv1.3": {"evidence": "hello_retry_request", "flags": ["hrr"]} | P256},
)
BY_P256: Truth = {"tls": TLS13 | P256}


def upgraded(
    reply: tuple[str, str], before: Truth, inside: Truth, clear: str | None, *findings: str, required: bool | None
) -> Truth:
    """The record where all goes well. `clear`: what a program without TLS gets, where there are such programs."""
    starttls = accepted(*reply, before=before, inside=inside, required=required)
    clients = gets(clear, "secure", "secure", "fails") if clear else None
    return encrypted(starttls, VERSIONS, clients, *findings, **BY_P256)


def plain(stage: str, code: str, text: object, before: Truth, *findings: str, clients: bool = True) -> Truth:
    """The record where there is no TLS."""
    starttls = refused("not_offered", stage, code, text, advertised=False, required=False, before=before)
    words = gets("plaintext", "plaintext", "fails", "fails") if clients else None
    return not_encrypted("no_tls", starttls, words, "starttls-not-offered", "auth-before-tls", *findings)


def broken(status: str, verdict: str, code: str, text: str, before: Truth, **more: object) -> Truth:
    """The record where the key does not fit the certificate: four protocols have four ways to say so."""
    required: bool | None = True
    clients: Truth | None = gets("refused", "unknown", "unknown", "fails")
    findings = ["starttls-refused"]
    if verdict == "refused_permanent":
        clients = gets("refused", "refused", "fails", "fails")
    if verdict == "refused_temporary":
        required, clients, findings = None, None, []
    starttls = refused(verdict, "reply", code, text, advertised=True, required=required, before=before)
    return not_encrypted(status, starttls, clients, *findings, **more)


DEMANDED: dict[tuple[int, str], Truth] = {
    (143, "imap"): upgraded(IMAP_OK, DISABLED, IMAP_INSIDE, "refused", required=True),
    (993, "imaps"): implicit(IMAP_INSIDE, VERSIONS, **BY_P256),
    (110, "pop3"): upgraded(POP3_OK, pop3(stls=True), pop3(login=True), "refused", required=True),
    (995, "pop3s"): implicit(pop3(login=True), VERSIONS, **BY_P256),
    (4190, "sieve"): upgraded(SIEVE_OK, sieve(starttls=True), sieve(login=True), "refused", required=True),
    (24, "lmtp"): upgraded(LMTP_OK, lmtp(starttls=True), lmtp(login=True), None, required=None),
}
LOGIN_ANYWHERE: dict[tuple[int, str], Truth] = {
    (143, "imap"): upgraded(
        IMAP_OK,
        IMAP_INSIDE | {"capabilities": Names(IMAP_ALL | {"STARTTLS"}, absent=frozenset({"LOGINDISABLED"}))},
        IMAP_INSIDE,
        "plaintext",
        "auth-before-tls",
        "login-not-disabled",
        required=False,
    ),
    (110, "pop3"): upgraded(
        POP3_OK,
        pop3(stls=True, login=True),
        pop3(login=True),
        "plaintext",
        "auth-before-tls",
        "login-not-disabled",
        required=False,
    ),
    (4190, "sieve"): upgraded(
        SIEVE_OK,
        sieve(starttls=True, login=True),
        sieve(login=True),
        "plaintext",
        "auth-before-tls",
        required=False,
    ),
}
KEY_BROKEN: dict[tuple[int, str], Truth] = {
    (143, "imap"): broken("inconclusive", "refused_server_error", "NO", "t2 NO Error initializing TLS", DISABLED),
    (110, "pop3"): broken(
        "no_tls", "refused_permanent", "-ERR", "-ERR [SYS/PERM] Error initializing TLS", pop3(stls=True)
    ),
    (4190, "sieve"): broken(
        "inconclusive", "refused_server_error", "NO", 'NO "Error initializing TLS"', sieve(starttls=True)
    ),
    (24, "lmtp"): broken(
        "inconclusive", "refused_temporary", "454", "454 4.3.3 Error initializing TLS", lmtp(starttls=True)
    ),
}
WITHOUT_TLS: dict[tuple[int, str], Truth] = {
    (143, "imap"): plain("capabilities", "OK", "t1 OK Completed", IMAP_INSIDE, "login-not-disabled"),
    (110, "pop3"): plain(
        "capabilities", "+OK", "+OK List of capabilities follows", pop3(login=True), "login-not-disabled"
    ),
    (4190, "sieve"): plain("greeting", "OK", "OK", sieve(login=True)),
    (24, "lmtp"): plain("capabilities", "250", Like("250 mail.live.test / .*"), lmtp(login=True), clients=False),
}
LISTENERS = tuple(
    Listener(HOST, f"127.77.25.{number}", port, service, truth, leaf=MAIL if truth["status"] == "tls" else None)
    for number, truths in enumerate((DEMANDED, LOGIN_ANYWHERE, KEY_BROKEN, WITHOUT_TLS), 1)
    for (port, service), truth in truths.items()
)


def configure(directory: Path, certificates: Certificates) -> Sequence[str | Path]:
    """A file for each way to do it, and the directories that it does not make itself."""
    root = unpacked("cyrus", directory, certificates, programs=PROGRAMS, accounts=["cyrus"])
    good = WITH_TLS.format(certificate=CERTIFICATES / f"{MAIL.label}.pem", key=CERTIFICATES / f"{MAIL.label}.key")
    bad = WITH_TLS.format(certificate=CERTIFICATES / f"{MAIL.label}.pem", key=CERTIFICATES / f"{MAIL_RSA.label}.key")
    disabled, enabled = IMAPD_CONF.format(plaintext="no", apop="no"), IMAPD_CONF.format(plaintext="yes", apop="yes")
    inside(root, "/etc/cyrus.conf").write_text(MASTER_CONF)
    inside(root, "/etc/imapd.conf").write_text(disabled + good)
    inside(root, OPTIONAL).write_text(enabled + good)
    inside(root, BROKEN).write_text(disabled + bad)
    inside(root, PLAIN).write_text(enabled)
    inside(root, "/usr/share/zoneinfo/zone.tab").write_text(ZONES)
    for path in DIRECTORIES:
        directory_of(root, "cyrus", path)
    return "chroot", root, f"{BIN}/master", "-D"


SERVERS = (Server("cyrus", configure, LISTENERS),)
