"""Postfix in the configurations that tests/live leaves out: submission as people set it up, a broken key, limits that
are reached, and answers to those who are not welcome.
"""

import contextlib
import shutil
import smtplib
import ssl
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.live.certificates import MAIL, MAIL_RSA, Certificates
from tests.live.dovecot import SASL_SOCKET
from tests.live.postfix import MASTER, MODERN, ehlo
from tests.live.servers import TLS13, VERSIONS, Listener, Server, Truth, gets
from tests.live_full.truths import HOST, Like, accepted, encrypted, not_encrypted, refused

AUTHENTICATION = "dovecot-required"  # the instance that Postfix asks

MAIN_CF = """
compatibility_level = 3.6
myhostname = mail.live.test
mydestination =
mynetworks = 127.77.22.254/32
alias_maps =
alias_database =
local_recipient_maps =
maillog_file = /dev/stdout
queue_directory = {directory}/queue
data_directory = {directory}/data
smtpd_client_connection_count_limit = 0
anvil_rate_time_unit = {forgets_after_s}s
smtpd_sasl_type = dovecot
smtpd_sasl_path = {sasl_socket}
smtpd_tls_security_level = may
smtpd_tls_chain_files = {key},{chain}
smtpd_tls_CAfile = {root}
smtpd_tls_protocols = >=TLSv1.2
smtpd_tls_mandatory_protocols = >=TLSv1.2
postscreen_access_list = static:reject
postscreen_denylist_action = drop
"""
MASTER_CF = """
127.77.22.1:587 inet n - n - - smtpd
  -o smtpd_sasl_auth_enable=yes -o smtpd_tls_auth_only=yes
127.77.22.2:587 inet n - n - - smtpd
  -o smtpd_tls_security_level=encrypt -o smtpd_sasl_auth_enable=yes
127.77.22.2:25  inet n - n - - smtpd
  -o smtpd_tls_security_level=encrypt
127.77.22.3:25  inet n - n - - smtpd
  -o smtpd_discard_ehlo_keywords=starttls
127.77.22.4:25  inet n - n - - smtpd
  -o smtpd_tls_wrappermode=yes
127.77.22.4:465 inet n - n - - smtpd
127.77.22.5:587 inet n - n - - smtpd
  -o smtpd_tls_chain_files={other_key},{chain} -o smtpd_sasl_auth_enable=yes
127.77.22.6:25  inet n - n - - smtpd
  -o smtpd_client_connection_rate_limit=1
127.77.22.7:25  inet n - n - - smtpd
  -o smtpd_client_new_tls_session_rate_limit=1
127.77.22.8:25  inet n - n - 1 postscreen
127.77.22.9:25  inet n - n - - smtpd
  -o smtpd_delay_reject=no -o smtpd_client_restrictions=reject
127.77.22.10:25 inet n - n - - smtpd
  -o smtpd_delay_reject=no -o smtpd_client_restrictions=defer
127.77.22.11:25 inet n - n - - smtpd
  -o smtpd_delay_reject=no -o smtpd_helo_restrictions=reject
127.77.22.12:25 inet n - n - - smtpd
  -o smtpd_tls_security_level=encrypt -o smtpd_tls_req_ccert=yes
127.77.22.13:25 inet n - n - - smtpd
  -o smtpd_tls_ask_ccert=yes
127.77.22.14:25 inet n - n - - smtpd
  -o smtpd_client_connection_rate_limit={connections}
smtpd      pass       - - n - - smtpd
tlsproxy   unix       - - n - 0 tlsproxy
dnsblog    unix       - - n - 0 dnsblog
anvil      unix       - - n - 1 anvil
postlog    unix-dgram n - n - 1 postlogd
proxymap   unix       - - n - - proxymap
rewrite    unix       - - n - - trivial-rewrite
tlsmgr     unix       - - n 1000? 1 tlsmgr
"""

FORGETS_AFTER_S = 50  # less than the minute after which a server that spoke of load is looked at again
CONNECTIONS = 20  # more than a look makes

GO_AHEAD = ("220", "220 2.0.0 Ready to start TLS")
TOO_MANY_SESSIONS = r"454 4\.7\.0 Error: too many new TLS sessions from \S+\[127\.0\.0\.1\]"
LISTED = ehlo(starttls=True)


def text_of(ehlo: Truth) -> str:
    """The answer to EHLO as one text."""
    return " / ".join(("250 mail.live.test", *ehlo["capabilities"]))


def upgraded(none: str, *, required: bool | None = None, auth_inside: bool = False, **more: object) -> Truth:
    """The record where all goes well. `none`: what a program gets that never begins TLS."""
    starttls = accepted(*GO_AHEAD, before=LISTED, inside=ehlo(auth=auth_inside), required=required)
    return encrypted(starttls, MODERN, gets(none, "secure", "secure", "fails"), **more)


def refusing(verdict: str, code: str, text: object, before: Truth, none: str, *findings: str) -> Truth:
    """The record where the answer to STARTTLS is this one."""
    required = False if before["auth"] else None
    starttls = refused(verdict, "reply", code, text, advertised=True, required=required, before=before)
    return not_encrypted("inconclusive", starttls, gets(none, "unknown", "unknown", "fails"), *findings)


def turned_away(verdict: str, stage: str, code: str, text: object) -> Truth:
    """The record where it did not come to that."""
    return not_encrypted("inconclusive", refused(verdict, stage, code, text), gets(*("unknown",) * 3, "fails"))


HIDDEN = not_encrypted(
    "no_tls",
    refused("not_offered", "capabilities", "250", text_of(ehlo()), advertised=False, before=ehlo()),
    gets("plaintext", "plaintext", "fails", "fails"),
    "starttls-not-offered",
)
# The handshake is whole before Postfix misses the client's certificate: TLS only asks for it. Then it says 421.
ASKS_FOR_CERTIFICATE = TLS13 | {"client_certificate": "requested"}
DEMANDS_CERTIFICATE = encrypted(
    accepted(*GO_AHEAD, before=LISTED, inside=None, required=True),
    MODERN,
    gets("refused", "unknown", "unknown", "fails"),
    tls=ASKS_FOR_CERTIFICATE,
)
WRAPPED = not_encrypted(
    "mismatch",
    refused("protocol_mismatch", "greeting", hint="tls"),
    gets("fails", "fails", "fails", "unknown"),
    "wrong-mode-port",
)
NOT_REACHED: Truth = {"verdict": "unknown", "evidence": "not_reached"}
NOT_WRAPPED: Truth = not_encrypted(
    "mismatch",
    refused("protocol_mismatch", "tls"),
    gets("unknown", "unknown", "unknown", "fails"),
    "wrong-mode-port",
) | {
    "mode": "implicit",
    "starttls": None,
    "versions": dict.fromkeys(VERSIONS, NOT_REACHED)
    | {"TLSv1.2": {"verdict": "unknown", "evidence": "plaintext", "hint": "smtp"}},
    "tls": {
        "version": None,
        "error": {"verdict": "protocol_mismatch", "stage": "tls", "cause": "plaintext", "hint": "smtp"},
    },
}


def at(number: int, truth: Truth, port: int = 25, service: str = "smtp") -> Listener:
    """One of its listeners."""
    leaf = MAIL if truth["status"] == "tls" else None
    return Listener(HOST, f"127.77.22.{number}", port, service, truth, leaf=leaf)


BROKEN_KEY = at(
    5,
    refusing(
        "refused_temporary",
        "454",
        "454 4.7.0 TLS not available due to local problem",
        ehlo(starttls=True, auth=True),
        "plaintext",
        "auth-before-tls",
    ),
    587,
    "submission",
)
LIMITED = at(14, upgraded("plaintext"))
LISTENERS = (
    at(1, upgraded("refused", auth_inside=True), 587, "submission"),
    at(2, upgraded("refused", required=True, auth_inside=True), 587, "submission"),
    at(2, upgraded("refused", required=True)),
    at(3, HIDDEN),
    at(4, WRAPPED),
    at(4, NOT_WRAPPED, 465, "submissions"),
    BROKEN_KEY,
    at(
        6,
        turned_away(
            "rate_limited",
            "greeting",
            "421",
            "421 4.7.0 mail.live.test Error: too many connections from 127.0.0.1",
        ),
    ),
    at(7, refusing("rate_limited", "454", Like(TOO_MANY_SESSIONS), LISTED, "unknown")),
    at(8, turned_away("refused_session", "greeting", "521", "521 5.3.2 Service currently unavailable")),
    at(
        9,
        turned_away("refused_session", "greeting", "554", Like(r"554 5\.7\.1 .* rejected: Access denied")),
    ),
    at(
        10,
        turned_away("unavailable", "greeting", "450", Like(r"450 4\.3\.2 .* rejected: Try again later")),
    ),
    at(
        11,
        turned_away(
            "refused_session",
            "capabilities",
            "554",
            "554 5.7.1 <[127.0.0.1]>: Helo command rejected: Access denied",
        ),
    ),
    at(12, DEMANDS_CERTIFICATE),
    at(13, upgraded("plaintext", tls=ASKS_FOR_CERTIFICATE)),
    LIMITED,
)


@contextlib.contextmanager
def limits_reached() -> Iterator[None]:
    """One connection there, and one session of TLS here, are all that a client has."""
    for address, code in (("127.77.22.6", 421), ("127.77.22.7", 454)):
        reach_limit(address, code, attempts=5)
    yield


def reach_limit(address: str, code: int, attempts: int) -> None:
    """Come again and again, until it refuses us."""
    assert any(refuses(address, code) for _ in range(attempts)), f"{address} has no limit"


def refuses(address: str, code: int) -> bool:
    """Is this its greeting, or its answer to STARTTLS?"""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        with smtplib.SMTP(address, timeout=10) as client:
            client.starttls(context=context)
    except smtplib.SMTPResponseException as refusal:
        return refusal.smtp_code == code
    return False


def configure(directory: Path, certificates: Certificates) -> Sequence[str | Path]:
    """main.cf and master.cf in a directory of their own; queue and data beside them."""
    for name in ("configuration", "queue", "data"):
        (directory / name).mkdir()
    shutil.chown(directory / "data", "postfix")
    files = {
        "key": certificates.key_file(MAIL),
        "other_key": certificates.key_file(MAIL_RSA),
        "chain": certificates.chain_file(MAIL),
        "root": certificates.root,
    }
    sasl_socket = directory.parent / AUTHENTICATION / SASL_SOCKET
    main = MAIN_CF.format(directory=directory, sasl_socket=sasl_socket, forgets_after_s=FORGETS_AFTER_S, **files)
    (directory / "configuration" / "main.cf").write_text(main)
    (directory / "configuration" / "master.cf").write_text(MASTER_CF.format(connections=CONNECTIONS, **files))
    return "sh", "-c", f"postfix -c {directory}/configuration check && exec {MASTER} -c {directory}/configuration -s"


SERVERS = (Server("postfix", configure, LISTENERS, limits_reached),)
