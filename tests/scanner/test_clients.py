"""Facts → what each setting of a mail program gets: the tables at the head of scanner/clients.py, line by line."""

from dataclasses import dataclass, replace

import pytest

from scanner.clients import Gets, clients_of
from scanner.conclusion import conclude
from scanner.looks import Look
from scanner.outcome import Outcome, Stage, Verdict
from scanner.starttls.result import Capabilities, Inside, StartTls
from scanner.tls.exchange import Evidence, HelloAnswer
from scanner.tls.handshake import Handshake
from scanner.tls.names import Version
from scanner.trust import Verified
from scanner.versions import negotiation
from targets.services import SERVICES, Mode
from tests.conftest import SCHEMA
from tests.scanner.answers import (
    ALERTED,
    CLOSED,
    ECHO,
    GARBAGE,
    GO_AHEAD,
    NO_DESCRIPTORS,
    OURS,
    PLAINTEXT,
    REFUSED,
    RESET,
    SHAKEN,
    TIMEOUT,
    Came,
    alert,
    answer,
    asked,
    interview,
    silent,
    turned_away,
    yes,
)
from tests.scanner.transcript import FOLDER, read

SSL2, SSL3, TLS10, TLS11, TLS12, TLS13 = Version
SHAKE = None
PASSES = Verified(trusted=True, time_valid=True, name_matches=True)
FAILS = replace(PASSES, name_matches=False)
BY_ADDRESS = replace(PASSES, name_matches=None)

Answers = dict[Version | None, Came]
GOOD: Answers = {TLS12: yes(TLS12), TLS13: yes(TLS13), SHAKE: SHAKEN}
NO_HANDSHAKE: Answers = {TLS12: yes(TLS12), TLS13: yes(TLS13)}


def shaken(handshake: Handshake) -> Answers:
    """Hellos that are answered, and this handshake."""
    return {**GOOD, SHAKE: handshake}


def listing(*words: str, auth: tuple[str, ...] = (), login_disabled: bool | None = None) -> Capabilities:
    return Capabilities(words, auth, login_disabled)


def lists(*words: str, auth: tuple[str, ...] = (), required: bool | None = None) -> StartTls:
    """A go-ahead behind this list."""
    return replace(GO_AHEAD, before=listing(*words, auth=auth), required=required)


def inside(*words: str, auth: tuple[str, ...] = ()) -> Inside:
    return Inside(listing(*words, auth=auth))


@dataclass(frozen=True, slots=True)
class Case:
    """An endpoint and what was seen of it; then the four words. `dialogue` stands for every connection's."""

    service: str
    answers: Answers
    gets: str
    dialogue: StartTls | str | None = None  # a string: what this transcript comes to
    inside: Inside | None = None
    verified: Verified | None = PASSES
    earlier: Verdict | None = None  # of another look


LOGIN_INSIDE = inside("AUTH PLAIN", auth=("PLAIN",))
NO_LOGIN = inside("SIZE")

CASES: dict[str, Case] = {
    # a port of STARTTLS, by the verdict
    "TLS": Case("smtp", GOOD, "plaintext secure secure fails", lists("STARTTLS"), NO_LOGIN),
    "TLS on one connection, and none on another": Case(
        "smtp",
        {**GOOD, SSL3: turned_away(Verdict.NOT_OFFERED)},
        "plaintext unknown unknown fails",
        lists("STARTTLS"),
        NO_LOGIN,
    ),
    "TLS on one connection, and another that is turned away": Case(
        "smtp",
        {**GOOD, SSL3: turned_away(Verdict.RATE_LIMITED)},
        "plaintext secure secure fails",
        lists("STARTTLS"),
        NO_LOGIN,
    ),
    "not offered": Case(
        "smtp", {TLS12: turned_away(Verdict.NOT_OFFERED, code="250")}, "plaintext plaintext fails fails"
    ),
    "refused for good": Case(
        "smtp",
        {
            TLS12: turned_away(
                Verdict.REFUSED_PERMANENT,
                code="502",
                required=False,
                before=listing("STARTTLS", "AUTH PLAIN", auth=("PLAIN",)),
            )
        },
        "plaintext plaintext fails fails",
    ),
    "refused for good, and no login is listed": Case(
        "smtp",
        {TLS12: turned_away(Verdict.REFUSED_PERMANENT, code="502", before=listing("STARTTLS"))},
        "unknown unknown fails fails",
    ),
    "refused by policy": Case(
        "smtp", {TLS12: turned_away(Verdict.REFUSED_POLICY, code="554")}, "unknown unknown unknown fails"
    ),
    "refused for now": Case(
        "smtp", {TLS12: turned_away(Verdict.REFUSED_TEMPORARY, code="454")}, "unknown unknown unknown fails"
    ),
    "refused for now, and a login is listed": Case(
        "smtp",
        {TLS12: turned_away(Verdict.REFUSED_TEMPORARY, code="454", required=False)},
        "plaintext unknown unknown fails",
    ),
    "refused by an error": Case(
        "imap", {TLS12: turned_away(Verdict.REFUSED_SERVER_ERROR, code="NO")}, "unknown unknown unknown fails"
    ),
    "says yes and does not do it": Case("smtp", {TLS12: CLOSED}, "unknown unknown unknown fails"),
    "says yes and does not do it, seen again": Case(
        "smtp", {TLS12: CLOSED}, "unknown fails fails fails", earlier=Verdict.ACCEPTED_NO_TLS
    ),
    "says yes and talks on in plaintext, seen again": Case(
        "imap",
        {TLS12: PLAINTEXT},
        "refused fails fails fails",
        replace(GO_AHEAD, required=True),
        earlier=Verdict.ACCEPTED_NO_TLS,
    ),
    "a TLS record before our hello": Case(
        "smtp", {TLS12: turned_away(Verdict.VIOLATION, Stage.TLS, code="220")}, "unknown unknown unknown fails"
    ),
    "unavailable": Case(
        "smtp",
        {TLS12: turned_away(Verdict.UNAVAILABLE, Stage.GREETING, code="421")},
        "unknown unknown unknown fails",
    ),
    "does not want us": Case(
        "smtp",
        {TLS12: turned_away(Verdict.REFUSED_SESSION, Stage.GREETING, code="554")},
        "unknown unknown unknown fails",
    ),
    "too busy": Case(
        "imap",
        {TLS12: turned_away(Verdict.RATE_LIMITED, Stage.GREETING, code="BYE")},
        "unknown unknown unknown fails",
    ),
    "silence": Case("smtp", {TLS12: turned_away(Verdict.TIMEOUT, Stage.GREETING)}, "unknown unknown unknown unknown"),
    "silence of LDAP": Case("ldap", {TLS12: turned_away(Verdict.TIMEOUT, Stage.CAPABILITIES)}, "unknown " * 4),
    "garbage": Case("smtp", {TLS12: turned_away(Verdict.VIOLATION, Stage.GREETING)}, "unknown " * 4),
    "TLS where STARTTLS is due": Case(
        "imap",
        {TLS12: turned_away(Verdict.PROTOCOL_MISMATCH, Stage.GREETING, hint="tls")},
        "fails fails fails unknown",
    ),
    "SSH": Case("imap", {TLS12: turned_away(Verdict.PROTOCOL_MISMATCH, Stage.GREETING, hint="ssh")}, "fails " * 4),
    "the other kind of XMPP": Case(
        "xmpp-client", {TLS12: turned_away(Verdict.PROTOCOL_MISMATCH, hint="xmpp-server")}, "fails " * 4
    ),
    "its own protocol, out of turn": Case(
        "smtp", {TLS12: turned_away(Verdict.PROTOCOL_MISMATCH, Stage.GREETING, hint="smtp")}, "unknown " * 4
    ),
    "nobody listens": Case("imap", {TLS12: REFUSED}, "fails " * 4),
    "nobody answers": Case("imap", {TLS12: replace(REFUSED, cause="timeout")}, "unknown " * 4),
    "no way for us": Case("imap", {TLS12: NO_DESCRIPTORS}, "unknown " * 4),
    "nothing was asked": Case("imap", {}, "unknown " * 4),
    # a port of implicit TLS
    "implicit": Case("submissions", GOOD, "fails fails fails secure", inside=LOGIN_INSIDE),
    "implicit, TLS refused": Case("imaps", {TLS12: alert(40), SHAKE: ALERTED}, "fails fails fails fails"),
    "implicit, without a handshake": Case("imaps", NO_HANDSHAKE, "fails fails fails unknown"),
    "implicit, beyond us": Case("imaps", shaken(OURS), "fails fails fails unknown"),
    "implicit, turned away later": Case("imaps", shaken(silent("eof", Verdict.CLOSED)), "fails fails fails unknown"),
    "SMTP where TLS is due": Case("submissions", {TLS12: PLAINTEXT}, "unknown unknown unknown fails"),
    "three digits where FTP is due": Case("ftps", {TLS12: PLAINTEXT}, "unknown unknown unknown fails"),
    "XMPP where TLS is due": Case(
        "xmpps-client", {TLS12: replace(PLAINTEXT, hint="xmpp-client")}, "unknown unknown unknown fails"
    ),
    "text where TLS is due": Case("imaps", {TLS12: replace(PLAINTEXT, hint=None)}, "unknown unknown unknown fails"),
    "SMTP where IMAP is due": Case("imaps", {TLS12: PLAINTEXT}, "fails " * 4),
    "IMAP where FTP is due": Case("ftps", {TLS12: replace(PLAINTEXT, hint="imap")}, "fails " * 4),
    "an echo where TLS is due": Case("imaps", {TLS12: ECHO}, "fails " * 4),
    "garbage where TLS is due": Case("imaps", {TLS12: GARBAGE}, "unknown " * 4),
    "silence where TLS is due": Case("imaps", {TLS12: TIMEOUT}, "unknown " * 4),
    "RST where TLS is due": Case("imaps", {TLS12: RESET}, "unknown " * 4),
    "implicit, nobody listens": Case("imaps", {TLS12: REFUSED}, "fails " * 4),
    "implicit, nobody answers": Case("imaps", {TLS12: replace(REFUSED, cause="no_route")}, "unknown " * 4),
    "implicit, too busy, in plaintext": Case(
        "imaps",
        {TLS12: HelloAnswer(Evidence.PLAINTEXT, text="* BYE too many connections", hint="imap")},
        "unknown " * 4,
    ),
    "implicit, nothing was asked": Case("imaps", {}, "unknown " * 4),
    # the session
    "a certificate that does not pass": Case(
        "imap", GOOD, "plaintext secure_untrusted secure_untrusted fails", lists(required=False), verified=FAILS
    ),
    "implicit, a certificate that does not pass": Case(
        "imaps", GOOD, "fails fails fails secure_untrusted", verified=FAILS
    ),
    "a certificate that nobody can judge": Case(
        "imap", GOOD, "plaintext unknown unknown fails", lists(required=False), verified=BY_ADDRESS
    ),
    "no certificate": Case("imap", GOOD, "plaintext unknown unknown fails", lists(required=False), verified=None),
    "the handshake was not asked for": Case(
        "imap", NO_HANDSHAKE, "plaintext unknown unknown fails", lists(required=False), verified=None
    ),
    "the handshake's connection was turned away": Case(
        "smtp",
        {**NO_HANDSHAKE, SHAKE: turned_away(Verdict.RATE_LIMITED, code="421", required=True)},
        "refused unknown unknown fails",
        verified=None,
    ),
    "the handshake is refused": Case(
        "imap", shaken(ALERTED), "refused fails fails fails", lists(required=True), verified=None
    ),
    "the handshake is beyond us": Case(
        "imap", shaken(OURS), "refused unknown unknown fails", lists(required=True), verified=None
    ),
    "the handshake falls silent": Case(
        "imap",
        shaken(silent("timeout", Verdict.TIMEOUT)),
        "refused unknown unknown fails",
        lists(required=True),
        verified=None,
    ),
    "the session breaks at once": Case(
        "imap", GOOD, "refused unknown unknown fails", lists(required=True), Inside(None, Verdict.RESET)
    ),
    "turned away inside": Case(
        "imap", GOOD, "refused unknown unknown fails", lists(required=True), Inside(None, Verdict.RATE_LIMITED, "BYE")
    ),
    "turned away inside, behind a list": Case(
        "submission",
        GOOD,
        "refused unknown unknown fails",
        "smtp-rfc3207",
        replace(LOGIN_INSIDE, stopped=Verdict.UNAVAILABLE, code="421"),
    ),
    "the session tells nothing": Case("ftp", GOOD, "unknown secure secure fails", lists(), Inside(None)),
    "TLS 1.0 and nothing newer": Case(
        "imap",
        {TLS12: alert(70), TLS10: yes(TLS10), SHAKE: replace(SHAKEN, version=TLS10)},
        "refused secure secure fails",
        lists(required=True),
    ),
    "nothing is encrypted": Case(  # TLS_ECDHE_ECDSA_WITH_NULL_SHA
        "imap", shaken(replace(SHAKEN, cipher=0xC006)), "refused unknown unknown fails", lists(required=True)
    ),
    "SSLv2 alone, which our library has not": Case(
        "imap",
        {TLS12: alert(40), SSL2: HelloAnswer(Evidence.SSLV2_SERVER_HELLO, version=2), SHAKE: ALERTED},
        "refused unknown unknown fails",
        lists(required=True),
    ),
    # in the clear: SMTP
    "an MX": Case("smtp", GOOD, "plaintext secure secure fails", "smtp-rfc3207", NO_LOGIN),
    "an MX that requires TLS": Case("smtp", GOOD, "refused secure secure fails", "smtp-inquiring-530", NO_LOGIN),
    "an MX, inside unknown": Case("smtp", GOOD, "unknown secure secure fails", "smtp-rfc3207", Inside(None)),
    "login inside TLS only": Case("submission", GOOD, "refused secure secure fails", "smtp-rfc3207", LOGIN_INSIDE),
    "login before TLS": Case("submission", GOOD, "plaintext secure secure fails", "smtp-auth-before-tls", LOGIN_INSIDE),
    "SMTP without EHLO": Case("smtp", {}, "plaintext plaintext fails fails", "smtp-helo"),
    # IMAP
    "LOGINDISABLED": Case("imap", GOOD, "refused secure secure fails", "imap-rfc2595"),
    "no LOGINDISABLED": Case("imap", GOOD, "plaintext secure secure fails", "imap-literal"),
    "LOGINDISABLED and no STARTTLS": Case("imap", {}, "refused refused fails fails", "imap-masked"),
    "neither STARTTLS nor LOGINDISABLED": Case("imap", {}, "plaintext plaintext fails fails", "imap-not-offered"),
    "PREAUTH": Case("imap", {}, "plaintext plaintext fails fails", "imap-preauth"),
    "NO": Case("imap", {}, "unknown unknown unknown fails", "imap-no"),
    "a greeting's list": Case("imap", GOOD, "unknown secure secure fails", "imap-greeting-list-is-enough"),
    "a greeting's list with a mechanism": Case(
        "imap", GOOD, "plaintext secure secure fails", "imap-greeting-list-with-login"
    ),
    "LOGINDISABLED in the whole list": Case(
        "imap", GOOD, "refused secure secure fails", "imap-inquiring-login-disabled"
    ),
    "no LOGINDISABLED in the whole list": Case(
        "imap", GOOD, "plaintext secure secure fails", "imap-inquiring-login-allowed"
    ),
    "BYE": Case("imap", {}, "unknown unknown unknown fails", "imap-bye"),
    # POP3
    "no USER": Case("pop3", GOOD, "refused secure secure fails", "pop3-tls-required"),
    "APOP": Case("pop3", GOOD, "plaintext secure secure fails", "pop3-apop-without-user"),
    "no CAPA": Case("pop3", GOOD, "unknown secure secure fails", "pop3-capa-unknown-stls-works"),
    "neither CAPA nor STLS": Case("pop3", {}, "plaintext plaintext fails fails", "pop3-capa-unknown-stls-unknown"),
    # ManageSieve
    "SASL is empty": Case("sieve", GOOD, "refused secure secure fails", "sieve-tls-required"),
    "SASL is left out": Case("sieve", GOOD, "refused secure secure fails", "sieve-without-sasl"),
    "SASL PLAIN": Case("sieve", GOOD, "plaintext secure secure fails", "sieve-plain-before-tls"),
    "SASL is empty, and no STARTTLS": Case("sieve", {}, "refused refused fails fails", "sieve-quoted"),
    # FTP
    "AUTH TLS": Case("ftp", GOOD, "unknown secure secure fails", "ftp-rfc4217", inside("PBSZ")),
    "534 to FEAT": Case("ftp", GOOD, "refused secure secure fails", "ftp-feat-534"),
    "530 to FEAT, about TLS": Case("ftp", GOOD, "refused secure secure fails", "ftp-feat-530-tls"),
    "no AUTH TLS": Case("ftp", {}, "plaintext plaintext fails fails", "ftp-vsftpd-without-tls"),
    # NNTP
    "AUTHINFO without arguments": Case("nntp", GOOD, "refused secure secure fails", "nntp-tls-required"),
    "AUTHINFO USER": Case("nntp", GOOD, "plaintext secure secure fails", "nntp-auth-before-tls"),
    "AUTHINFO inside TLS only": Case(
        "nntp", GOOD, "refused secure secure fails", "nntp-rfc4642", inside("AUTHINFO USER", auth=("USER",))
    ),
    "news for everybody": Case("nntp", GOOD, "plaintext secure secure fails", "nntp-rfc4642", inside("READER")),
    "483 to CAPABILITIES": Case("nntp", GOOD, "refused secure secure fails", "nntp-privacy-first"),
    # XMPP
    "<required/>": Case("xmpp-client", GOOD, "refused secure secure fails", "xmpp-rfc6120"),
    "mechanisms before TLS": Case("xmpp-client", GOOD, "plaintext secure secure fails", "xmpp-optional"),
    "mechanisms inside TLS only": Case(
        "xmpp-client",
        GOOD,
        "refused secure secure fails",
        "xmpp-no-login-before-tls",
        inside("mechanisms", auth=("PLAIN",)),
    ),
    "mechanisms nowhere": Case(
        "xmpp-client", GOOD, "unknown secure secure fails", "xmpp-no-login-before-tls", inside("c")
    ),
    "a login of before SASL": Case("xmpp-client", GOOD, "plaintext secure secure fails", "xmpp-login-of-before-sasl"),
    "PREAUTH, which is IMAP's": Case("xmpp-client", {}, "unknown unknown unknown fails", "xmpp-preauth-element"),
    "no <starttls/>": Case("xmpp-client", {}, "plaintext plaintext fails fails", "xmpp-not-offered"),
    "<required/> among servers": Case("xmpp-server", GOOD, "refused secure secure fails", "xmpp-server-rfc6120"),
    "dialback in the clear": Case("xmpp-server", GOOD, "plaintext secure secure fails", "xmpp-server-optional"),
    # LDAP
    "confidentialityRequired": Case("ldap", GOOD, "refused secure secure fails", "ldap-tls-required"),
    "nobody knows without a bind": Case("ldap", GOOD, "unknown secure secure fails", "ldap-openldap"),
    "SASL by challenge, LDAP": Case("ldap", GOOD, "unknown secure secure fails", lists(auth=("DIGEST-MD5",))),
    "SASL PLAIN, LDAP": Case("ldap", GOOD, "plaintext secure secure fails", lists(auth=("DIGEST-MD5", "PLAIN"))),
    "no StartTLS": Case("ldap", {}, "plaintext plaintext fails fails", "ldap-not-offered"),
    "LDAP inside TLS": Case("ldaps", GOOD, "fails fails fails secure", inside=inside(auth=("PLAIN",))),
}


def clients_in(case: Case) -> str | None:
    """The four words, in the order of the table's columns."""
    held = interview(case.service)
    dialogue = replayed(case.dialogue) if isinstance(case.dialogue, str) else case.dialogue
    upgraded = SERVICES[case.service].mode is Mode.STARTTLS
    for question, came in ({TLS12: dialogue} if dialogue and not case.answers else case.answers).items():
        one = answer(asked(question), came, upgraded=upgraded)
        if dialogue and one.starttls is GO_AHEAD:
            one.starttls = dialogue
        held.answers.append(one)
    if case.earlier:
        held.looks.append(Look(0.0, case.earlier, Stage.TLS))
    negotiated = negotiation(held.answers)
    if negotiated:
        negotiated.inside = case.inside
    clients = clients_of(held.endpoint.service, conclude(held), negotiated, case.verified)
    if clients is None:
        return None
    return " ".join((clients.none, clients.starttls_if_available, clients.starttls, clients.ssl_tls))


def replayed(name: str) -> StartTls:
    """What a transcript comes to."""
    result, _ = read(FOLDER / f"{name}.txt").run(lambda said: [said])
    assert isinstance(result, StartTls)
    return result


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_clients(case: Case) -> None:
    """Each line of the tables, and each protocol's own way to announce what is allowed in the clear."""
    assert clients_in(case) == case.gets.strip()


@pytest.mark.parametrize("service", SERVICES)
def test_services_that_have_such_settings(service: str) -> None:
    """Mail, news, files, chat and directories; not what programs of one site speak among themselves."""
    has_them = {
        *("smtp", "submission", "submissions", "imap", "imaps", "pop3", "pop3s", "sieve", "ftp", "ftps", "nntp"),
        *("nntps", "xmpp-client", "xmpps-client", "xmpp-server", "xmpps-server", "ldap", "ldaps"),
    }
    assert (clients_in(Case(service, GOOD, "")) is not None) == (service in has_them)


@pytest.mark.parametrize(
    "service", ["smtp", "imap", "pop3", "sieve", "ftp", "nntp", "xmpp-client", "xmpp-server", "ldap"]
)
@pytest.mark.parametrize("verdict", [verdict for verdict in Verdict if verdict is not Verdict.OK])
def test_never_secure_without_a_handshake(service: str, verdict: Verdict) -> None:
    """Whatever a dialogue without a go-ahead came to, nothing of it is called encrypted."""
    for stage in Stage:
        for code in (None, "x"):
            words = clients_in(Case(service, {TLS12: turned_away(verdict, stage, code=code)}, "")) or ""
            assert not {"secure", "secure_untrusted"} & set(words.split())


@pytest.mark.parametrize("service", ["imap", "imaps"])
@pytest.mark.parametrize("verdict", [verdict for verdict in Verdict if verdict is not Verdict.OK])
def test_never_secure_by_a_handshake_that_fails(service: str, verdict: Verdict) -> None:
    """Whatever ended a handshake; only the server's own refusal is a failure of the setting."""
    failed = Handshake(failure=Outcome(verdict, Stage.TLS))
    words = (clients_in(Case(service, shaken(failed), "")) or "").split()
    session = words[3] if service == "imaps" else words[2]
    assert session == ("fails" if verdict is Verdict.HANDSHAKE_FAILED else "unknown")


def test_the_words_are_those_of_the_contract() -> None:
    """Each of them, and no other."""
    assert {word.value for word in Gets} == set(SCHEMA["$defs"]["client"]["enum"])
    assert {word for case in CASES.values() for word in case.gets.split()} == {word.value for word in Gets}
