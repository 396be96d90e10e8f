"""Exim, with GnuTLS as Debian builds it. One instance does all by the address that it is called at; what it answers
stands in its access control lists. Another has no room for anybody.
"""

from collections.abc import Sequence
from pathlib import Path

from tests.live.certificates import EXPIRED, MAIL, Certificates, Leaf
from tests.live.servers import Listener, Server, Truth, alert, gets, speaks
from tests.live_full.truths import HOST, accepted, encrypted, implicit, not_encrypted, refused
from tests.live_full.unpacked import CERTIFICATES, directory_of, inside, unpacked

COMMON = """\
primary_hostname = exim.live.test
smtp_banner = exim.live.test ESMTP
log_file_path = /log/%slog
spool_directory = /spool
pid_file_path =
keep_environment =
host_lookup =
rfc1413_hosts =
daemon_smtp_ports = 25
"""
BUSY = """\
local_interfaces = 127.77.20.30
smtp_accept_max = 1
smtp_accept_reserve = 1
smtp_reserve_hosts = 192.0.2.1
"""
# {{AT n}} stands for "if it was called at 127.77.20.n". Its `defer` answers 451, its `deny` 550, unless the message
# begins with another code.
CONFIGURATION = """\
local_interfaces = <; {interfaces}
smtp_accept_max = 0
tls_on_connect_ports = 465
tls_advertise_hosts = ${{if {at[3]}{{}}{{*}}}}
tls_certificate = ${{if {at[7]}{{/nonexistent}}{{${{if {at[15]}{{{expired}.pem}}{{{mail}.pem}}}}}}}}
tls_privatekey = ${{if {at[15]}{{{expired}.key}}{{{mail}.key}}}}
acl_smtp_connect = connect
acl_smtp_helo = helo
acl_smtp_starttls = starttls

begin acl

connect:
  deny    condition = ${{if {at[8]}}}
          message = 554 5.7.1 You are on a list
  defer   condition = ${{if {at[9]}}}
          message = 421 4.3.2 Come back tomorrow
  accept  condition = ${{if {at[11]}}}
          delay = 45s
  accept

helo:
  deny    condition = ${{if {at[13]}}}
          message = I do not like this name
  accept

starttls:
  deny    condition = ${{if {at[4]}}}
          message = 550 5.7.1 TLS is not for you
  deny    condition = ${{if {at[5]}}}
          message = 554 5.5.1 Not here
  deny    condition = ${{if {at[10]}}}
  defer   condition = ${{if {at[6]}}}
  accept  condition = ${{if {at[12]}}}
          delay = 35s
  accept

begin authenticators

plain:
  driver = plaintext
  public_name = PLAIN
  server_prompts = :
  server_condition = false
  server_advertise_condition = ${{if or{{ {{{at[2]}}} {{def:tls_in_cipher}} }}}}

login:
  driver = plaintext
  public_name = LOGIN
  server_prompts = User: : Password:
  server_condition = false
  server_advertise_condition = ${{if or{{ {{{at[2]}}} {{def:tls_in_cipher}} }}}}
"""


def ehlo(*, starttls: bool = True, auth: bool = False) -> Truth:
    """What EHLO lists."""
    keywords = ["SIZE 52428800", "8BITMIME", "PIPELINING", "PIPECONNECT"]
    keywords += ["AUTH PLAIN LOGIN"] if auth else []
    keywords += ["CHUNKING"]
    keywords += ["STARTTLS"] if starttls else []
    keywords += ["SMTPUTF8", "HELP"]
    return {"capabilities": keywords, "auth": ["PLAIN", "LOGIN"] if auth else [], "login_disabled": None}


def text_of(ehlo: Truth) -> str:
    """The answer to EHLO as one text; our name in it is the address literal."""
    return " / ".join(("250 exim.live.test Hello [127.0.0.1] [127.0.0.1]", *ehlo["capabilities"]))


INSIDE = ehlo(starttls=False, auth=True)
VERSIONS = speaks(
    "TLSv1.0",
    "TLSv1.1",
    "TLSv1.2",
    "TLSv1.3",
    others={"SSLv2": alert("protocol_version"), "SSLv3": alert("protocol_version")},
    known={
        "TLSv1.0": {"flags": ["tls12_hint"]},
        "TLSv1.1": {"flags": ["tls12_hint"]},
        "TLSv1.2": {"flags": ["tls13_hint"]},
        "TLSv1.3": {"group": "x25519", "group_id": "0x001d"},
    },
)
OLD = ("tls1.0-enabled", "tls1.1-enabled")
GO_AHEAD = ("220", "220 TLS go ahead")
REFUSED_OR_NOT = gets("unknown", "unknown", "unknown", "fails")


def at(number: int, truth: Truth, *, port: int = 25, service: str = "smtp", leaf: Leaf | None = None) -> Listener:
    """One of its listeners."""
    host = leaf.names[0] if leaf else HOST
    return Listener(host, f"127.77.20.{number}", port, service, truth, leaf=leaf)


def refusing(status: str, verdict: str, code: str, text: str, *findings: str, clients: Truth = REFUSED_OR_NOT) -> Truth:
    """The record where the answer to STARTTLS is this one."""
    starttls = refused(verdict, "reply", code, text, advertised=True, before=ehlo())
    return not_encrypted(status, starttls, clients, *findings)


def turned_away(verdict: str, stage: str, code: str, text: str) -> Truth:
    """The record where it did not come to that."""
    return not_encrypted("inconclusive", refused(verdict, stage, code, text), REFUSED_OR_NOT)


TLS_INSIDE_ONLY = encrypted(
    accepted(*GO_AHEAD, before=ehlo(), inside=INSIDE, required=None),
    VERSIONS,
    gets("refused", "secure", "secure", "fails"),
    *OLD,
)
LOGIN_ANYWHERE = encrypted(
    accepted(*GO_AHEAD, before=ehlo(auth=True), inside=INSIDE, required=False),
    VERSIONS,
    gets("plaintext", "secure", "secure", "fails"),
    "auth-before-tls",
    *OLD,
)
CERTIFICATE_EXPIRED = encrypted(
    accepted(*GO_AHEAD, before=ehlo(), inside=INSIDE, required=None),
    VERSIONS,
    gets("refused", "secure_untrusted", "secure_untrusted", "fails"),
    "certificate-expired",
    *OLD,
)
NOT_OFFERED = not_encrypted(
    "no_tls",
    refused(
        "not_offered",
        "capabilities",
        "250",
        text_of(ehlo(starttls=False)),
        advertised=False,
        before=ehlo(starttls=False),
    ),
    gets("plaintext", "plaintext", "fails", "fails"),
    "starttls-not-offered",
)
SILENT_GREETING = not_encrypted(
    "inconclusive",
    refused("timeout", "greeting", cause="timeout"),
    gets("unknown", "unknown", "unknown", "unknown"),
)
SILENT_STARTTLS = not_encrypted(
    "inconclusive",
    refused("timeout", "reply", "250", text_of(ehlo()), cause="timeout", advertised=True, before=ehlo()),
    REFUSED_OR_NOT,
)

LISTENERS = (
    at(1, TLS_INSIDE_ONLY, leaf=MAIL),
    at(2, LOGIN_ANYWHERE, leaf=MAIL),
    at(2, implicit(INSIDE, VERSIONS, *OLD), port=465, service="submissions", leaf=MAIL),
    at(3, NOT_OFFERED),
    at(4, refusing("inconclusive", "refused_policy", "550", "550 5.7.1 TLS is not for you", "starttls-refused")),
    at(
        5,
        refusing(
            "no_tls",
            "refused_permanent",
            "554",
            "554 5.5.1 Not here",
            "starttls-refused",
            clients=gets("unknown", "unknown", "fails", "fails"),
        ),
    ),
    at(6, refusing("inconclusive", "refused_temporary", "451", "451 Temporary local problem - please try later")),
    at(7, refusing("inconclusive", "refused_temporary", "454", "454 TLS currently unavailable")),
    at(8, turned_away("refused_session", "greeting", "554", "554 5.7.1 You are on a list")),
    at(9, turned_away("unavailable", "greeting", "421", "421 4.3.2 Come back tomorrow")),
    at(10, refusing("inconclusive", "refused_policy", "550", "550 Administrative prohibition", "starttls-refused")),
    at(11, SILENT_GREETING),
    at(12, SILENT_STARTTLS),
    at(13, turned_away("refused_session", "capabilities", "550", "550 I do not like this name")),
    at(15, CERTIFICATE_EXPIRED, leaf=EXPIRED),
)
NO_ROOM = turned_away(
    "rate_limited",
    "greeting",
    "421",
    "421 exim.live.test: Too many concurrent SMTP connections; please try again later",
)


def configure(directory: Path, certificates: Certificates) -> Sequence[str | Path]:
    """One file, for the addresses of all listeners."""
    text = CONFIGURATION.format(
        interfaces="; ".join(f"{listener.address}.{listener.port}" for listener in LISTENERS),
        at=[f"eq{{$received_ip_address}}{{127.77.20.{number}}}" for number in range(16)],
        mail=CERTIFICATES / MAIL.label,
        expired=CERTIFICATES / EXPIRED.label,
    )
    return started(directory, certificates, text)


def configure_busy(directory: Path, certificates: Certificates) -> Sequence[str | Path]:
    """One connection may be there, and that one is reserved for somebody else."""
    return started(directory, certificates, BUSY)


def started(directory: Path, certificates: Certificates, text: str) -> Sequence[str | Path]:
    """An instance with this configuration, in a root of its own."""
    root = unpacked("exim", directory, certificates, programs=["/usr/sbin/exim4"], accounts=["Debian-exim"])
    inside(root, "/exim.conf").write_text(COMMON + text)
    for path in ("/spool", "/log"):
        directory_of(root, "Debian-exim", path)
    return "chroot", root, "/usr/sbin/exim4", "-C", "/exim.conf", "-bdf"


SERVERS = (
    Server("exim", configure, LISTENERS),
    Server("exim-busy", configure_busy, (at(30, NO_ROOM),)),
)
