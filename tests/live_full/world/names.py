"""Who is where: the addresses of name servers, MX hosts and policy hosts, and the certificates that they present."""

from tests.live.certificates import Issuer, Leaf

NSD = "127.77.60.1"  # it serves the root, the top level and all zones below
UNBOUND = "127.77.60.2"  # it validates them
NOBODY = "127.77.60.9"

GOOD = "127.77.61.1"
EXPIRED = "127.77.61.2"
SELF_SIGNED = "127.77.61.3"
PLAIN = "127.77.61.4"  # no STARTTLS
OTHER_NAME = "127.77.61.5"
CLOSED = "127.77.61.9"

POLICIES = "127.77.62.1"
EXPIRED_POLICIES = "127.77.62.2"
SELF_SIGNED_POLICIES = "127.77.62.3"

FORBIDDEN = "10.9.8.7"  # private, and not allowed by the scan: nobody may connect to it

MANY = 60  # MX hosts of one domain
BOOKS = "xn--bcher-kva.test"  # bücher.test

_MX_HOSTS = (
    *("mx1.good.test", "mx2.good.test", "*.many.test", f"mx.{BOOKS}", "implicit.test", "mail.srv.test"),
    *(
        f"mx.{name}.test"
        for name in ("rollover", "wrong", "unusable", "ta", "insecure", "some", "alias", "half-blocked")
    ),
)
_WITH_POLICIES = (
    *("good", "huge", "plain", "sts-other-mx", "sts-redirect", "sts-large", "sts-slow", "sts-missing", "sts-invalid"),
    *("sts-testing", "sts-none", "ee-expired", "self-signed", "other-name", "sts-html"),
)
GOOD_LEAF = Leaf("good", _MX_HOSTS)
EXPIRED_LEAF = Leaf(
    "expired", ("mx.ee-expired.test",), not_before="2019-01-01T00:00:00Z", not_after="2021-01-01T00:00:00Z"
)
SELF_SIGNED_LEAF = Leaf("self-signed", ("mx.self-signed.test",), issuer=Issuer.SELF)
OTHER_NAME_LEAF = Leaf("other-name", ("elsewhere.test",))
POLICIES_LEAF = Leaf("policies", tuple(f"mta-sts.{name}.test" for name in _WITH_POLICIES))
EXPIRED_POLICIES_LEAF = Leaf(
    "policies-expired",
    ("mta-sts.sts-expired.test",),
    not_before="2019-01-01T00:00:00Z",
    not_after="2021-01-01T00:00:00Z",
)
SELF_SIGNED_POLICIES_LEAF = Leaf("policies-self-signed", ("mta-sts.sts-self-signed.test",), issuer=Issuer.SELF)
LEAVES = (
    *(GOOD_LEAF, EXPIRED_LEAF, SELF_SIGNED_LEAF, OTHER_NAME_LEAF),
    *(POLICIES_LEAF, EXPIRED_POLICIES_LEAF, SELF_SIGNED_POLICIES_LEAF),
)
