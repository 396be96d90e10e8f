"""The zones of a small DNS: signed from the root to the leaves, but for those that are not, or are broken.

`{name_spki}` and `{name_full}` stand for the SHA-256 of the key, and of the whole, of a certificate: of a leaf, or of
the intermediate.
"""

from dataclasses import dataclass

from tests.live_full.world.names import (
    BOOKS,
    CLOSED,
    EXPIRED,
    EXPIRED_POLICIES,
    FORBIDDEN,
    GOOD,
    MANY,
    NOBODY,
    NSD,
    OTHER_NAME,
    PLAIN,
    POLICIES,
    SELF_SIGNED,
    SELF_SIGNED_POLICIES,
)

WRONG_DIGEST = "00" * 32
STS = '_mta-sts TXT "v=STSv1; id=20261128;"'
SHARED = "@ MX 10 mx1.good.test."


@dataclass(frozen=True, slots=True)
class Zone:
    """One zone; its lines are those of a zone file, relative to its name.

    `forged`: lines that take the place of what was signed. `server`: whom its parent says to ask. `lost`: the file is
    not there, and the server has to say SERVFAIL.
    """

    name: str
    lines: tuple[str, ...]
    signed: bool = True
    forged: tuple[str, ...] = ()
    server: str = NSD
    lost: bool = False


def mx_at(address: str, *more: str) -> tuple[str, ...]:
    """One MX host, `mx`, at this address."""
    return ("@ MX 10 mx", f"mx A {address}", *more)


def tlsa(host: str, usage: int, selector: int, digest: str) -> str:
    """A TLSA record with a SHA-256."""
    return f"_25._tcp.{host} TLSA {usage} {selector} 1 {digest}"


def policy_at(address: str) -> tuple[str, ...]:
    """A policy host."""
    return STS, f"mta-sts A {address}"


def shared(*more: str) -> tuple[str, ...]:
    """The MX host of good.test, which many share."""
    return SHARED, *more


LONG_TEXT = "x" * 250
ZONES = (
    Zone(
        "good.test",
        (
            *("@ MX 20 mx2", "@ MX 10 mx1", f"mx1 A {GOOD}", f"mx2 A {GOOD}"),
            *(tlsa("mx1", 3, 1, "{good_spki}"), tlsa("mx2", 3, 0, "{good_full}")),
            *policy_at(POLICIES),
            '_smtp._tls TXT "v=TLSRPTv1; rua=mailto:tls@good.test,https://good.test/tls"',
        ),
    ),
    *(Zone(f"shared-{number}.test", shared()) for number in range(1, 6)),
    # DANE
    Zone("rollover.test", mx_at(GOOD, tlsa("mx", 3, 1, "{good_spki}"), tlsa("mx", 3, 1, WRONG_DIGEST))),
    Zone("wrong.test", mx_at(GOOD, tlsa("mx", 3, 1, WRONG_DIGEST))),
    Zone("unusable.test", mx_at(GOOD, tlsa("mx", 1, 1, "{good_spki}"))),
    Zone("ta.test", mx_at(GOOD, tlsa("mx", 2, 1, "{intermediate_spki}"))),
    Zone("ee-expired.test", mx_at(EXPIRED, tlsa("mx", 3, 1, "{expired_spki}"), *policy_at(POLICIES))),
    Zone("other-name.test", mx_at(OTHER_NAME, tlsa("mx", 2, 1, "{intermediate_spki}"), *policy_at(POLICIES))),
    Zone("self-signed.test", mx_at(SELF_SIGNED, *policy_at(POLICIES))),
    Zone("plain.test", mx_at(PLAIN, tlsa("mx", 3, 1, "{good_spki}"), *policy_at(POLICIES))),
    Zone("insecure.test", mx_at(GOOD, tlsa("mx", 3, 1, WRONG_DIGEST)), signed=False),
    # MX
    Zone("closed.test", mx_at(CLOSED)),
    Zone("some.test", (*mx_at(GOOD), "@ MX 20 plain", f"plain A {PLAIN}")),
    Zone("null.test", ("@ MX 0 .",)),
    Zone("null-with-others.test", shared("@ MX 0 .")),
    Zone("implicit.test", (f"@ A {GOOD}",)),
    Zone("nothing.test", ("other TXT nothing",)),
    Zone("alias.test", ("@ MX 10 mx", "mx CNAME mx1.good.test.")),
    Zone("address.test", ("@ MX 10 127.77.61.1.", "@ MX 20 mx1.good.test.")),
    Zone("many.test", tuple(f"@ MX {n} mx{n}\nmx{n} A {GOOD}" for n in range(1, MANY + 1))),
    Zone(BOOKS, mx_at(GOOD)),
    Zone("blocked.test", mx_at(FORBIDDEN)),
    Zone("half-blocked.test", mx_at(GOOD, f"mx A {FORBIDDEN}")),
    # broken
    Zone("bogus.test", shared("@ A 127.77.61.9"), forged=("@ MX 10 mx.closed.test.",)),
    Zone("forged.test", (f"mx A {GOOD}",), forged=(f"mx A {CLOSED}",)),
    Zone("bogus-mx.test", ("@ MX 10 mx.forged.test.",)),
    Zone("lame.test", shared(), signed=False, lost=True),
    Zone("dead.test", shared(), signed=False, server=NOBODY),
    # policies
    Zone(
        "huge.test",
        shared(*policy_at(POLICIES), *(f'_mta-sts TXT "{n} {LONG_TEXT}" "{LONG_TEXT}"' for n in range(20))),
    ),
    Zone("sts-expired.test", shared(*policy_at(EXPIRED_POLICIES))),
    Zone("sts-self-signed.test", shared(*policy_at(SELF_SIGNED_POLICIES))),
    *(
        Zone(f"sts-{name}.test", shared(*policy_at(POLICIES)))
        for name in ("other-mx", "redirect", "large", "slow", "missing", "invalid", "testing", "none", "html")
    ),
    Zone("sts-blocked.test", shared(*policy_at(FORBIDDEN))),
    Zone("sts-two.test", shared(*policy_at(POLICIES), '_mta-sts TXT "v=STSv1; id=2;"')),
    Zone("rpt-invalid.test", shared('_smtp._tls TXT "v=TLSRPTv1; rua=gopher:nobody"')),
    Zone(
        "srv.test",
        shared(
            f"mail A {GOOD}",
            "_submission._tcp SRV 10 5 587 mail",
            "_submissions._tcp SRV 0 0 465 mail",
            "_imap._tcp SRV 0 0 0 .",
        ),
    ),
)
