"""What the DNS says to one question: values, whoever asked and however it was carried."""

from dataclasses import dataclass
from enum import StrEnum

import dns.rdata


class DnsStatus(StrEnum):
    """How a question ended. The last three are not final: another time may bring another answer."""

    OK = "ok"
    NXDOMAIN = "nxdomain"  # the name does not exist (RFC 8020)
    NODATA = "nodata"  # the name has no record of that type (RFC 2308 §2.2)
    SERVFAIL = "servfail"  # or another error of the server's
    TIMEOUT = "timeout"  # no server answered
    BOGUS = "bogus"  # it does not validate: extended error 6 (RFC 8914 §4.7), or an answer only with checking disabled

    @property
    def is_final(self) -> bool:
        """Is it an answer of the domain's own, and not only of the moment?"""
        return self in (DnsStatus.OK, DnsStatus.NXDOMAIN, DnsStatus.NODATA)


class Dnssec(StrEnum):
    """What a validating resolver that we trust says of an answer (RFC 4035 §4.3)."""

    SECURE = "secure"
    INSECURE = "insecure"
    BOGUS = "bogus"
    INDETERMINATE = "indeterminate"  # nobody that we trust has validated it


@dataclass(frozen=True, slots=True)
class DnsAnswer:
    """The answer to one question (name and type), whatever it was. `records` are of the type that was asked.

    `canonical`: the name at the end of the chain of aliases (CNAME), where the name is one. `ttl_s`: for how long it
    holds, in seconds.
    """

    status: DnsStatus
    records: tuple[dns.rdata.Rdata, ...] = ()
    canonical: str | None = None
    dnssec: Dnssec = Dnssec.INDETERMINATE
    ttl_s: float = 0.0
    detail: str | None = None  # what to say of a failure
