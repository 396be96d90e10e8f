"""Finding out by elimination what a server has: offer all, strike out what it chose, offer the rest, until it refuses.

    C: [a b c d e] ──▶ S: c       C: [a b d e] ──▶ S: a       C: [b d e] ──▶ S: alert 40: it has c and a, in this order

Each list is a script that yields what it wants to offer, and is sent the answer. A probe has no memory: it plays its
scripts again from what was said so far, and what they then want to offer is what is asked next.

A refusal is believed at once when it is an alert that says "nothing in common". FIN, RST, silence and all other alerts
may be about the moment, or about the hello: these are believed only when a hello that was answered before is answered
again (the control), and behind that the same offer meets the same end. No refusal at all is believed of an offer that
has in it what the server is known to have: it stumbles over something else, such as the length of the list.
"""

from collections import defaultdict
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, TypeVar

from scanner.probes.probe import Known, Talked
from scanner.tls.exchange import Evidence, HelloAnswer
from scanner.tls.hello import Shape, extensions_for, groups_of, signatures_of, suites_of
from scanner.tls.names import Version
from scanner.tls.offer import Offer
from scanner.tls.talk import Manner, SayHello, Talk
from scanner.tls.wire import Extension
from targets.services import Protocol

T = TypeVar("T")
Wish = Callable[[], Offer]  # made where it is not answered yet: of the others nobody needs the suites again
Script = Generator[Wish, HelloAnswer, T]

FIRM_ALERTS = {40, 71}  # handshake_failure, insufficient_security: nothing in common (RFC 8446 §6.2, RFC 5246 §7.2.2)
_ENDS = {Evidence.CLOSED, Evidence.RESET, Evidence.TIMEOUT, Evidence.ALERT}


class Order(StrEnum):
    """Whose order decides what is chosen."""

    SERVER = "server"
    CLIENT = "client"
    UNKNOWN = "unknown"


class UnclearError(Exception):
    """What came tells neither yes nor no: the list stays as far as it has got."""


@dataclass(slots=True)
class Listing:
    """What a script has found so far, in the order in which the server chose it."""

    found: list[int] = field(default_factory=list)
    order: Order = Order.UNKNOWN
    complete: bool = False  # is there nothing else, as far as was asked?
    flags: set[str] = field(default_factory=set)

    def part(self, key: str, entry: Callable[[int], dict[str, Any]]) -> dict[str, Any]:
        """As the record has it."""
        return {
            "complete": self.complete,
            "order": self.order,
            key: [entry(code) for code in self.found],
            "flags": sorted(self.flags),
        }


@dataclass(frozen=True, slots=True)
class Ask(SayHello):
    """One hello of one list of a probe."""

    of: str


Scripts = Mapping[str, Script[None]]


def play(scripts: Scripts, talked: Sequence[Talked]) -> list[Talk]:
    """Play the scripts with what was said so far; what they want to offer next."""
    said: defaultdict[str, list[HelloAnswer | None]] = defaultdict(list)
    for each in talked:
        if isinstance(each.talk, Ask):
            said[each.talk.of].append(each.found if isinstance(each.found, HelloAnswer) else None)
    wanted = ((name, _next_offer(script, said[name])) for name, script in scripts.items())
    return [Ask(offer, name) for name, offer in wanted if offer]


def _next_offer(script: Script[None], answers: Iterable[HelloAnswer | None]) -> Offer | None:
    try:
        wish = next(script)
        for answer in answers:
            if answer is None:  # we were turned away
                return None
            wish = script.send(answer)
    except StopIteration:
        return None
    return wish()


def guarded(listing: Listing, script: Script[None]) -> Script[None]:
    """The listing is complete when its script comes to its end, and not when something unclear stops it."""
    try:
        yield from script
    except UnclearError:
        return
    listing.complete = True


def answered(offer: Wish, control: Wish | None) -> Script[HelloAnswer | None]:
    """The hello that this offer got, None for a refusal. Raises UnclearError."""
    first = yield offer
    if first.is_hello or _is_firm(first):
        return first if first.is_hello else None
    if control is None or first.evidence not in _ENDS or first.partial:
        raise UnclearError
    if not (yield control).is_hello:
        raise UnclearError
    again = yield offer
    if again.is_hello:
        return again
    if _is_firm(again) or (again.evidence, again.alert) == (first.evidence, first.alert):
        return None
    raise UnclearError


def _is_firm(answer: HelloAnswer) -> bool:
    return answer.evidence is Evidence.ALERT and answer.alert in FIRM_ALERTS


def order_of(
    listing: Listing, backwards: Sequence[int], choose: Callable[[Sequence[int]], Script[int | None]]
) -> Script[None]:
    """Whose order it is: all again in another, `backwards`, which does not begin with the server's first."""
    if len(listing.found) < 2:
        return
    try:
        chosen = yield from choose(backwards)
    except UnclearError:
        return
    if chosen == listing.found[0]:
        listing.order = Order.SERVER
    elif chosen == backwards[0]:
        listing.order = Order.CLIENT


def offered_group(group: int | None, offered: Sequence[int], listing: Listing) -> int:
    """The group that was named, where it was offered. Else the server does not look at our list: that is its end."""
    if group is None:
        raise UnclearError
    if group not in offered:
        listing.flags.add("unoffered_group")
        if group not in listing.found:
            listing.found.append(group)
        raise UnclearError
    return group


def usual_offer(known: Known, version: Version) -> Offer:
    """An offer that leaves out what made a difference when the version was asked, or adds it."""
    shape = known.shape_of(version)
    match shape:
        case Shape.SMALL:
            spared = frozenset({Extension.EXTENDED_MASTER_SECRET, Extension.SESSION_TICKET})
            suites, groups, signatures = suites_of(version, shape), groups_of(version, shape), signatures_of(shape)
            return Offer(version, suites, groups, signatures, without=spared)
        case Shape.NO_EXTENSIONS:
            return Offer(version, suites_of(version, shape), bare=True)
        case Shape.NO_NAME:
            return Offer(version, named=False)
        case Shape.RSA | Shape.ECDSA:
            return Offer(version, signatures=signatures_of(shape))
        case Shape.OTHER_SUITES | Shape.SHARED_SECRET:
            suites, extra = suites_of(version, shape), extensions_for(version, shape)
            return Offer(version, suites, groups_of(version, shape), extra=extra)
        case Shape.OTHER_GROUPS:
            return Offer(version, groups=groups_of(version, shape), signatures=signatures_of(shape), shares=())
        case Shape.ALPN:
            return Offer(version, alpn=applications(known))
        case _:
            return Offer(version)


def usual_manner(known: Known, version: Version) -> Manner | None:
    """That of a full handshake of this version: what made a difference to a hello does so to OpenSSL's too.

    None where it needs a hello without extensions, which OpenSSL's always has.
    """
    shape = known.shape_of(version)
    if shape is Shape.NO_EXTENSIONS:
        return None
    return Manner(
        named=shape is not Shape.NO_NAME,
        alpn=applications(known) if shape is Shape.ALPN else (),
        short=known.short and version is Version.TLS1_3,
        small=shape is Shape.SMALL,
    )


def applications(known: Known) -> tuple[bytes, ...]:
    """What ALPN is offered with where nothing goes without it."""
    return _APPLICATIONS.get(known.service.protocol, (b"h2", b"http/1.1"))


_APPLICATIONS = {Protocol.POSTGRESQL: (b"postgresql",)}


def known_hello(known: Known, version: Version) -> HelloAnswer | None:
    """The hello by which the version is known, where it is of that version, and has what was offered."""
    hello = known.hellos.get(version)
    if hello is None or hello.version != version.code or "unoffered_cipher" in hello.flags:
        return None
    return hello
