"""`--alpn`: which application protocols does the server take, in whose order, and what if it takes none of them?

One hello offers every name that IANA has for TLS over TCP ("TLS ALPN Protocol IDs"), those of the service first. What
the server chooses is left out of the next one, until it chooses nothing: a connection for each name, and one. Where it
takes two or more, another hello offers them in reverse, to tell whose order counts. Up to TLS 1.2 the answer stands in
the ServerHello; TLS 1.3 encrypts it (RFC 8446 §4.3.1), so where nothing older is spoken, these are handshakes.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from scanner.probes.probe import Known, Probe, Talked
from scanner.probes.sweep import usual_manner, usual_offer
from scanner.tls.exchange import HelloAnswer
from scanner.tls.handshake import Handshake
from scanner.tls.hello import Shape
from scanner.tls.names import Version, alert_name
from scanner.tls.shake import ShakeHands
from scanner.tls.talk import USUAL, SayHello, Talk
from scanner.tls.wire import Extension
from scanner.wire_text import printable
from targets.services import Protocol, Service

MOST_NAMES = 8  # whoever takes so many may take anything
MOST_OF_SMALL = 3  # names in a hello of less than 256 bytes, where only such a one was answered
GREASE = b"\x0a\x0a"  # reserved, so that nobody has it (RFC 8701 §2)
_REFUSAL = "no_application_protocol"  # RFC 7301 §3.2: alert 120

_NAMES: dict[Protocol, tuple[bytes, ...]] = {
    Protocol.HTTP: (b"h2", b"http/1.1", b"http/1.0", b"http/0.9"),
    Protocol.IMAP: (b"imap",),
    Protocol.POP3: (b"pop3",),
    Protocol.SIEVE: (b"managesieve",),
    Protocol.FTP: (b"ftp",),
    Protocol.NNTP: (b"nntp", b"nnsp"),
    Protocol.XMPP_CLIENT: (b"xmpp-client",),
    Protocol.XMPP_SERVER: (b"xmpp-server",),
    Protocol.POSTGRESQL: (b"postgresql",),
    Protocol.IRC: (b"irc",),
    Protocol.MSSQL: (b"tds/8.0",),
}
_FURTHER = (
    *(b"spdy/3", b"spdy/2", b"spdy/1", b"dot", b"acme-tls/1", b"mqtt", b"sip/2", b"coap", b"ntske/1", b"sunrpc"),
    *(b"smb", b"dicom", b"radius/1.1", b"radius/1.0", b"stun.turn", b"stun.nat-discovery"),
)


class NoMatch(StrEnum):
    """What is done where nothing that is offered is known."""

    REFUSED = "refused"  # with the alert for it, as RFC 7301 §3.2 wants it
    IGNORED = "ignored"  # as if nothing were offered
    ACCEPTED = "accepted"  # it takes a name that nobody has


@dataclass(frozen=True, slots=True)
class _Progress:
    """What came of the talks so far."""

    names: tuple[bytes, ...] = ()  # in the order of the choices
    no_match: NoMatch | None = None
    order: str | None = None
    begun: bool = False  # has anything been told?
    next: tuple[bytes, ...] = ()  # what to offer now; none when it is over


class Alpn(Probe):
    """See the head of the module."""

    name = "alpn"
    usual = 1
    help = (
        "Which application protocols are taken by ALPN, in whose order, and whether unknown ones are refused. A hello"
        " with all registered names on a connection for each that is taken, and one or two more, 10 at the most; full"
        " handshakes where TLS 1.3 is all that is spoken."
    )

    def ask(self, known: Known, talked: Sequence[Talked]) -> list[Talk]:
        """One hello at a time."""
        version = _version(known)
        offer = _progress(_names_of(known, version), talked).next if version else ()
        return [_talk(known, version, offer)] if version and offer else []

    def result(self, known: Known, talked: Sequence[Talked]) -> dict[str, Any]:
        """`protocols` in the order of the choices; null where nothing was told, as `order` and `no_match` are."""
        version = _version(known)
        so_far = _progress(_names_of(known, version), talked)
        return {
            **({"complete": False} if version and so_far.no_match is None else {}),
            "version": version,
            "protocols": [name.decode("ascii") for name in so_far.names] if so_far.begun else None,
            "order": so_far.order,
            "no_match": so_far.no_match,
        }


def _version(known: Known) -> Version | None:
    """The newest below TLS 1.3 that has extensions, and puts up with them, else TLS 1.3."""
    bare = {version for version in known.versions if known.shape_of(version) is Shape.NO_EXTENSIONS}
    of_tls = [version for version in known.versions if version.code >= Version.TLS1_0.code and version not in bare]
    in_plaintext = [version for version in of_tls if version is not Version.TLS1_3]
    return (in_plaintext or of_tls or [None])[-1]


def _talk(known: Known, version: Version, names: tuple[bytes, ...]) -> Talk:
    if version is Version.TLS1_3:
        manner = usual_manner(known, version)
        return ShakeHands(names, replace(manner, alpn=()) if manner else USUAL)
    return SayHello(replace(usual_offer(known, version), alpn=names))


def _offered(talk: Talk) -> tuple[bytes, ...]:
    match talk:
        case ShakeHands(alpn=names):
            return names
        case SayHello(offer=offer):
            return offer.alpn
        case _:
            return ()


def names_for(service: Service) -> tuple[bytes, ...]:
    """All names, those of the service first."""
    own = _NAMES.get(service.protocol, ())
    others = (name for names in _NAMES.values() for name in names if name not in own)
    return (*own, *others, *_FURTHER)


def _names_of(known: Known, version: Version | None) -> tuple[bytes, ...]:
    """Those that fit into the hello by which the version is known."""
    names = names_for(known.service)
    return names[:MOST_OF_SMALL] if version and known.shape_of(version) is Shape.SMALL else names


def _progress(every: tuple[bytes, ...], talked: Sequence[Talked]) -> _Progress:
    names: tuple[bytes, ...] = ()
    for number, each in enumerate(talked):
        choice = _choice(each)
        if choice is None:
            return _Progress(names, begun=number > 0)
        if isinstance(choice, NoMatch):
            return _with_order(names, choice, talked[number + 1 :])
        names += (choice,)
    rest = tuple(name for name in every if name not in names) if len(names) < MOST_NAMES else ()
    return _Progress(names, begun=bool(talked), next=(*rest, GREASE))


def _with_order(names: tuple[bytes, ...], no_match: NoMatch, talked: Sequence[Talked]) -> _Progress:
    """The choice of all names in reverse: the first is the server's own, the last is ours."""
    if len(names) < 2:
        return _Progress(names, no_match, begun=True)
    if not talked:
        return _Progress(names, no_match, begun=True, next=names[::-1])
    choice = _choice(talked[0])
    order = {names[0]: "server", names[-1]: "client"}.get(choice) if isinstance(choice, bytes) else None
    return _Progress(names, no_match, order, begun=True)


def _choice(talked: Talked) -> bytes | NoMatch | None:
    """The name that was chosen, or what is done without one; None where that cannot be told."""
    chosen: bytes | NoMatch | None = None
    match talked.found:
        case HelloAnswer(alert=int(alert)) if alert_name(alert) == _REFUSAL:
            return NoMatch.REFUSED
        case HelloAnswer(server_hello=hello) if hello is not None:
            data = hello.extensions.get(Extension.ALPN)
            chosen = NoMatch.IGNORED if data is None else _name_in(data)
        case Handshake(failure=failure) if failure is not None:
            return NoMatch.REFUSED if failure.alert == _REFUSAL else None
        case Handshake(alpn=name):
            offered = {printable(each): each for each in _offered(talked.talk)}
            chosen = offered.get(name) if name else NoMatch.IGNORED
    if chosen == GREASE:
        return NoMatch.ACCEPTED
    return chosen if isinstance(chosen, NoMatch) or chosen in _offered(talked.talk) else None


def _name_in(data: bytes) -> bytes | None:
    """The one name of a server's list (RFC 7301 §3.1)."""
    whole = len(data) > 2 and data[:2] == (len(data) - 2).to_bytes(2, "big") and data[2] == len(data) - 3
    return data[3:] if whole else None
