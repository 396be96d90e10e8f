"""The record of a mail domain → what was known of it: so that it can be made again when more is known.

Pure. Where several machines scanned a share each, the one that has a domain does not know what its endpoints came to on
the others. All else is in its record: from that, and from the results of all, the same code makes it anew.
"""

from collections.abc import Mapping
from ipaddress import ip_address
from typing import Any

from dns.rdata import GenericRdata, Rdata
from dns.rdataclass import RdataClass
from dns.rdatatype import RdataType

from scanner.domain_status import DomainStatus, Known, StsFound, known_of
from scanner.domains import Domains
from scanner.mail_policy.mta_sts import PolicyError, StsMode, StsPolicy, StsRecord
from scanner.mail_policy.result import Result
from scanner.mail_policy.text_record import RecordError
from scanner.mail_policy.tls_rpt import TlsRpt
from targets.answer import DnsAnswer, Dnssec, DnsStatus
from targets.domain_targets import DomainTargets
from targets.mail_answer import DomainAnswer, MailHost, Mx, Oddity, Srv, SrvAnswer
from targets.services import SERVICES
from targets.target import Endpoint, Origin, endpoint_named, mail_domain_named

Part = Mapping[str, Any]


def recorded_domain(record: Part, domains: Domains) -> Known:
    """A domain by its record, with what `domains` knows of its endpoints.

    Raises KeyError, TypeError and ValueError for what is no record.
    """
    policy = record["policy"] or {}
    sts, tls_rpt = policy.get("mta_sts"), policy.get("tls_rpt")
    found = None if sts is None else _sts_found(sts)
    known = known_of(_targets(record), domains, found)
    return Known(
        known.targets,
        known.of_mx,
        known.of_srv,
        found,
        None if sts is None else _sts_record(sts),
        None if tls_rpt is None else TlsRpt(tuple(tls_rpt["addresses"]), _record_error(tls_rpt["error"])),
    )


def _targets(record: Part) -> DomainTargets:
    origin = Origin(record["input"], record["line"], record["tags"])
    srv = record["srv"]
    return DomainTargets(
        _answer(record, origin),
        tuple(_endpoints(mx, origin) for mx in record["mx"]),
        None
        if srv is None
        else {SERVICES[name]: tuple(_endpoints(each, origin) for each in some or ()) for name, some in srv.items()},
        blocked=int(record["status"] == DomainStatus.BLOCKED),
    )


def _endpoints(host: Part, origin: Origin) -> tuple[Endpoint, ...]:
    return tuple(endpoint_named(each, origin) for each in host["endpoints"])


def _answer(record: Part, origin: Origin) -> DomainAnswer:
    """What the DNS said; what is odd about its hosts is told of the domain, which comes to the same findings."""
    dns, srv = record["dns"], record["srv"]
    found = {each["id"] for each in record["findings"] or ()}
    return DomainAnswer(
        mail_domain_named(record["id"], origin),
        None
        if dns["mx"] is None
        else DnsAnswer(DnsStatus(dns["mx"]), canonical=record["canonical"], dnssec=Dnssec(record["dnssec"])),
        tuple(Mx(mx["preference"], _host(mx)) for mx in record["mx"]),
        is_implicit=record["implicit_mx"],
        is_null=record["status"] == DomainStatus.NULL_MX,
        srv=None
        if srv is None
        else {SERVICES[name]: _srv_answer(dns["srv"][name], targets) for name, targets in srv.items()},
        mta_sts=_text_answer(dns["mta_sts"]),
        tls_rpt=_text_answer(dns["tls_rpt"]),
        oddities=frozenset(oddity for oddity in Oddity if oddity in found),
        error=record.get("detail"),
    )


def _text_answer(status: str | None) -> DnsAnswer | None:
    """Without its texts, of which the record has what they say."""
    return None if status is None else DnsAnswer(DnsStatus(status))


def _srv_answer(status: str, targets: list[Part] | None) -> SrvAnswer:
    answer = DnsAnswer(DnsStatus(status))
    if targets is None:
        return SrvAnswer(answer, None)
    return SrvAnswer(
        answer, tuple(Srv(each["priority"], each["weight"], each["port"], _host(each)) for each in targets)
    )


def _host(host: Part) -> MailHost:
    tlsa = host.get("tlsa")
    return MailHost(
        host["host"],
        DnsStatus(host["dns"]),
        Dnssec(host["dnssec"]),
        tuple(map(ip_address, host["addresses"])),
        tlsa=None if tlsa is None else tuple(map(_tlsa, tlsa)),
        tlsa_base=host.get("tlsa_base"),
        tlsa_left_out=host.get("tlsa_left_out", 0),
    )


def _tlsa(record: Part) -> Rdata:
    """RFC 6698 §2.1."""
    wire = bytes([record["usage"], record["selector"], record["matching"]]) + bytes.fromhex(record["data"])
    return GenericRdata(RdataClass.IN, RdataType.TLSA, wire)


def _sts_record(sts: Part) -> StsRecord:
    """Where a policy was had, an error is of that: without a record that counts, none is fetched."""
    return StsRecord(sts["id"], _record_error(sts["error"]) if sts["mx"] is None else None)


def _sts_found(sts: Part) -> StsFound:
    fetch = sts["fetch"]
    policy = result = None
    if sts["mx"] is not None:
        mode, error = sts["mode"], sts["error"]
        policy = StsPolicy(
            None if mode is None else StsMode(mode),
            sts["max_age"],
            tuple(sts["mx"]),
            None if error is None else PolicyError(error),
        )
    elif sts["error"] is None and sts["results"]:
        result = Result(sts["results"][0])
    return StsFound(policy, result, fetch["cause"], fetch["detail"], fetch["address"], fetch["http_status"])


def _record_error(word: str | None) -> RecordError | None:
    return None if word is None else RecordError(word)
