"""The groups of `--groups` up to TLS 1.2, which a ServerKeyExchange names: the curves of ECDHE, and the primes of DHE.

The list of curves is also about the certificate: one with an ECDSA key may be used only where its curve is listed (RFC
8422 §5.1), so that striking it out makes a server refuse which has other curves still. Behind a refusal the rest is
offered once more, with what was named before at its end: then the server names another, or one of these again, which is
a better end than a refusal.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from scanner.probes.probe import Known
from scanner.probes.sweep import (
    Listing,
    Script,
    UnclearError,
    Wish,
    answered,
    known_hello,
    offered_group,
    order_of,
    usual_offer,
)
from scanner.tls.exchange import HelloAnswer
from scanner.tls.hello import SUITES, Shape, suites_of
from scanner.tls.key_exchange import FINITE_GROUPS, FiniteGroup, curve_of, finite_group_of
from scanner.tls.names import Version, cipher_name, group_id, group_name
from scanner.tls.offer import Offer
from scanner.tls.registry import CIPHERS
from scanner.tls.suites import RENEGOTIATION_SCSV
from scanner.tls.wire import HandshakeType

MOST_SUITES = 64
MOST_OF_SMALL = 10  # in a hello of less than 256 bytes, where only such a one was answered


def _codes(text: str) -> tuple[int, ...]:
    return tuple(int(code, 16) for code in text.split())


# Every curve that IANA has numbered for ECDHE, but for those of TLS 1.3 alone; the usual ones first.
CURVES = _codes(
    "001d 0017 001e 0018 0019 001a 001b 001c 0016 0014 0015 0013 0012 000e 000d 000c 000b 000a 0009 0008 0007 0006 "
    "0005 0004 0003 0002 0001 0011 0010 000f 0029"
)
SMALL_CURVES = {*_codes("0001 0002 0003 0004 0005 000f 0010 0011 0012 0013")}  # of 160 to 193 bits


def group_entry(group: int) -> dict[str, Any]:
    """As the record has it."""
    return {"name": group_name(group), "id": group_id(group)}


@dataclass(slots=True)
class FiniteListing(Listing):
    """The groups that a server takes from the client's list, and its own, where that has none."""

    own: FiniteGroup | None = None

    def facts(self) -> dict[str, Any]:
        """As the record has it."""
        own = self.own
        name = group_name(own.named) if own and own.named else None
        return {"bits": own.bits if own else None, "group": name, **self.part("groups", group_entry)}


def _key_exchange(hello: HelloAnswer, version: Version, suites: Sequence[int]) -> bytes:
    """The ServerKeyExchange behind the ServerHello. Raises UnclearError where it did not come."""
    if hello.version != version.code or hello.cipher not in suites:
        raise UnclearError
    for kind, body in hello.behind:
        if kind == HandshakeType.SERVER_KEY_EXCHANGE:
            return body
    raise UnclearError


def _suites(version: Version, *beginnings: str) -> tuple[int, ...]:
    """The suites of these kinds of key exchange; none with a pre-shared key, whose messages are others, nor EXPORT."""
    usual = dict.fromkeys((*SUITES[version], *(CIPHERS if version is Version.TLS1_2 else ())))
    names = {suite: cipher_name(suite) or "" for suite in usual}
    chosen = [
        suite
        for suite, name in names.items()
        if name.startswith(beginnings) and "_PSK_" not in name and "_EXPORT_" not in name
    ]
    return tuple(chosen)


class _Older:
    """What ECDHE and DHE have in common: an offer of such suites, read on to the ServerKeyExchange."""

    def __init__(self, known: Known, version: Version, *beginnings: str) -> None:
        hello = known_hello(known, version)
        self.version = version
        self.small = known.shapes.get(version) is Shape.SMALL
        usual = suites_of(version, Shape.SMALL) if self.small else ()
        first = {*usual, *([hello.cipher] if hello else [])}  # what there is no room for is not asked
        suites = sorted(_suites(version, *beginnings), key=lambda suite: suite not in first)
        self.suites = tuple(suites[: MOST_OF_SMALL if self.small else MOST_SUITES])
        self.usual = usual_offer(known, version)
        self.sure = hello is not None and hello.cipher in self.suites  # such a suite was chosen before
        self.control: Wish = lambda: self.usual

    def offer(self, groups: Sequence[int]) -> Offer:
        """These suites, and these groups."""
        suites = (*self.suites, RENEGOTIATION_SCSV)
        return replace(self.usual, suites=suites, groups=tuple(groups), read_on=HandshakeType.SERVER_KEY_EXCHANGE)

    def message(self, groups: Sequence[int]) -> Script[bytes | None]:
        """The ServerKeyExchange; None for a refusal."""
        hello = yield from answered(partial(self.offer, groups), self.control)
        return _key_exchange(hello, self.version, self.suites) if hello else None


class Ecdhe(_Older):
    """The curves that a ServerKeyExchange names."""

    def __init__(self, known: Known, version: Version, listing: Listing) -> None:
        super().__init__(known, version, "TLS_ECDHE_", "TLS_ECDH_anon_")
        self.listing = listing

    def script(self) -> Script[None]:
        """See the head of the module."""
        if self.usual.bare:  # it takes no list of groups, and so no questions
            yield from self._usual_one()
        found, left = self.listing.found, list(CURVES[:MOST_OF_SMALL] if self.small else CURVES)
        behind: list[int] = []  # what is offered behind those that are left
        while left:
            curve = yield from self._choose([*left, *behind])
            if curve in found:
                break
            if curve is not None:
                found.append(curve)
                left.remove(curve)
                self.control = partial(self.offer, found)
            elif behind or (not found and self.sure):
                raise UnclearError  # it refuses what it had taken before
            elif not found:
                return
            else:
                behind = list(found)
        yield from order_of(self.listing, found[::-1], self._choose)

    def _choose(self, curves: Sequence[int]) -> Script[int | None]:
        message = yield from self.message(curves)
        if message is None:
            return None
        curve = curve_of(message)
        if curve is None:
            self.listing.flags.add("explicit_curve")
        return offered_group(curve, curves, self.listing)

    def _usual_one(self) -> Script[None]:
        curve = yield from self._choose(CURVES)
        if curve is not None:
            self.listing.found.append(curve)
        raise UnclearError


class Dhe(_Older):
    """The prime where the client lists no group in a finite field, and which of RFC 7919's where it lists them.

    Not that of anonymous suites: OpenSSL's is as long as the certificate's key, and there has none to go by.
    """

    def __init__(self, known: Known, version: Version, listing: FiniteListing) -> None:
        super().__init__(known, version, "TLS_DHE_")
        self.listing = listing

    def script(self) -> Script[None]:
        """Up to SSLv3 there is no list. A server that does not look at it names the same group again and again."""
        own = self.listing.own = yield from self._choose(CURVES[:5])
        if self.version is not Version.SSLV3 and not self.usual.bare:
            yield from self._negotiated(own)
        if self.sure and own is None and not self.listing.found:
            raise UnclearError

    def _negotiated(self, own: FiniteGroup | None) -> Script[None]:
        found, left = self.listing.found, sorted(FINITE_GROUPS)
        while left and (chosen := (yield from self._choose(left))):
            if chosen.named is None or chosen.named not in left:
                if own is None:
                    raise UnclearError
                found.clear()  # it was its own all the time
                break
            found.append(chosen.named)
            left.remove(chosen.named)
        yield from order_of(self.listing, found[::-1], self._named)

    def _choose(self, groups: Sequence[int]) -> Script[FiniteGroup | None]:
        message = yield from self.message(groups)
        if message is None:
            return None
        group = finite_group_of(message)
        if group is None:
            raise UnclearError
        return group

    def _named(self, groups: Sequence[int]) -> Script[int | None]:
        group = yield from self._choose(groups)
        return group.named if group else None
