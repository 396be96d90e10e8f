"""Dovecot: IMAP and POP3, with TLS demanded before a login, with it optional, and without TLS.

It holds a connection from its own address for safe and lets it log in without TLS. The scanner comes from 127.0.0.1,
the listeners are at other addresses, so that is no matter here.
"""

from collections.abc import Sequence
from pathlib import Path

from tests.live.certificates import MAIL, MAIL_RSA, Certificates, Leaf
from tests.live.servers import TLS13, VERSIONS, Found, Listener, Server, Truth, gets, spoken_by_openssl

SASL_SOCKET = "auth-for-postfix"  # in the directory of the instance called "dovecot-optional"

CONFIGURATION = """
base_dir = {directory}/run
state_dir = {directory}/state
instance_name = {name}
log_path = /dev/stderr
protocols = imap pop3
listen = {address}
auth_mechanisms = plain login
passdb {{
  driver = static
  args = nopassword=y
}}
userdb {{
  driver = static
  args = uid=nobody gid=nogroup home={directory}/mail
}}
service auth {{
  unix_listener {directory}/{socket} {{
    mode = 0666
  }}
}}
service imap-login {{
  inet_listener imaps {{
    port = {imaps_port}
  }}
}}
service pop3-login {{
  inet_listener pop3s {{
    port = {pop3s_port}
  }}
}}
"""
WITH_TLS = """
ssl = yes
ssl_cert = <{chain}
ssl_key = <{key}
ssl_min_protocol = {minimum}
ssl_cipher_list = {ciphers}
"""


def dovecot(
    name: str,
    address: str,
    settings: str,
    *listeners: Listener,
    leaf: Leaf | None = None,
    minimum: str = "TLSv1.2",
    ciphers: str = "DEFAULT",
) -> Server:
    """An instance at this address; without a leaf it has no TLS."""

    def configure(directory: Path, certificates: Certificates) -> Sequence[str | Path]:
        text = CONFIGURATION.format(
            directory=directory,
            name=name,
            address=address,
            socket=SASL_SOCKET,
            imaps_port=993 if leaf else 0,
            pop3s_port=995 if leaf else 0,
        )
        text += "ssl = no\n"
        if leaf:
            text += WITH_TLS.format(
                chain=certificates.chain_file(leaf), key=certificates.key_file(leaf), minimum=minimum, ciphers=ciphers
            )
        file = directory / "dovecot.conf"
        file.write_text(text + settings)
        return "dovecot", "-F", "-c", file

    return Server(name, configure, listeners)


OPTIONAL = "dovecot-optional"
MECHANISMS = ("PLAIN", "LOGIN")
IMAP = ("IMAP4rev1", "SASL-IR", "LOGIN-REFERRALS", "ID", "ENABLE", "IDLE", "LITERAL+")
POP3 = ("CAPA", "TOP", "UIDL", "RESP-CODES", "PIPELINING", "AUTH-RESP-CODE")
TRUST_ONLY_TLS = "disable_plaintext_auth = yes\n"
TRUST_ANYBODY = "disable_plaintext_auth = no\n"

# It closes the connection of whoever asks for a version that is switched off, without an alert.
CLOSED: Truth = {version: {"evidence": "closed"} for version in VERSIONS}
MODERN = spoken_by_openssl("TLSv1.2", "TLSv1.3", others=CLOSED)
OLD = spoken_by_openssl("TLSv1.0", "TLSv1.1", "TLSv1.2", "TLSv1.3", others=CLOSED)


def imap(*more: str, login_disabled: bool = False) -> Truth:
    """What IMAP's CAPABILITY lists."""
    auth = () if login_disabled else MECHANISMS
    keywords = [*IMAP, *more, *(f"AUTH={name}" for name in auth)]
    return {"capabilities": keywords, "auth": list(auth), "login_disabled": login_disabled}


def pop3(*more: str, login_disabled: bool = False) -> Truth:
    """What POP3's CAPA lists. That login is disabled has no word of its own here."""
    logins = ["SASL"] if login_disabled else ["USER", "SASL PLAIN LOGIN"]
    auth = [] if login_disabled else list(MECHANISMS)
    return {"capabilities": [*POP3, *more, *logins], "auth": auth, "login_disabled": None}


def offered(before: Truth, inside: Truth, *, required: bool, **reply: object) -> Truth:
    """`starttls` where all goes well."""
    accepted = {"verdict": "ok", "stage": "reply", "cause": None, "hint": None, "advertised": True, "early_bytes": None}
    return accepted | {"required": required, "before": before, "inside": inside} | reply


IN_THE_CLEAR = ("auth-before-tls", "login-not-disabled")


def not_offered(before: Truth) -> Truth:
    """The whole record where there is no TLS."""
    return {
        "status": "no_tls",
        "starttls": {
            "verdict": "not_offered",
            "stage": "capabilities",
            "cause": None,
            "advertised": False,
            "required": False,
            "before": before,
            "inside": None,
        },
        "versions": None,
        "tls": None,
        "certificate": None,
        "findings": Found("starttls-not-offered", *IN_THE_CLEAR),
        "clients": gets("plaintext", "plaintext", "fails", "fails"),
    }


LOGIN_DISABLED: Truth = {"findings": Found(), "clients": gets("refused", "secure", "secure", "fails")}
LOGIN_ALLOWED: Truth = {
    "findings": Found("tls1.0-enabled", "tls1.1-enabled", *IN_THE_CLEAR),
    "clients": gets("plaintext", "secure", "secure", "fails"),
}
FROM_THE_FIRST_BYTE: Truth = {"findings": Found(), "clients": gets("fails", "fails", "fails", "secure")}
IMAP_OK = {"code": "OK"}
POP3_OK = {"code": "+OK", "text": "+OK Begin TLS negotiation now."}
REQUIRED = (
    Listener(
        "mail.live.test",
        "127.77.2.1",
        143,
        "imap",
        {
            "status": "tls",
            "starttls": offered(
                imap("STARTTLS", "LOGINDISABLED", login_disabled=True), imap(), required=True, **IMAP_OK
            ),
            "versions": MODERN,
            "tls": TLS13,
            **LOGIN_DISABLED,
        },
        leaf=MAIL,
    ),
    Listener(
        "mail.live.test",
        "127.77.2.1",
        993,
        "imaps",
        {
            "status": "tls",
            "starttls": {"verdict": None, "inside": imap()},
            "versions": MODERN,
            "tls": TLS13,
            **FROM_THE_FIRST_BYTE,
        },
        leaf=MAIL,
    ),
    Listener(
        "mail.live.test",
        "127.77.2.1",
        110,
        "pop3",
        {
            "status": "tls",
            "starttls": offered(pop3("STLS", login_disabled=True), pop3(), required=True, **POP3_OK),
            "versions": MODERN,
            "tls": TLS13,
            **LOGIN_DISABLED,
        },
        leaf=MAIL,
    ),
    Listener(
        "mail.live.test",
        "127.77.2.1",
        995,
        "pop3s",
        {
            "status": "tls",
            "starttls": {"verdict": None, "inside": pop3()},
            "versions": MODERN,
            "tls": TLS13,
            **FROM_THE_FIRST_BYTE,
        },
        leaf=MAIL,
    ),
)
ALLOWED = (
    Listener(
        "mx.live.test",
        "127.77.2.2",
        143,
        "imap",
        {
            "status": "tls",
            "starttls": offered(imap("STARTTLS"), imap(), required=False, **IMAP_OK),
            "versions": OLD,
            "tls": TLS13,
            **LOGIN_ALLOWED,
        },
        leaf=MAIL_RSA,
    ),
    Listener(
        "mx.live.test",
        "127.77.2.2",
        110,
        "pop3",
        {
            "status": "tls",
            "starttls": offered(pop3("STLS"), pop3(), required=False, **POP3_OK),
            "versions": OLD,
            "tls": TLS13,
            **LOGIN_ALLOWED,
        },
        leaf=MAIL_RSA,
    ),
)
WITHOUT_TLS = (
    Listener("mail.live.test", "127.77.2.3", 143, "imap", not_offered(imap())),
    Listener("mail.live.test", "127.77.2.3", 110, "pop3", not_offered(pop3())),
)

SERVERS = (
    dovecot("dovecot-required", "127.77.2.1", TRUST_ONLY_TLS, *REQUIRED, leaf=MAIL),
    dovecot(OPTIONAL, "127.77.2.2", TRUST_ANYBODY, *ALLOWED, leaf=MAIL_RSA, minimum="TLSv1", ciphers="ALL:@SECLEVEL=0"),
    dovecot("dovecot-plain", "127.77.2.3", TRUST_ANYBODY, *WITHOUT_TLS),
)
