"""What the record of each domain must say, in the words of the record; `mx` by host, and `tlsa` with matches first."""

from typing import Any

from tests.live_full.world.names import (
    BOOKS,
    CLOSED,
    EXPIRED,
    FORBIDDEN,
    GOOD,
    MANY,
    OTHER_NAME,
    PLAIN,
    SELF_SIGNED,
)
from tests.live_full.world.servers import MAX_AGE_S

Truth = dict[str, Any]


def found(*ids: str) -> list[str]:
    """The findings by their ids."""
    return sorted(ids)


def host(address: str | None, preference: int = 10, *, dnssec: str = "secure", dns: str = "ok", **more: Any) -> Truth:
    """An MX host with one address, or none."""
    return {"preference": preference, "dns": dns, "dnssec": dnssec, "addresses": [address] if address else [], **more}


def tlsa(usage: int, selector: int, *, unusable: str | None = None, matched: bool | None) -> Truth:
    """A TLSA record with a SHA-256."""
    verdict = {"usable": unusable is None, "unusable": unusable, "matched": matched}
    return {"usage": usage, "selector": selector, "matching": 1, **verdict}


def domain(
    status: str,
    mx: dict[str, Truth] | None = None,
    *,
    dnssec: str = "secure",
    dns: str = "ok",
    dane: Truth | None = None,
    mta_sts: Truth | None = None,
    findings: tuple[str, ...] = (),
    implicit: bool = False,
    **more: Any,
) -> Truth:
    """A domain without policies, unless they are named."""
    return {
        "status": status,
        "dnssec": dnssec,
        "dns": {"mx": dns},
        "implicit_mx": implicit,
        "mx": mx or {},
        "policy": {"dane": dane, "mta_sts": mta_sts, "tls_rpt": None},
        "findings": found(*findings, *failures("dane-fails", dane), *failures("mta-sts-fails", mta_sts)),
        **more,
    }


def failures(finding: str, policy: Truth | None) -> list[str]:
    """The finding of a policy that is not kept."""
    return [finding] if policy and policy["results"] else []


def results(*words: str) -> Truth:
    """What a policy came to, in RFC 8460's words."""
    return {"results": sorted(words)}


def sts(*words: str, mode: str | None = "enforce", **more: Any) -> Truth:
    """MTA-STS."""
    return {"mode": mode, **more, **results(*words)}


NOT_TO_BE_HAD: Truth = {"mode": None, "results": None}  # this time, or by us: nobody knows what it says
MX1_TLSA = [tlsa(3, 1, matched=True)]
SHARED: dict[str, Truth] = {"mx1.good.test": host(GOOD, tlsa=MX1_TLSA)}


def shared(mta_sts: Truth | None = None, *findings: str, **more: Any) -> Truth:
    """A domain behind the MX host of good.test, whose DANE it has with it."""
    return domain("all_tls", SHARED, dane=results(), mta_sts=mta_sts, findings=findings, **more)


def one(name: str, address: str, *rows: Truth, status: str = "all_tls", **more: Any) -> Truth:
    """A domain with one MX host."""
    return domain(status, {f"mx.{name}": host(address, tlsa=list(rows))}, **more)


TRUTHS: dict[str, Truth] = {
    "good.test": domain(
        "all_tls",
        {
            "mx1.good.test": host(GOOD, tlsa=MX1_TLSA, in_sts_policy=True),
            "mx2.good.test": host(GOOD, 20, tlsa=[tlsa(3, 0, matched=True)], in_sts_policy=True),
        },
        dane=results(),
    )
    | {
        "dns": {"mx": "ok", "mta_sts": "ok", "tls_rpt": "ok"},
        "policy": {
            "dane": results(),
            "mta_sts": sts(id="20261128", max_age=MAX_AGE_S, mx=["*.good.test"]),
            "tls_rpt": {"addresses": ["mailto:tls@good.test", "https://good.test/tls"]} | results(),
        },
    },
    **{f"shared-{number}.test": shared() for number in range(1, 6)},
    "rollover.test": one("rollover.test", GOOD, tlsa(3, 1, matched=True), tlsa(3, 1, matched=False), dane=results()),
    "wrong.test": one("wrong.test", GOOD, tlsa(3, 1, matched=False), dane=results("tlsa-invalid")),
    "ta.test": one("ta.test", GOOD, tlsa(2, 1, matched=True), dane=results()),
    # DANE-EE knows neither names nor dates (RFC 7672 §3.1.1); MTA-STS does.
    "ee-expired.test": one(
        "ee-expired.test", EXPIRED, tlsa(3, 1, matched=True), dane=results(), mta_sts=sts("certificate-expired")
    ),
    "self-signed.test": one("self-signed.test", SELF_SIGNED, mta_sts=sts("certificate-not-trusted")),
    "plain.test": one(
        "plain.test",
        PLAIN,
        tlsa(3, 1, matched=None),
        status="no_tls",
        dane=results("starttls-not-supported"),
        mta_sts=sts("starttls-not-supported"),
    ),
    "insecure.test": domain("all_tls", {"mx.insecure.test": host(GOOD, dnssec="insecure")}, dnssec="insecure"),
    "closed.test": domain("unreachable", {"mx.closed.test": host(CLOSED)}),
    "some.test": domain("some_tls", {"mx.some.test": host(GOOD), "plain.some.test": host(PLAIN, 20)}),
    "null.test": domain("null_mx"),
    "null-with-others.test": shared(None, "null-mx-with-others"),
    "implicit.test": domain(
        "all_tls", {"implicit.test": {"dns": "ok", "addresses": [GOOD]}}, dns="nodata", implicit=True
    ),
    "nothing.test": domain("nodata", dns="nodata"),
    "absent.test": domain("nxdomain", dns="nxdomain"),
    # The TLSA records are those of the name that it stands for (RFC 7672 §2.2.2).
    "alias.test": domain(
        "all_tls", {"mx.alias.test": host(GOOD, tlsa=MX1_TLSA)}, dane=results(), findings=("mx-is-alias",)
    ),
    "address.test": domain(
        "all_tls",
        {"127.77.61.1": {"preference": 10, "dns": "nxdomain", "addresses": []}, "mx1.good.test": host(GOOD, 20)},
        dane=results(),
        findings=("mx-is-address", "mx-without-address"),
    ),
    "many.test": domain("all_tls", {f"mx{n}.many.test": host(GOOD, n) for n in range(1, MANY + 1)}),
    BOOKS: domain("all_tls", {f"mx.{BOOKS}": host(GOOD)}),
    "blocked.test": domain("blocked", {"mx.blocked.test": {"dns": "ok"}}),
    "half-blocked.test": domain("all_tls", {"mx.half-blocked.test": {"dns": "ok"}}),
    "bogus.test": domain("bogus", dns="bogus", dnssec="bogus", dane=results("dnssec-invalid")),
    "bogus-mx.test": domain(
        "inconclusive", {"mx.forged.test": host(None, dns="bogus", dnssec="bogus")}, dane=results("dnssec-invalid")
    ),
    "lame.test": domain("servfail", dns="servfail", dnssec="indeterminate"),
    # When it is asked again half a minute later, Unbound has given up.
    "dead.test": domain("servfail", dns="servfail", dnssec="indeterminate"),
    "huge.test": shared(sts(mx=["mx1.good.test"])),
    "sts-expired.test": shared(sts("sts-webpki-invalid", mode=None)),
    "sts-self-signed.test": shared(sts("sts-webpki-invalid", mode=None)),
    "sts-other-mx.test": shared(sts("validation-failure", mx=["mx.elsewhere.test"])),
    "sts-redirect.test": shared(sts("sts-policy-fetch-error", mode=None)),
    "sts-large.test": shared(sts("sts-policy-fetch-error", mode=None)),
    "sts-slow.test": shared(NOT_TO_BE_HAD),
    "sts-missing.test": shared(sts("sts-policy-fetch-error", mode=None)),
    "sts-invalid.test": shared(sts("sts-policy-invalid")),
    "sts-html.test": shared(sts("sts-policy-invalid", mode=None)),
    "sts-testing.test": shared(sts(mode="testing")),
    "sts-none.test": shared(sts(mode="none")),
    "sts-blocked.test": shared(NOT_TO_BE_HAD),
    "sts-two.test": shared(sts("sts-policy-invalid", mode=None)),
    "rpt-invalid.test": shared(None, "tls-rpt-invalid") | {"policy": {"tls_rpt": results("record-invalid")}},
    "other-name.test": one(
        "other-name.test",
        OTHER_NAME,
        tlsa(2, 1, matched=True),
        dane=results("certificate-host-mismatch"),
        mta_sts=sts("certificate-host-mismatch"),
    ),
    "unusable.test": one(
        "unusable.test", GOOD, tlsa(1, 1, unusable="usage", matched=None), dane=results("tlsa-invalid")
    ),
    "srv.test": shared(),
}
NEVER_REACHED = FORBIDDEN
