"""`--groups`: which groups a server has for key exchange, in its own order or in ours.

    TLS 1.3          C: groups, and no key share ──▶ S: HelloRetryRequest, which names the one that it prefers
    up to TLS 1.2    C: ECDHE suites, groups     ──▶ S: ServerHello ▶ Certificate ▶ ServerKeyExchange, which names it
                     C: DHE suites               ──▶ S: … ▶ ServerKeyExchange, which has the prime

What was named is struck out, until the server refuses (`sweep.py`; up to TLS 1.2, `older_groups.py`). Nothing needs a
key, hybrid groups included.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from scanner.probes.older_groups import SMALL_CURVES, Dhe, Ecdhe, FiniteListing, group_entry
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
    offered_group,
    order_of,
    play,
    usual_offer,
)
from scanner.tls.exchange import HelloAnswer
from scanner.tls.hello import Shape
from scanner.tls.names import Version
from scanner.tls.offer import Offer
from scanner.tls.talk import Talk
from scanner.tls.wire import Extension, u16, vector

WEAK_FINITE_BITS = 2048  # below, RFC 9325 §4.5


def _codes(text: str) -> tuple[int, ...]:
    return tuple(int(code, 16) for code in text.split())


MOST_OF_SMALL = 17  # up to those of RFC 7919; in a hello of less than 256 bytes, where only such a one was answered
# Hybrid ones first, then as usual today. TLS 1.3 has no others: RFC 8446 §4.2.7 forbids what only older versions had.
TLS13_GROUPS = _codes(
    "11ec 11eb 11ed 11ee 0201 0202 0200 001d 0017 001e 0018 0019 0100 0101 0102 0103 0104 001f 0020 0021 0029 "
    "0022 0023 0024 0025 0026 0027 0028 6399 639a"
)
_NO_SHARE = ()
# A server that does not put up with an empty list of key shares, which RFC 8446 §4.2.8 allows, gets one that it has to
# pass over (RFC 8701 §3.1).
_GREASE = 0x2A2A
_SHARE_OF_GREASE = ((int(Extension.KEY_SHARE), vector(u16(_GREASE) + vector(b"\x00", 2), 2)),)


class Groups(Probe):
    """See the head of the module."""

    name = "groups"
    usual = 25
    help = "Which groups there are for key exchange, post-quantum ones included; about one connection a group."

    def ask(self, known: Known, talked: Sequence[Talked]) -> list[Talk]:
        """The next hello of each list."""
        return play(_Lists(known).scripts, talked)

    def result(self, known: Known, talked: Sequence[Talked]) -> dict[str, Any]:
        """A part for TLS 1.3, and two for the newest version below it; each null where there is no such version."""
        lists = _Lists(known)
        play(lists.scripts, talked)
        asked = [listing for listing in (lists.tls13, lists.ecdhe, lists.dhe) if listing]
        return {
            "complete": bool(asked) and all(listing.complete for listing in asked),
            "tls13": lists.tls13.part("groups", group_entry) if lists.tls13 else None,
            "ecdhe": {"version": lists.older, **lists.ecdhe.part("groups", group_entry)} if lists.ecdhe else None,
            "dhe": {"version": lists.older, **lists.dhe.facts()} if lists.dhe else None,
        }

    def findings(self, result: Mapping[str, Any]) -> Iterable[str]:
        """`weak-dh-group`."""
        bits = result["dhe"]["bits"] if result["dhe"] else None
        curves = result["ecdhe"]["groups"] if result["ecdhe"] else []
        if (bits and bits < WEAK_FINITE_BITS) or any(int(curve["id"], 16) in SMALL_CURVES for curve in curves):
            yield "weak-dh-group"


class _Lists:
    """The lists of an endpoint, with the scripts that fill them."""

    def __init__(self, known: Known) -> None:
        below = [version for version in known.versions if Version.SSLV2 is not version is not Version.TLS1_3]
        self.older = below[-1] if below else None
        self.tls13 = Listing() if Version.TLS1_3 in known.versions else None
        self.ecdhe = Listing() if self.older and self.older is not Version.SSLV3 else None
        self.dhe = FiniteListing() if self.older else None
        self.scripts: Scripts = self._scripts(known)

    def _scripts(self, known: Known) -> Scripts:
        scripts = {}
        if self.tls13:
            scripts["tls13"] = guarded(self.tls13, _Tls13(known, self.tls13).script())
        if self.older and self.ecdhe:
            scripts["ecdhe"] = guarded(self.ecdhe, Ecdhe(known, self.older, self.ecdhe).script())
        if self.older and self.dhe:
            scripts["dhe"] = guarded(self.dhe, Dhe(known, self.older, self.dhe).script())
        return scripts


# --- TLS 1.3 ----------------------------------------------------------------------------------------------------------


class _Tls13:
    """The groups that a HelloRetryRequest names."""

    def __init__(self, known: Known, listing: Listing) -> None:
        self.listing = listing
        self.usual = replace(usual_offer(known, Version.TLS1_3), shares=_NO_SHARE)
        small = known.shapes.get(Version.TLS1_3) is Shape.SMALL
        self.groups = TLS13_GROUPS[:MOST_OF_SMALL] if small else TLS13_GROUPS
        hello = known_hello(known, Version.TLS1_3)
        self.sure = hello.group if hello else None
        self.greased = False
        self.control: Wish | None = None

    def script(self) -> Script[None]:
        """A server of TLS 1.3 has one group at least."""
        group = yield from self._first()
        left = list(self.groups)
        while group is not None:
            self.listing.found.append(group)
            left.remove(group)
            group = yield from self._choose(left)
        if self.sure in left:  # it had taken this one, and refuses it now
            raise UnclearError
        yield from order_of(self.listing, self.listing.found[::-1], self._choose)

    def _offer(self, groups: Sequence[int]) -> Offer:
        if self.greased:
            return replace(self.usual, groups=(_GREASE, *groups), extra=_SHARE_OF_GREASE)
        return replace(self.usual, groups=tuple(groups))

    def _first(self) -> Script[int | None]:
        """Without any key share; else with one that means nothing."""
        for self.greased in (False, True):
            hello = yield partial(self._offer, self.groups)
            if hello.is_hello:
                group = self._group(hello, self.groups)
                self.control = partial(self._offer, [group])
                return group
        raise UnclearError

    def _choose(self, groups: Sequence[int]) -> Script[int | None]:
        if not groups:
            return None
        hello = yield from answered(partial(self._offer, groups), self.control)
        return self._group(hello, groups) if hello else None

    def _group(self, hello: HelloAnswer, offered: Sequence[int]) -> int:
        if hello.version != Version.TLS1_3.code:
            raise UnclearError
        if hello.server_hello is None or not hello.server_hello.retry:  # to what key?
            self.listing.flags.add("violation")
            raise UnclearError
        return offered_group(hello.group, offered, self.listing)
