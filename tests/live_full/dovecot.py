"""Dovecot: Sieve and LMTP, as tests/live has IMAP and POP3; and what may go wrong with any of them.

Who comes from the server's own address, or from a network that it trusts, need not have TLS: there a scanner sees
another server than the rest of the world does.
"""

from collections.abc import Sequence
from pathlib import Path

from tests.live.certificates import MAIL, MAIL_RSA, Certificates, Leaf
from tests.live.dovecot import CLOSED, MODERN, SASL_SOCKET, TRUST_ANYBODY, TRUST_ONLY_TLS, imap, pop3
from tests.live.servers import VERSIONS, Listener, Server, Truth, gets
from tests.live_full.truths import HOST, Like, accepted, encrypted, not_encrypted, refused

CONFIGURATION = """
base_dir = {directory}/run
state_dir = {directory}/state
instance_name = {name}
log_path = /dev/stderr
listen = {address}
hostname = dovecot.live.test
protocols = imap pop3 sieve lmtp
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
  inet_listener imap {{
    port = {imap}
  }}
  inet_listener imaps {{
    port = {imaps}
  }}
}}
service pop3-login {{
  inet_listener pop3 {{
    port = {pop3}
  }}
  inet_listener pop3s {{
    port = 0
  }}
}}
service managesieve-login {{
  inet_listener sieve {{
    port = {sieve}
  }}
}}
service lmtp {{
  inet_listener lmtp {{
    port = {lmtp}
  }}
}}
"""
CERTIFICATE = """
ssl_cert = <{chain}
ssl_key = <{key}
"""
PORTS = {"imap": 143, "imaps": 0, "pop3": 110, "sieve": 4190, "lmtp": 24}
ODD_PORTS = {"imap": 20143, "imaps": 0, "pop3": 20110, "sieve": 24190, "lmtp": 20024}  # 127.0.0.1 is everybody's

MECHANISMS = ["PLAIN", "LOGIN"]
LMTP = ("8BITMIME", "CHUNKING", "ENHANCEDSTATUSCODES", "PIPELINING")


def dovecot(
    name: str,
    address: str,
    settings: str,
    *listeners: Listener,
    key: Leaf | None = MAIL,
    ports: dict[str, int] = PORTS,
) -> Server:
    """An instance. Its certificate is always the same; without a key it has none."""

    def configure(directory: Path, certificates: Certificates) -> Sequence[str | Path]:
        text = CONFIGURATION.format(directory=directory, name=name, address=address, socket=SASL_SOCKET, **ports)
        if key:
            text += CERTIFICATE.format(chain=certificates.chain_file(MAIL), key=certificates.key_file(key))
        file = directory / "dovecot.conf"
        file.write_text(text + settings)
        return "dovecot", "-F", "-c", file

    return Server(name, configure, listeners)


def sieve(*, starttls: bool = False, login: bool = False, trusted: bool = False) -> Truth:
    """The capabilities of Sieve."""
    capabilities = [
        Like("IMPLEMENTATION Dovecot .*Pigeonhole"),
        Like("SIEVE fileinto reject .*"),
        "NOTIFY mailto",
        "SASL PLAIN LOGIN" if login else "SASL",
        *(["STARTTLS"] if starttls else []),
        "VERSION 1.0",
        *(["XCLIENT"] if trusted else []),
    ]
    return {"capabilities": capabilities, "auth": MECHANISMS if login else [], "login_disabled": None}


def lmtp(*more: str) -> Truth:
    """What LHLO lists. Nobody logs in here."""
    return {"capabilities": [*LMTP, *more], "auth": [], "login_disabled": None}


REPLIES = {
    "imap": ("OK", "t2 OK Begin TLS negotiation now."),
    "pop3": ("+OK", "+OK Begin TLS negotiation now."),
    "sieve": ("OK", 'OK "Begin TLS negotiation now."'),
    "lmtp": ("220", "220 2.0.0 Begin TLS negotiation now."),
}
INSIDE = {"imap": imap(), "pop3": pop3(), "sieve": sieve(login=True), "lmtp": lmtp()}
AFTER_LOGIN_IS_OFFERED = {
    "imap": ("auth-before-tls", "login-not-disabled"),
    "pop3": ("auth-before-tls", "login-not-disabled"),
    "sieve": ("auth-before-tls",),
    "lmtp": (),
}
LAST_WORDS = {
    "imap": ("capabilities", "OK", "t1 OK Pre-login capabilities listed, post-login capabilities have more."),
    "pop3": ("capabilities", "+OK", "+OK"),
    "sieve": ("greeting", "OK", Like('OK "Dovecot .*ready."')),
    "lmtp": ("capabilities", "250", " / ".join(("250 dovecot.live.test", *LMTP))),
}


def demanded(service: str, before: Truth) -> Truth:
    """The record where nobody logs in before TLS. LMTP has no logins to disable."""
    is_lmtp = service == "lmtp"
    starttls = accepted(*REPLIES[service], before=before, inside=INSIDE[service], required=None if is_lmtp else True)
    return encrypted(starttls, MODERN, None if is_lmtp else gets("refused", "secure", "secure", "fails"))


def optional(service: str, before: Truth, inside: Truth | None = None) -> Truth:
    """The record where a login is offered before TLS as well."""
    starttls = accepted(*REPLIES[service], before=before, inside=inside or INSIDE[service], required=False)
    clients = gets("plaintext", "secure", "secure", "fails")
    return encrypted(starttls, MODERN, clients, *AFTER_LOGIN_IS_OFFERED[service])


def plain(service: str, before: Truth, *findings: str, required: bool | None) -> Truth:
    """The record where there is no TLS. Where it is required all the same, nobody gets in."""
    starttls = refused("not_offered", *LAST_WORDS[service], advertised=False, required=required, before=before)
    clear = "refused" if required else "plaintext"
    clients = None if service == "lmtp" else gets(clear, clear, "fails", "fails")
    return not_encrypted("no_tls", starttls, clients, "starttls-not-offered", *findings)


def broken(service: str, before: Truth) -> Truth:
    """With a key that is not the certificate's it says yes, and then closes. One look does not tell what that is."""
    is_lmtp = service == "lmtp"
    code, text = REPLIES[service]
    return encrypted(
        refused(
            "accepted_no_tls",
            "tls",
            code,
            text,
            cause="closed",
            advertised=True,
            required=None if is_lmtp else True,
            before=before,
        ),
        {version: {"verdict": "unknown"} | evidence for version, evidence in CLOSED.items()},
        None if is_lmtp else gets("refused", "unknown", "unknown", "fails"),
        status="inconclusive",
        tls={"version": None, "certificate_from": None, "error": {"verdict": "closed", "stage": "tls", "cause": "eof"}},
        certificate=None,
    )


def mistaken(
    hint: str,
    text: object,
    *,
    stage: str = "greeting",
    code: str | None = None,
    ssl_tls: str = "fails",
    **more: object,
) -> Truth:
    """The record of a port that speaks something else than it was asked for."""
    starttls = refused("protocol_mismatch", stage, code, text, hint=hint)
    return not_encrypted("mismatch", starttls, gets("fails", "fails", "fails", ssl_tls), "wrong-mode-port", **more)


NOT_REACHED: Truth = {"verdict": "unknown", "evidence": "not_reached"}
MISTAKEN_FOR_IMPLICIT: Truth = mistaken("imap", None) | {
    "mode": "implicit",
    "starttls": None,
    "versions": dict.fromkeys(VERSIONS, NOT_REACHED)
    | {"TLSv1.2": {"verdict": "unknown", "evidence": "plaintext", "hint": "imap"}},
    "tls": {
        "version": None,
        "error": {"verdict": "protocol_mismatch", "stage": "tls", "cause": "plaintext", "hint": "imap"},
    },
    "clients": gets("unknown", "unknown", "unknown", "fails"),
}


def listener(
    address: str, service: str, truth: Truth, *, ports: dict[str, int] = PORTS, port: int | None = None
) -> Listener:
    """A listener at the service's port, or at another's."""
    leaf = MAIL if truth["status"] == "tls" else None
    return Listener(HOST, address, port or ports[service], service, truth, leaf=leaf)


IMAP_DISABLED = imap("STARTTLS", "LOGINDISABLED", login_disabled=True)
POP3_DISABLED = pop3("STLS", login_disabled=True)
POP3_USER_ALONE = {"capabilities": [*POP3_DISABLED["capabilities"][:-1], "USER", "SASL"], "auth": []}

REQUIRED = (
    listener("127.77.23.1", "sieve", demanded("sieve", sieve(starttls=True))),
    listener("127.77.23.1", "lmtp", demanded("lmtp", lmtp("STARTTLS"))),
)
ALLOWED = (listener("127.77.23.2", "sieve", optional("sieve", sieve(starttls=True, login=True))),)
WITHOUT_TLS = (
    listener("127.77.23.3", "sieve", plain("sieve", sieve(login=True), "auth-before-tls", required=False)),
    listener("127.77.23.3", "lmtp", plain("lmtp", lmtp(), required=None)),
)
TRUSTING = (
    listener("127.77.23.4", "imap", optional("imap", imap("STARTTLS"))),
    listener("127.77.23.4", "pop3", optional("pop3", pop3("STLS"))),
    listener(
        "127.77.23.4",
        "sieve",
        optional("sieve", sieve(starttls=True, login=True, trusted=True), sieve(login=True, trusted=True)),
    ),
)
KEY_BROKEN = (
    listener("127.77.23.5", "imap", broken("imap", IMAP_DISABLED)),
    listener("127.77.23.5", "pop3", broken("pop3", POP3_DISABLED)),
    listener("127.77.23.5", "sieve", broken("sieve", sieve(starttls=True))),
    listener("127.77.23.5", "lmtp", broken("lmtp", lmtp("STARTTLS"))),
)
# "ssl = required" is stronger than "disable_plaintext_auth = no"; but POP3 goes on to list USER, which it refuses.
OVERRULED = (
    listener("127.77.23.6", "imap", demanded("imap", IMAP_DISABLED)),
    listener(
        "127.77.23.6",
        "pop3",
        encrypted(
            accepted(*REPLIES["pop3"], before=POP3_USER_ALONE, inside=pop3(), required=False),
            MODERN,
            gets("plaintext", "secure", "secure", "fails"),
            "login-not-disabled",
        ),
    ),
    listener("127.77.23.6", "sieve", demanded("sieve", sieve(starttls=True))),
)
LOCKED = (
    listener(
        "127.77.23.7",
        "imap",
        plain("imap", imap("LOGINDISABLED", login_disabled=True), required=True),
    ),
    listener("127.77.23.7", "pop3", plain("pop3", pop3(login_disabled=True), required=True)),
    listener("127.77.23.7", "sieve", plain("sieve", sieve(), required=True)),
)
OWN_ADDRESS = (
    listener("127.0.0.1", "imap", optional("imap", imap("STARTTLS")), ports=ODD_PORTS),
    listener("127.0.0.1", "pop3", optional("pop3", pop3("STLS")), ports=ODD_PORTS),
    listener("127.0.0.1", "sieve", optional("sieve", sieve(starttls=True, login=True)), ports=ODD_PORTS),
)
IMAP_GREETING = r"\* OK \[CAPABILITY IMAP4rev1 .*"
MISTAKEN = (
    listener("127.77.23.1", "pop3", mistaken("imap", Like(IMAP_GREETING)), port=143),
    listener("127.77.23.1", "sieve", mistaken("imap", Like(IMAP_GREETING)), port=143),
    listener("127.77.23.1", "imap", mistaken("pop3", Like(r"\+OK Dovecot .*")), port=110),
    listener("127.77.23.1", "smtp", mistaken("pop3", Like(r"\+OK Dovecot .*")), port=110),
    listener("127.77.23.1", "imap", mistaken("sieve", Like('"IMPLEMENTATION" "Dovecot .*"')), port=4190),
    # It waits for a ClientHello and says nothing, until we give up and send one.
    listener("127.77.23.1", "imap", mistaken("tls", None, ssl_tls="unknown"), port=993),
    # The greetings are alike; EHLO and HELO are not known, and LHLO is.
    listener(
        "127.77.23.1",
        "smtp",
        mistaken(
            "lmtp",
            " / ".join(("250 dovecot.live.test", *LMTP, "STARTTLS")),
            stage="capabilities",
            code="250",
            flags=["ehlo_unsupported"],
        ),
        port=24,
    ),
    listener("127.77.23.1", "imaps", MISTAKEN_FOR_IMPLICIT, port=143),
)

SERVERS = (
    dovecot(
        "dovecot-required",
        "127.77.23.1",
        f"ssl = yes\n{TRUST_ONLY_TLS}",
        *REQUIRED,
        *MISTAKEN,
        ports=PORTS | {"imaps": 993},
    ),
    dovecot("dovecot-optional", "127.77.23.2", f"ssl = yes\n{TRUST_ANYBODY}", *ALLOWED),
    dovecot("dovecot-plain", "127.77.23.3", f"ssl = no\n{TRUST_ANYBODY}", *WITHOUT_TLS, key=None),
    dovecot(
        "dovecot-trusting",
        "127.77.23.4",
        f"ssl = yes\n{TRUST_ONLY_TLS}login_trusted_networks = 127.0.0.0/8\n",
        *TRUSTING,
    ),
    dovecot("dovecot-broken", "127.77.23.5", f"ssl = yes\n{TRUST_ONLY_TLS}", *KEY_BROKEN, key=MAIL_RSA),
    dovecot("dovecot-overruled", "127.77.23.6", f"ssl = required\n{TRUST_ANYBODY}", *OVERRULED),
    dovecot("dovecot-locked", "127.77.23.7", f"ssl = no\n{TRUST_ONLY_TLS}", *LOCKED, key=None),
    dovecot("dovecot-own", "127.0.0.1", f"ssl = yes\n{TRUST_ONLY_TLS}", *OWN_ADDRESS, ports=ODD_PORTS),
)
