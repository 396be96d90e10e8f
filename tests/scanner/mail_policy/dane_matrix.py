"""Chains and TLSA records, and what they come to. An OpenSSL that knows DANE is asked the same in `tests/live_full`."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from hashlib import sha256, sha512
from itertools import product

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from scanner.mail_policy.dane import CERTIFICATE, DANE_EE, DANE_TA, FULL, KEY, SHA2_256, SHA2_512, Tlsa
from scanner.mail_policy.result import Result
from tests.scanner.test_trust import DAY, HOST, NOW, Made, authority, key_of, leaf, made

OK: tuple[Result, ...] = ()
INVALID = (Result.TLSA_INVALID,)
UNNAMED, EXPIRED, UNTRUSTED = (Result.HOST_MISMATCH,), (Result.EXPIRED,), (Result.NOT_TRUSTED,)
LONG_AGO = (NOW - 300 * DAY, NOW - DAY)


@dataclass(frozen=True)
class Case:
    """`chain` as it is sent, leaf first. `openssl`: what that makes of it, where it sees it otherwise."""

    name: str
    chain: tuple[Made, ...]
    records: tuple[Tlsa, ...]
    results: tuple[Result, ...]
    openssl: tuple[Result, ...] | None = None

    @property
    def ders(self) -> tuple[bytes, ...]:
        """The chain in DER."""
        return tuple(each.der for each in self.chain)


def tlsa(usage: int, selector: int, matching: int, of: Made) -> Tlsa:
    """The record that vouches for a certificate, or for its key."""
    key = of.certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    selected = of.der if selector == CERTIFICATE else key
    data = {FULL: selected, SHA2_256: sha256(selected).digest(), SHA2_512: sha512(selected).digest()}[matching]
    return Tlsa(usage, selector, matching, data)


def broken(record: Tlsa) -> Tlsa:
    """The same for nobody."""
    return Tlsa(record.usage, record.selector, record.matching, record.data[:-1] + bytes([record.data[-1] ^ 1]))


class World:
    """The certificates of the cases."""

    def __init__(self) -> None:
        self.root = authority("root")
        self.middle = authority("middle", self.root)
        self.leaf = leaf(self.middle)
        self.expired = leaf(self.middle, period=LONG_AGO)
        self.elsewhere = leaf(self.middle, names=("mx.example.net",))
        self.other_root = authority("other root")
        self.other = leaf(self.other_root, key=key_of("another key"))
        self.alone = leaf(None)
        self.old_middle = authority("middle", self.root, period=LONG_AGO)
        self.by_old_middle = leaf(self.old_middle)
        self.old_root = authority("root", period=LONG_AGO)
        self.by_old_root = leaf(self.old_root)
        self.constrained = authority("no more below", self.root, length=0)
        self.below = authority("below", self.constrained)
        self.too_deep = leaf(self.below)
        self.common_name = made(HOST, self.middle)


@cache
def cases() -> tuple[Case, ...]:
    """All of them."""
    return (*_kinds(), *_issuers(), *_left_out(), *_several(), *_unusable())


def _kinds() -> Iterator[Case]:
    """Each usable kind of record, right and wrong, for the leaf and for the issuer."""
    world = World()
    for usage, selector, matching in product((DANE_TA, DANE_EE), (CERTIFICATE, KEY), (FULL, SHA2_256, SHA2_512)):
        kind, subject = f"{usage} {selector} {matching}", world.leaf if usage == DANE_EE else world.middle
        chain = (world.leaf, world.middle)
        right = tlsa(usage, selector, matching, subject)
        yield Case(f"{kind} right", chain, (right,), OK)
        yield Case(f"{kind} other", chain, (tlsa(usage, selector, matching, world.other),), INVALID)
        if matching != FULL:
            yield Case(f"{kind} wrong", chain, (broken(right),), INVALID)
        of_the_other = tlsa(usage, selector, matching, world.leaf if usage == DANE_TA else world.middle)
        yield Case(f"{kind} of the other place", chain, (of_the_other,), INVALID)
        for name, given, failed in (
            ("expired", world.expired, EXPIRED),
            ("elsewhere", world.elsewhere, UNNAMED),
        ):
            record = tlsa(usage, selector, matching, given if usage == DANE_EE else world.middle)
            yield Case(f"{kind} {name}", (given, world.middle), (record,), OK if usage == DANE_EE else failed)
        alone = tlsa(usage, selector, matching, world.alone)
        # A key that has signed its own certificate has signed the topmost one (RFC 7671 §5.2.3).
        signs_itself = (usage, selector, matching) == (DANE_TA, KEY, FULL)
        yield Case(f"{kind} alone", (world.alone,), (alone,), OK if usage == DANE_EE or signs_itself else INVALID)


def _issuers() -> Iterator[Case]:
    """What DANE-TA asks of the chain."""
    world = World()
    middle, root = (tlsa(DANE_TA, KEY, SHA2_256, each) for each in (world.middle, world.root))
    yield Case("root at the top", (world.leaf, world.middle, world.root), (root,), OK)
    yield Case("middle below a root", (world.leaf, world.middle, world.root), (middle,), OK)
    yield Case("in another order", (world.leaf, world.root, world.middle), (root,), OK)
    yield Case("a gap below the root", (world.leaf, world.root), (root,), INVALID)
    stranger = (world.other, world.middle)
    yield Case("not its issuer", stranger, (middle,), INVALID)
    forged = leaf(world.middle, signer=world.other_root.key)
    yield Case("not its signature", (forged, world.middle), (middle,), UNTRUSTED)
    old = tlsa(DANE_TA, CERTIFICATE, SHA2_256, world.old_middle)
    # Of the issuer at the top, it looks at the period of one that has signed itself, and not at that of another.
    yield Case("an issuer that is expired", (world.by_old_middle, world.old_middle), (old,), UNTRUSTED, openssl=OK)
    by_old_root = (world.by_old_root, world.old_root)
    yield Case(
        "a root that is expired", by_old_root, (tlsa(DANE_TA, CERTIFICATE, SHA2_256, world.old_root),), UNTRUSTED
    )
    deep = (world.too_deep, world.below, world.constrained)
    yield Case("too many below", deep, (tlsa(DANE_TA, CERTIFICATE, SHA2_256, world.constrained),), UNTRUSTED)
    yield Case("by its common name", (world.common_name, world.middle), (middle,), OK)
    nameless = leaf(world.middle, subject=x509.Name([]))
    yield Case("without a subject", (nameless, world.middle), (middle,), OK)
    wild = leaf(world.middle, names=("*.example.org",))
    yield Case("by a wildcard", (wild, world.middle), (middle,), OK)
    both = leaf(world.middle, names=("mx.example.net",), period=LONG_AGO)
    yield Case("expired and elsewhere", (both, world.middle), (middle,), (*UNNAMED, *EXPIRED))


def _left_out() -> Iterator[Case]:
    """Issuers that are in a record in full, and were not sent."""
    world = World()
    for selector, matching, found in (
        (CERTIFICATE, FULL, OK),
        (KEY, FULL, OK),
        (CERTIFICATE, SHA2_256, INVALID),
        (KEY, SHA2_512, INVALID),
    ):
        kind = f"2 {selector} {matching}"
        root, middle = (tlsa(DANE_TA, selector, matching, each) for each in (world.root, world.middle))
        yield Case(f"{kind} root left out", (world.leaf, world.middle), (root,), found)
        yield Case(f"{kind} middle left out", (world.leaf,), (middle,), found)
        yield Case(f"{kind} root and middle left out", (world.leaf,), (root,), INVALID)
        other = tlsa(DANE_TA, selector, matching, world.other_root)
        yield Case(f"{kind} another root", (world.leaf, world.middle), (other,), INVALID)
    same_name = made("root", None, (x509.BasicConstraints(ca=True, path_length=None), True), key=world.other_root.key)
    # It takes this one for the issuer by the name alone, and then finds that it is not.
    same = tlsa(DANE_TA, CERTIFICATE, FULL, same_name)
    yield Case("of the same name", (world.leaf, world.middle), (same,), INVALID, openssl=UNTRUSTED)
    root = tlsa(DANE_TA, CERTIFICATE, FULL, world.root)
    yield Case("left out, expired", (world.expired, world.middle), (root,), EXPIRED)
    yield Case("left out, elsewhere", (world.elsewhere, world.middle), (root,), UNNAMED)


def _several() -> Iterator[Case]:
    """Rollovers, and digests of several strengths (RFC 7671 §8.1, §9)."""
    world = World()
    chain = (world.leaf, world.middle)
    now, then = (tlsa(DANE_EE, KEY, SHA2_256, each) for each in (world.leaf, world.other))
    yield Case("rollover, the old key", chain, (now, then), OK)
    yield Case("rollover, the new key", chain, (then, now), OK)
    yield Case("rollover, neither", chain, (then, broken(now)), INVALID)
    issuer = tlsa(DANE_TA, KEY, SHA2_256, world.middle)
    yield Case("leaf or issuer, the issuer", chain, (then, issuer), OK)
    yield Case(
        "leaf or issuer, the leaf", (world.elsewhere, world.middle), (issuer, tlsa(3, 1, 1, world.elsewhere)), OK
    )
    strong, other_kind = tlsa(DANE_EE, KEY, SHA2_512, world.leaf), tlsa(DANE_EE, CERTIFICATE, SHA2_256, world.leaf)
    yield Case("both digests", chain, (now, strong), OK)
    yield Case("the weaker one matches", chain, (now, broken(strong)), INVALID)
    yield Case("the stronger one matches", chain, (broken(now), strong), OK)
    yield Case("a weaker one of another selector", chain, (other_kind, broken(strong)), OK)
    full = tlsa(DANE_EE, KEY, FULL, world.leaf)
    yield Case("in full beside a digest", chain, (full, broken(strong)), OK)
    short = Tlsa(DANE_EE, KEY, SHA2_512, strong.data[:-1])
    yield Case("a stronger one that is cut short", chain, (now, short), OK)


def _unusable() -> Iterator[Case]:
    """Records that nobody can use, alone and beside one that is right."""
    world = World()
    chain, right = (world.leaf, world.middle), tlsa(DANE_EE, KEY, SHA2_256, world.leaf)
    digest = right.data
    for name, record in {
        "PKIX-TA": Tlsa(0, KEY, SHA2_256, sha256(b"").digest()),
        "PKIX-EE": Tlsa(1, KEY, SHA2_256, digest),
        "usage 4": Tlsa(4, KEY, SHA2_256, digest),
        "PrivCert": Tlsa(255, KEY, SHA2_256, digest),
        "selector 2": Tlsa(DANE_EE, 2, SHA2_256, digest),
        "matching 3": Tlsa(DANE_EE, KEY, 3, digest),
        "SHA-1": Tlsa(DANE_EE, KEY, SHA2_256, digest[:20]),
        "too long": Tlsa(DANE_EE, KEY, SHA2_256, digest + b"\0"),
        "a digest as SHA-512": Tlsa(DANE_EE, KEY, SHA2_512, digest),
        "empty": Tlsa(DANE_EE, KEY, SHA2_256, b""),
        "empty in full": Tlsa(DANE_EE, CERTIFICATE, FULL, b""),
        "no certificate": Tlsa(DANE_EE, CERTIFICATE, FULL, digest),
        "no key": Tlsa(DANE_TA, KEY, FULL, digest),
        "a certificate for a key": Tlsa(DANE_EE, KEY, FULL, world.leaf.der),
        "a certificate and more": Tlsa(DANE_EE, CERTIFICATE, FULL, world.leaf.der + b"\0"),
        "a key and more": Tlsa(DANE_EE, KEY, FULL, tlsa(DANE_EE, KEY, FULL, world.leaf).data + b"\0"),
    }.items():
        # To s_client, which is no mail server, PKIX-TA and PKIX-EE are usable.
        yield Case(f"{name} alone", chain, (record,), INVALID, openssl=UNTRUSTED if record.usage < DANE_TA else None)
        yield Case(f"{name} beside a good one", chain, (record, right), OK)
