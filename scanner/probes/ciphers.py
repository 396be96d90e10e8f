"""`--ciphers`: which suites a server has, for each version that it speaks, in its own order or in ours.

A hello offers all that there are for a version; what the server chose is struck out, until it refuses (`sweep.py`).
Servers put up with a list of a hundred, and not with one of three hundred, so the usual suites make one list and the
rest some others. These are mostly refused, with a connection each; the best of one that is not stands in the first list
from then on, so that the server's order is that of all.

Nothing needs a key. SRP (RFC 5054) and ECCPWD (RFC 8492) are left out, for a server cannot choose these where the hello
names no user; but not where only a hello that does was answered. Those with pre-shared keys and Kerberos it can. SSLv2
tells all that it has at once, and no order.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache, partial
from typing import Any

from scanner.probes.probe import Known, Probe, Talked
from scanner.probes.sweep import (
    Listing,
    Script,
    Scripts,
    UnclearError,
    Wish,
    answered,
    guarded,
    known_hello,
    order_of,
    play,
    usual_offer,
)
from scanner.tls.exchange import HelloAnswer
from scanner.tls.hello import SUITES, Shape, groups_of
from scanner.tls.names import Version, cipher_id, cipher_name, sslv2_cipher_id, sslv2_cipher_name
from scanner.tls.offer import Offer
from scanner.tls.strength import is_forward_secret, sslv2_weaknesses, weaknesses
from scanner.tls.suites import RENEGOTIATION_SCSV, suites_there_are, wants_user
from scanner.tls.talk import Talk

# How long a list may be, and how long the next one is where a server does not answer that. Some refuse more than 128.
# Without extensions nothing can pad a hello, and it has to stay under 256 bytes (RFC 7685 §1).
LENGTHS: dict[Shape, tuple[int, ...]] = {Shape.NO_EXTENSIONS: (88, 32, 10), Shape.SMALL: (32, 10)}
USUAL_LENGTHS = (96, 32, 10)


class Ciphers(Probe):
    """See the head of the module."""

    name = "ciphers"
    usual = 25
    help = "Which cipher suites each version has, and whose order decides; about one connection a suite."

    def ask(self, known: Known, talked: Sequence[Talked]) -> list[Talk]:
        """The next hello of each version."""
        return play(_scripts(known, _listings(known)), talked)

    def result(self, known: Known, talked: Sequence[Talked]) -> dict[str, Any]:
        """A part for each version that is spoken."""
        listings = _listings(known)
        play(_scripts(known, listings), talked)
        return {
            "complete": bool(listings) and all(listing.complete for listing in listings.values()),
            "versions": {
                version.value: listing.part("suites", _sslv2_entry if version is Version.SSLV2 else _entry)
                for version, listing in listings.items()
            },
        }

    def findings(self, result: Mapping[str, Any]) -> Iterable[str]:
        """`weak-cipher`, but not for SSLv2, which is one by itself. Of forward secrecy this part alone cannot tell."""
        versions = (part for version, part in result["versions"].items() if version != Version.SSLV2)
        if any(suite["weak"] for part in versions for suite in part["suites"]):
            yield "weak-cipher"


def _entry(suite: int) -> dict[str, Any]:
    return {
        "name": cipher_name(suite),
        "id": cipher_id(suite),
        "forward_secrecy": is_forward_secret(suite),
        "weak": list(weaknesses(suite)),
    }


def _sslv2_entry(kind: int) -> dict[str, Any]:
    return {
        "name": sslv2_cipher_name(kind),
        "id": sslv2_cipher_id(kind),
        "forward_secrecy": False,
        "weak": list(sslv2_weaknesses(kind)),
    }


def _listings(known: Known) -> dict[Version, Listing]:
    listings = {version: Listing() for version in known.versions}
    if (hello := known.hellos.get(Version.SSLV2)) and Version.SSLV2 in listings:
        listings[Version.SSLV2] = Listing(list(dict.fromkeys(hello.kinds)), complete=True)
    return listings


def _scripts(known: Known, listings: Mapping[Version, Listing]) -> Scripts:
    """In TLS the list is found out; in SSLv2 it was told."""
    return {
        version.value: guarded(listing, _Suites(known, version, listing).script())
        for version, listing in listings.items()
        if version is not Version.SSLV2
    }


# --- One version ------------------------------------------------------------------------------------------------------


class _Suites:
    """The elimination of one version's suites."""

    def __init__(self, known: Known, version: Version, listing: Listing) -> None:
        hello = known_hello(known, version)
        self.version = version
        self.listing = listing
        self.sure = hello.cipher if hello else None  # it was chosen before
        self.lengths = LENGTHS.get(known.shapes.get(version, Shape.PLAIN), USUAL_LENGTHS)
        if version is Version.SSLV3:
            self.lengths = LENGTHS[Shape.NO_EXTENSIONS]
        self.usual = usual_offer(known, version)
        if version is Version.TLS1_3 and self.usual.groups is None:
            groups = groups_of(version, Shape.PLAIN) + groups_of(version, Shape.OTHER_GROUPS)
            self.usual = replace(self.usual, groups=groups)
        self.candidates = candidates(version)
        if self.usual.extra:  # which names a user
            self.candidates += tuple(filter(wants_user, suites_there_are(version)))
        self.control: Wish | None = None
        self.of_others: list[int] = []  # suites that brought another version
        self.told: dict[tuple[int, ...], HelloAnswer] = {}  # what was offered to see whether it is answered at all

    def script(self) -> Script[None]:
        """See the head of the module."""
        pool, *others = yield from self._lists()
        rests = list(map(list, others))
        heads: dict[int, list[int]] = {}  # the best of each rest, which is not in it any more
        while True:
            yield from self._refill(heads, rests)
            chosen = yield from self._choose([*pool, *heads]) if pool or heads else _nothing()
            if chosen is None:
                break
            self.listing.found.append(chosen)
            if chosen in heads:
                rests.append(heads.pop(chosen))
            else:
                pool.remove(chosen)
        if not self.listing.found or self.sure in pool:  # it had one, and refuses it now
            raise UnclearError
        yield from self._confirm_others()
        yield from order_of(self.listing, _backwards(self.listing.found[: self.lengths[0]]), self._choose)

    def _offer(self, suites: Sequence[int]) -> Offer:
        return replace(self.usual, suites=(*suites, RENEGOTIATION_SCSV))

    def _lists(self) -> Script[list[list[int]]]:
        """The lists, as long as the server takes them; the first was answered."""
        for length in self.lengths:
            lists = _in_lists(self.candidates, length, self.sure)
            hello = yield partial(self._offer, lists[0])
            if hello.is_hello:
                self.told = {tuple(lists[0]): hello}
                self.control = partial(self._offer, [hello.cipher] if hello.cipher in lists[0] else list(lists[0]))
                return lists
        raise UnclearError

    def _refill(self, heads: dict[int, list[int]], rests: list[list[int]]) -> Script[None]:
        """Ask each rest for its best. One that has none is done with."""
        while rests:
            rest = rests.pop()
            chosen = yield from self._choose(rest) if rest else _nothing()
            if chosen is not None:
                rest.remove(chosen)
                heads[chosen] = rest

    def _choose(self, suites: Sequence[int]) -> Script[int | None]:
        """Which of these it chooses; None if none. One that brings another version is none of this one's, for good:
        else a server could bring one after the other, again and again.
        """
        left = [suite for suite in suites if suite not in self.of_others]
        while left:
            hello = self.told.pop(tuple(left), None) or (yield from answered(partial(self._offer, left), self.control))
            if hello is None:
                return None
            if hello.cipher not in left:
                self._does_not_look(hello.cipher)
                raise UnclearError
            if hello.version == self.version.code:
                return hello.cipher
            if (hello.version or 0) > self.version.code:
                self.listing.flags.add("violation")
                raise UnclearError
            left.remove(hello.cipher)
            self.of_others.append(hello.cipher)
        return None

    def _confirm_others(self) -> Script[None]:
        """They may have come from another server behind the same address: together they have to bring it once more."""
        if others := self.of_others[: self.lengths[0]]:
            hello = yield from answered(partial(self._offer, others), self.control)
            if hello and hello.version == self.version.code:
                raise UnclearError

    def _does_not_look(self, suite: int | None) -> None:
        """It chose what was not offered. What it had chosen from an offer, before the probe, it has all the same."""
        self.listing.flags.add("unoffered_cipher")
        if suite is not None and suite == self.sure and suite not in self.listing.found:
            self.listing.found.append(suite)


def _nothing() -> Script[None]:
    """Nothing to ask."""
    yield from ()


def _backwards(found: Sequence[int]) -> list[int]:
    """Another order. Some servers do as a client wishes that puts ChaCha20 first, and only then (OpenSSL's
    SSL_OP_PRIORITIZE_CHACHA): where anything else can begin, it comes last.
    """
    backwards = list(reversed(found))
    others_first = sorted(backwards, key=lambda suite: "CHACHA20" in (cipher_name(suite) or ""))
    return backwards if others_first[:1] == list(found[:1]) else others_first


def _in_lists(suites: Sequence[int], length: int, sure: int | None) -> list[list[int]]:
    """Lists of at most this length; the suite that the server is known to have is in the first."""
    first = list(suites[:length])
    rest = list(suites[length:])
    if sure in rest:
        rest.remove(sure)
        rest.insert(0, first.pop())
        first.append(sure)
    return [first, *(rest[at : at + length] for at in range(0, len(rest), length))]


# --- What there is ----------------------------------------------------------------------------------------------------


@cache
def candidates(version: Version) -> tuple[int, ...]:
    """All suites that a server of this version may choose: the strong and the usual ones first."""
    there_are = suites_there_are(version)
    if version is Version.TLS1_3:
        return there_are
    usual = (suite for suite in SUITES[version] if suite in there_are)
    return tuple(suite for suite in dict.fromkeys((*usual, *there_are)) if not wants_user(suite))


def without_forward_secrecy(result: Mapping[str, Any]) -> Iterator[str]:
    """The versions whose list is complete, and has no suite with forward secrecy."""
    for version, part in result["versions"].items():
        if part["complete"] and not any(suite["forward_secrecy"] for suite in part["suites"]):
            yield version
