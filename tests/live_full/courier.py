"""Courier: IMAP and POP3 by its own listener (couriertcpd), with GnuTLS. What a listener is told stands in its
environment, so that each is an instance of its own; they share a root.
"""

import subprocess
from collections.abc import Sequence
from pathlib import Path

from tests.live.certificates import MAIL_RSA, Certificates
from tests.live.servers import Found, Listener, Server, Truth, alert, gets, speaks
from tests.live_full.truths import HOST, accepted, encrypted, implicit, not_encrypted, refused
from tests.live_full.unpacked import CERTIFICATES, inside, unpacked

LIBRARY = "/usr/lib/courier/courier"
IMAPD, COURIERTLS, COURIERTCPD = "/usr/bin/imapd", "/usr/bin/couriertls", "/usr/sbin/couriertcpd"
MAILDIR = "Maildir"
IMAP = (f"{LIBRARY}/imaplogin", IMAPD, MAILDIR)
POP3 = (f"{LIBRARY}/courierpop3login", f"{LIBRARY}/courierpop3d", MAILDIR)
IMPLICIT_TLS = (COURIERTLS, "-server", "-tcpd", "-user=courier")
MAKE_TABLE = f"{LIBRARY}/makedatprog"
PROGRAMS = (COURIERTCPD, COURIERTLS, IMAPD, IMAP[0], POP3[0], POP3[1], MAKE_TABLE)

KEY_AND_CHAIN = CERTIFICATES / "courier.pem"
DENIED = "/etc/courier/denied.dat"  # a table that denies 127/8
SETTINGS = {
    "IMAP_CAPABILITY": "IMAP4rev1 UIDPLUS CHILDREN",
    "IMAP_CAPABILITY_TLS": "IMAP4rev1 UIDPLUS CHILDREN AUTH=PLAIN",
    "POP3AUTH": "",
    "POP3AUTH_TLS": "PLAIN",
    "COURIERTLS": COURIERTLS,
    "TLS_CERTFILE": str(KEY_AND_CHAIN),
    "TLS_VERIFYPEER": "NONE",
}


def courier(
    name: str,
    address: str,
    port: int,
    service: str,
    program: Sequence[str],
    truth: Truth,
    options: Sequence[str] = (),
    **settings: str,
) -> Server:
    """A listener. `program` is what it starts for each connection, and `options` are couriertcpd's."""

    def configure(directory: Path, certificates: Certificates) -> Sequence[str | Path]:
        root = shared_root(directory.parent, certificates)
        variables = (f"{setting}={value}" for setting, value in (SETTINGS | settings).items())
        tcpd = (COURIERTCPD, f"-address={address}", "-nodnslookup", "-noidentlookup", "-maxperip=40", *options)
        return "env", "-i", *variables, "/usr/sbin/chroot", root, *tcpd, str(port), *program

    leaf = MAIL_RSA if truth["status"] == "tls" else None
    return Server(name, configure, (Listener(HOST, address, port, service, truth, leaf=leaf),))


def shared_root(directory: Path, certificates: Certificates) -> Path:
    """The root of all listeners, which the first of them makes."""
    root = unpacked("courier", directory, certificates, programs=PROGRAMS, accounts=["courier"])
    pem = inside(root, str(KEY_AND_CHAIN))
    if not pem.exists():
        pem.write_bytes(certificates.key_file(MAIL_RSA).read_bytes() + certificates.chain_file(MAIL_RSA).read_bytes())
        for folder in ("cur", "new", "tmp"):
            (root / MAILDIR / folder).mkdir(parents=True)
        subprocess.run(["chroot", root, MAKE_TABLE, "-", f"{DENIED}.new", DENIED], input=b"127\tdeny\n.\n", check=True)
    return root


def imap(*more: str, login_disabled: bool = False) -> Truth:
    """What IMAP's CAPABILITY lists."""
    keywords = ["IMAP4rev1", "UIDPLUS", "CHILDREN", *more, "ENABLE", "UTF8=ACCEPT"]
    auth = ["PLAIN"] if "AUTH=PLAIN" in more else []
    return {"capabilities": keywords, "auth": auth, "login_disabled": login_disabled}


def pop3(*first: str) -> Truth:
    """What POP3's CAPA lists. USER is always among it, even where it is refused."""
    others = ["TOP", "USER", "LOGIN-DELAY 10", "PIPELINING", "UIDL", "UTF8 USER", "IMPLEMENTATION Courier Mail Server"]
    return {
        "capabilities": [*first, *others],
        "auth": ["PLAIN"] if "SASL PLAIN" in first else [],
        "login_disabled": None,
    }


IMAP_INSIDE, POP3_INSIDE = imap("AUTH=PLAIN"), pop3("SASL PLAIN")
IMAP_OK = ("OK", "t2 OK Begin SSL/TLS negotiation now.")
POP3_OK = ("+OK", "+OK Begin SSL/TLS negotiation now.")

# It ends a failed handshake with a close_notify, a no beside other hellos that it answers.
CLOSED: Truth = {"verdict": "no"} | alert("close_notify")
VERSIONS = speaks(
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
)
OLD = ("tls1.0-enabled", "tls1.1-enabled")
UNPROTECTED = ("starttls-not-offered", "login-not-disabled")


def upgraded(reply: tuple[str, str], before: Truth, inside: Truth, *findings: str, required: bool) -> Truth:
    """The record where STARTTLS goes well. Without `required` a login in plaintext is announced."""
    starttls = accepted(*reply, before=before, inside=inside, required=required)
    clients = gets("refused" if required else "plaintext", "secure", "secure", "fails")
    return encrypted(starttls, VERSIONS, clients, *OLD, *findings)


def broken(reply: tuple[str, str], before: Truth) -> Truth:
    """Without a certificate it says yes all the same, and answers the ClientHello with an alert and no ServerHello.

    Behind the alert, and perhaps in the same segment, it goes on in plaintext: "t2 NO STARTTLS failed: ...".
    """
    return encrypted(
        accepted(*reply, before=before, inside=None, required=False),
        dict.fromkeys(VERSIONS, CLOSED | {"verdict": "unknown"}),  # to everything: there is nothing beside it
        gets("plaintext", "fails", "fails", "fails"),
        status="tls_failed",
        tls={"version": None, "cipher": None, "error": {"verdict": "handshake_failed", "stage": "tls"}},
        certificate=None,
        findings=Found("login-not-disabled"),
    )


def plain(stage: str, code: str, text: str, before: Truth, *findings: str) -> Truth:
    """The record where STARTTLS is not to be had."""
    starttls = refused("not_offered", stage, code, text, advertised=False, required=False, before=before)
    clients = gets("plaintext", "plaintext", "fails", "fails")
    return not_encrypted("no_tls", starttls, clients, *findings)


CLOSED_AT_ONCE = not_encrypted(
    "inconclusive",
    refused("closed", "greeting", cause="eof"),
    gets("unknown", "unknown", "unknown", "unknown"),
    connections=2,  # on the second, a ClientHello is tried
)
UNAVAILABLE = not_encrypted(
    "inconclusive",
    refused(
        "unavailable",
        "greeting",
        "BYE",
        "* BYE [ALERT] Fatal error: No such file or directory: No such file or directory",
    ),
    gets("unknown", "unknown", "unknown", "fails"),
)
# Its greeting has two lines: the first is an alert, for it finds no file monitor.
PREAUTH = plain("greeting", "PREAUTH", "* PREAUTH Ready.", imap(), "preauth")

SERVERS = (
    courier(
        "courier-imap",
        "127.77.24.1",
        143,
        "imap",
        IMAP,
        upgraded(IMAP_OK, imap("STARTTLS"), IMAP_INSIDE, "login-not-disabled", required=False),
        IMAP_STARTTLS="YES",
    ),
    courier(
        "courier-imap-required",
        "127.77.24.2",
        143,
        "imap",
        IMAP,
        upgraded(IMAP_OK, imap("STARTTLS", "LOGINDISABLED", login_disabled=True), IMAP_INSIDE, required=True),
        IMAP_STARTTLS="YES",
        IMAP_TLS_REQUIRED="1",
    ),
    courier(
        "courier-imap-plain",
        "127.77.24.3",
        143,
        "imap",
        IMAP,
        plain("capabilities", "OK", "t1 OK CAPABILITY completed", imap(), *UNPROTECTED),
        IMAP_STARTTLS="NO",
    ),
    courier(
        "courier-imap-broken",
        "127.77.24.4",
        143,
        "imap",
        IMAP,
        broken(IMAP_OK, imap("STARTTLS")),
        IMAP_STARTTLS="YES",
        TLS_CERTFILE="/nonexistent",
    ),
    courier(
        "courier-imaps",
        "127.77.24.1",
        993,
        "imaps",
        (*IMPLICIT_TLS, *IMAP),
        implicit(IMAP_INSIDE, VERSIONS, *OLD),
        IMAP_TLS="1",
    ),
    # imapd without imaplogin before it: whoever connects is logged in as whom the environment says.
    courier(
        "courier-imap-preauth",
        "127.77.24.5",
        143,
        "imap",
        (IMAPD, MAILDIR),
        PREAUTH,
        AUTHENTICATED="nobody",
    ),
    courier(
        "courier-imap-unavailable",
        "127.77.24.6",
        143,
        "imap",
        (IMAPD, "nonexistent"),
        UNAVAILABLE,
        AUTHENTICATED="nobody",
    ),
    courier(
        "courier-imap-denied",
        "127.77.24.7",
        143,
        "imap",
        IMAP,
        CLOSED_AT_ONCE,
        options=[f"-access={DENIED}"],
    ),
    courier(
        "courier-pop3",
        "127.77.24.1",
        110,
        "pop3",
        POP3,
        upgraded(
            POP3_OK, pop3("SASL PLAIN", "STLS"), POP3_INSIDE, "auth-before-tls", "login-not-disabled", required=False
        ),
        POP3_STARTTLS="YES",
        POP3AUTH="PLAIN",
    ),
    # It answers USER with "-ERR TLS required to log in", which nobody learns who does not try.
    courier(
        "courier-pop3-required",
        "127.77.24.2",
        110,
        "pop3",
        POP3,
        upgraded(POP3_OK, pop3("STLS"), POP3_INSIDE, "login-not-disabled", required=False),
        POP3_STARTTLS="YES",
        POP3_TLS_REQUIRED="1",
    ),
    courier(
        "courier-pop3-plain",
        "127.77.24.3",
        110,
        "pop3",
        POP3,
        plain("capabilities", "+OK", "+OK Here's what I can do:", pop3(), *UNPROTECTED),
        POP3_STARTTLS="NO",
    ),
    courier(
        "courier-pop3-broken",
        "127.77.24.4",
        110,
        "pop3",
        POP3,
        broken(POP3_OK, pop3("STLS")),
        POP3_STARTTLS="YES",
        TLS_CERTFILE="/nonexistent",
    ),
    courier(
        "courier-pop3s",
        "127.77.24.1",
        995,
        "pop3s",
        (*IMPLICIT_TLS, *POP3),
        implicit(POP3_INSIDE, VERSIONS, *OLD),
        POP3_TLS="1",
    ),
)
