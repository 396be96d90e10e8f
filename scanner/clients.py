"""Facts → what a program with each of the four usual settings would get: `clients` of a record.

Pure. The settings are `none` (never TLS), `starttls_if_available` (plaintext where there is no STARTTLS), `starttls`
(STARTTLS or nothing) and `ssl_tls` (implicit TLS), by whatever names a program has for them. The words rest on what
was seen, and where nobody saw it, the word is `unknown`.

A port of STARTTLS, by `starttls.verdict`:

                                       none         starttls_if_available   starttls    ssl_tls
    ok                                 [clear]      [session]               [session]   fails
    ok, and firmly refused elsewhere   [clear]      unknown                 unknown     fails
    not_offered                        [clear]      [clear]                 fails       fails
      IMAP: PREAUTH                    plaintext    plaintext               fails       fails
    refused_permanent                  [clear]      [clear]                 fails       fails
    accepted_no_tls, seen again        [clear]      fails                   fails       fails
    protocol_mismatch, TLS             fails        fails                   fails       unknown
    protocol_mismatch, anything else   fails        fails                   fails       fails
    unreachable, refused               fails        fails                   fails       fails
    anything else, behind a reply      [clear]      unknown                 unknown     fails
    anything else                      unknown      unknown                 unknown     unknown

A port of implicit TLS:

    answers in TLS                     fails        fails                   fails       [session]
    its own protocol in plaintext      unknown      unknown                 unknown     fails
    another protocol                   fails        fails                   fails       fails
    unreachable, refused               fails        fails                   fails       fails
    anything else                      unknown      unknown                 unknown     unknown

So a port is in one mode, that in which it answered: what a multiplexer would make of another one is not tried. A
refusal that may pass, or may be about us (`refused_policy`), tells nothing about other people's programs. One that got
the go-ahead and no TLS has no way back to plaintext on that connection, and should have none: it fails.

`[session]`, by the one full handshake:

    it completes, and the certificate passes      secure
    it completes, and the certificate does not    secure_untrusted
    the server refuses or breaks it               fails
    anything else                                 unknown

"Anything else" is a handshake that was not made, that the wire ended, or that is beyond our library; one without a
certificate, or by a weak suite (without encryption, say), which only we agree to; a certificate that nobody could
judge, as under an address without a name; a server that demands a certificate of the client's, as other programs may
have one; and a session that broke before anything was said in it, or in which the server turned us away. An old version
counts as encrypted: that programs of today refuse it is told by `versions`, and by `no-tls1.2-or-later`.

`[clear]`, by what is announced before TLS. No login is ever tried:

    TLS is required (`required`: see the protocols' modules)     refused
    a login is offered before TLS (`required` is false)          plaintext
    there is no TLS, and no word that it is required             plaintext
    LDAP: SASL's PLAIN or LOGIN is listed before TLS             plaintext
    SMTP, NNTP, XMPP: a login is listed inside TLS only          refused
    SMTP, NNTP: no login is listed on either side                plaintext
    anything else                                                unknown

The line before the last is an MX, or news for everybody: no password, but the mail and the articles go in the clear;
unless the server refuses MAIL without TLS, as Exim and OpenSMTPD may, which nobody sees who sends none. A login by
challenge is `plaintext` too, because what follows it is. FTP and LDAP tell nothing about a login by password until one
is tried, and so it often is `unknown` there.
"""

from dataclasses import dataclass
from enum import StrEnum

from scanner.conclusion import Conclusion, Status
from scanner.hint import may_be
from scanner.outcome import Outcome, Verdict
from scanner.question import Answer
from scanner.starttls.result import Capabilities, StartTls
from scanner.tls.flight import ClientCertificate
from scanner.tls.strength import weaknesses
from scanner.trust import Verified
from targets.services import Mode, Protocol, Service

# Those whose users have such a setting, and the mail and chat servers that send to one another. LMTP is none: it is
# spoken within one site, and whoever sets up one end sets up the other.
_WITH_SETTINGS = {
    Protocol.SMTP,
    Protocol.IMAP,
    Protocol.POP3,
    Protocol.SIEVE,
    Protocol.FTP,
    Protocol.NNTP,
    Protocol.XMPP_CLIENT,
    Protocol.XMPP_SERVER,
    Protocol.LDAP,
}
_LOGIN_IS_LISTED = {Protocol.SMTP, Protocol.NNTP, Protocol.XMPP_CLIENT}
_USED_WITHOUT_LOGIN = {Protocol.SMTP, Protocol.NNTP}
_BY_PASSWORD = {"PLAIN", "LOGIN"}


class Gets(StrEnum):
    """What a program gets."""

    SECURE = "secure"
    SECURE_UNTRUSTED = "secure_untrusted"  # encrypted, and the certificate would not pass
    PLAINTEXT = "plaintext"
    REFUSED = "refused"  # the server announces that there is no login without TLS
    FAILS = "fails"  # no connection with that setting
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Clients:
    """What each setting gets."""

    none: Gets
    starttls_if_available: Gets
    starttls: Gets
    ssl_tls: Gets


_NOTHING_KNOWN = Clients(Gets.UNKNOWN, Gets.UNKNOWN, Gets.UNKNOWN, Gets.UNKNOWN)
_NO_WAY_IN = Clients(Gets.FAILS, Gets.FAILS, Gets.FAILS, Gets.FAILS)


def clients_of(
    service: Service, conclusion: Conclusion, negotiated: Answer | None, verified: Verified | None
) -> Clients | None:
    """By the tables above; None where there are no such settings. `negotiated`: the answer to the full handshake."""
    if service.protocol not in _WITH_SETTINGS:
        return None
    session = _session(negotiated, verified, conclusion.error)
    if service.mode is Mode.IMPLICIT:
        return _of_implicit_port(service.protocol, conclusion, session)
    if conclusion.starttls is None:
        return _NOTHING_KNOWN
    inside = negotiated.inside.capabilities if negotiated and negotiated.inside else None
    clear = _clear(service.protocol, conclusion.starttls, inside)
    return _of_starttls_port(service.protocol, conclusion, conclusion.starttls, clear, session)


def _of_implicit_port(protocol: Protocol, conclusion: Conclusion, session: Gets) -> Clients:
    if conclusion.status in (Status.TLS, Status.TLS_FAILED):
        return Clients(Gets.FAILS, Gets.FAILS, Gets.FAILS, session)
    error = conclusion.error
    if error is None or error.verdict in (Verdict.RATE_LIMITED, Verdict.UNAVAILABLE):
        return _NOTHING_KNOWN
    if conclusion.status is Status.UNREACHABLE and error.cause == "refused":
        return _NO_WAY_IN
    if error.hint and not may_be(protocol, error.hint):
        return _NO_WAY_IN
    if error.cause == "plaintext":
        return Clients(Gets.UNKNOWN, Gets.UNKNOWN, Gets.UNKNOWN, Gets.FAILS)
    return _NOTHING_KNOWN


def _of_starttls_port(
    protocol: Protocol, conclusion: Conclusion, result: StartTls, clear: Gets, session: Gets
) -> Clients:
    if conclusion.status is Status.UNREACHABLE and result.cause == "refused":
        return _NO_WAY_IN
    if result.verdict is Verdict.PROTOCOL_MISMATCH and result.hint and result.hint != protocol:
        ssl_tls = Gets.UNKNOWN if result.hint == "tls" else Gets.FAILS
        return Clients(Gets.FAILS, Gets.FAILS, Gets.FAILS, ssl_tls)
    ssl_tls = Gets.FAILS if result.code is not None else Gets.UNKNOWN  # it answered in plaintext
    match result.verdict:
        case Verdict.OK if not conclusion.inconsistent:
            return Clients(clear, session, session, ssl_tls)
        case Verdict.NOT_OFFERED | Verdict.REFUSED_PERMANENT:
            return Clients(clear, clear, Gets.FAILS, ssl_tls)
        case Verdict.ACCEPTED_NO_TLS if conclusion.status is Status.NO_TLS:
            return Clients(clear, Gets.FAILS, Gets.FAILS, ssl_tls)
        case _:
            return Clients(clear, Gets.UNKNOWN, Gets.UNKNOWN, ssl_tls)


def _session(negotiated: Answer | None, verified: Verified | None, error: Outcome | None) -> Gets:
    """What a program gets that begins TLS in the right mode. `error`: why there was no handshake."""
    if negotiated is None or negotiated.handshake is None:
        return Gets.UNKNOWN
    if negotiated.handshake.client_certificate is ClientCertificate.REQUIRED:
        return Gets.UNKNOWN  # programs may have one
    if negotiated.handshake.failure:
        return Gets.FAILS if error and error.verdict is Verdict.HANDSHAKE_FAILED else Gets.UNKNOWN
    if negotiated.inside and negotiated.inside.stopped:
        return Gets.UNKNOWN
    if negotiated.handshake.cipher is not None and weaknesses(negotiated.handshake.cipher):
        return Gets.UNKNOWN  # we agree to suites that programs do not offer: they may get another, or none
    match verified.passes if verified else None:
        case True:
            return Gets.SECURE
        case False:
            return Gets.SECURE_UNTRUSTED
        case None:
            return Gets.UNKNOWN


def _clear(protocol: Protocol, result: StartTls, inside: Capabilities | None) -> Gets:
    """What a program gets that does not begin TLS."""
    if result.preauth:
        return Gets.PLAINTEXT  # it is logged in already
    if result.required:
        return Gets.REFUSED
    if result.required is False or result.verdict is Verdict.NOT_OFFERED:
        return Gets.PLAINTEXT
    before = result.before
    if before and protocol is Protocol.LDAP and _BY_PASSWORD & set(before.auth):
        return Gets.PLAINTEXT
    if before and inside and protocol in _LOGIN_IS_LISTED:
        if inside.auth:
            return Gets.REFUSED  # where it was listed before TLS too, `required` is false
        if protocol in _USED_WITHOUT_LOGIN:
            return Gets.PLAINTEXT
    return Gets.UNKNOWN
