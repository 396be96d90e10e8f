"""Mail domains and results for tests, made by hand."""

from collections.abc import Sequence
from dataclasses import replace
from ipaddress import ip_address

import dns.exception
import dns.rdata
from dns.rdata import Rdata
from dns.rdataclass import RdataClass
from dns.rdatatype import RdataType

from scanner.conclusion import Status
from scanner.endpoint_result import EndpointResult
from targets.answer import DnsAnswer, Dnssec, DnsStatus
from targets.domain_expand import DomainExpander
from targets.domain_targets import DomainTargets
from targets.exclude import Exclusions
from targets.mail_answer import DomainAnswer, MailHost, Mx, mx_oddities
from targets.seen import Seen
from targets.target import MailDomain, Origin
from tests.peers.answers import Answers, answer

TLS = EndpointResult(Status.TLS, ())
NO_TLS = EndpointResult(Status.NO_TLS)


def tlsa(*records: str) -> tuple[Rdata, ...]:
    """TLSA records from their text."""
    return tuple(map(_tlsa, records))


def _tlsa(record: str) -> Rdata:
    """As the resolver has it: what the library refuses is there all the same."""
    try:
        return dns.rdata.from_text("IN", "TLSA", record)
    except dns.exception.SyntaxError:
        usage, selector, matching, data = record.split()
        wire = bytes([int(usage), int(selector), int(matching)]) + bytes.fromhex(data)
        return dns.rdata.GenericRdata(RdataClass.IN, RdataType.TLSA, wire)


def host(
    name: str,
    *addresses: str,
    status: DnsStatus | None = None,
    dnssec: Dnssec = Dnssec.SECURE,
    records: Sequence[str] | None = (),
) -> MailHost:
    """A host with these addresses, and these TLSA records."""
    found = status or (DnsStatus.OK if addresses else DnsStatus.NODATA)
    made = MailHost(
        name,
        found,
        dnssec,
        tuple(map(ip_address, addresses)),
        tlsa=None if records is None else tlsa(*records),
        tlsa_base=None if records is None else name,
        is_final=found.is_final,
    )
    return replace(made, oddities=mx_oddities(made))


def domain(name: str, *hosts: MailHost, mx: DnsAnswer | None = None, **facts: object) -> DomainAnswer:
    """What the DNS says of a domain with these MX hosts."""
    if mx is None:
        mx = answer("MX", *(f"{number} {each.name}." for number, each in enumerate(hosts)), dnssec=Dnssec.SECURE)
    own = MailDomain(Origin(f"mx:{name}", 1), name)
    return DomainAnswer(own, mx, tuple(Mx(number, each) for number, each in enumerate(hosts)), **facts)  # type: ignore[arg-type]


class Expanding:
    """Expands domains as a run does, each endpoint being fresh once."""

    def __init__(self, seen: Seen | None = None) -> None:
        self.expander = DomainExpander(Exclusions(), seen or Seen(), Answers({}))

    def targets(self, found: DomainAnswer) -> DomainTargets:
        """A domain with its endpoints."""
        return self.expander.expand(found)[1]
