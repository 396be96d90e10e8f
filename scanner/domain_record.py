"""The record of a mail domain: what the DNS says, what its endpoints came to, what it promises and keeps. Pure."""

from collections.abc import Callable
from typing import Any

from scanner.domain_findings import domain_findings_of
from scanner.domain_status import Joined, Known, StsFound, status_of
from scanner.mail_policy.conformance import DaneMx, StsMx, dane_results, starttls_of, sts_results
from scanner.mail_policy.dane import Dane, Judged, usability
from scanner.mail_policy.mta_sts import StsPolicy, StsRecord
from scanner.mail_policy.result import Result
from scanner.mail_policy.tls_rpt import TlsRpt
from scanner.record import Record, Recorder
from scanner.tlsa_set import tlsas_of
from targets.answer import DnsAnswer, DnsStatus
from targets.mail_answer import MailHost, Mx, Srv, SrvAnswer

Part = dict[str, Any]


def domain_record(recorder: Recorder, known: Known, *, with_policies: bool = True) -> Record:
    """The one record of a mail domain."""
    part = domain_part(known, with_policies=with_policies)
    findings = None if known.answer.error else domain_findings_of(known.answer, part)
    return recorder.domain(known.targets.origin, part, findings)


def domain_part(known: Known, *, with_policies: bool) -> Part:
    """All of the record that is of domains alone, but for the findings."""
    answer, sts = known.answer, _Sts(known)
    hosts = zip(answer.hosts, known.of_mx, strict=True)
    return {
        "id": answer.domain.id,
        "domain": answer.domain.name,
        "status": status_of(known),
        "dnssec": answer.mx.dnssec if answer.mx else None,
        "canonical": answer.mx.canonical if answer.mx else None,
        "dns": {
            "mx": _word(answer.mx),
            "mta_sts": _word(answer.mta_sts),
            "tls_rpt": _word(answer.tls_rpt),
            "srv": None
            if answer.srv is None
            else {service.name: _word(each.answer) for service, each in answer.srv.items()},
        },
        "implicit_mx": answer.is_implicit,
        "mx": [_mx(mx, joined, sts.covers) for mx, joined in hosts],
        "policy": _policy(known, answer.mx, sts) if with_policies and answer.mx else None,
        "srv": _srv(known),
        **({"detail": answer.error} if answer.error else {}),
    }


def _word(answer: DnsAnswer | None) -> DnsStatus | None:
    return answer.status if answer else None


class _Sts:
    """MTA-STS of one domain."""

    def __init__(self, known: Known) -> None:
        self.record = known.sts_record
        self._found = known.sts or StsFound()
        self._known = known

    def covers(self, host: str) -> bool | None:
        """Is the MX host in the policy? None where there is no policy that counts."""
        policy = self._found.policy
        return None if policy is None or policy.error else policy.covers(host)

    def part(self) -> Part | None:
        """None where the domain has no record for it."""
        if self.record is None:
            return None
        found, policy = self._found, self._found.policy or StsPolicy()
        return {
            "id": self.record.id,
            "mode": policy.mode,
            "max_age": policy.max_age_s,
            "mx": policy.mx if found.policy else None,
            "error": self.record.error or policy.error,
            "fetch": {
                "cause": found.cause,
                "detail": found.detail,
                "address": found.address,
                "http_status": found.http_status,
            },
            "results": self._results(self.record),
        }

    def _results(self, record: StsRecord) -> tuple[Result, ...] | None:
        """None where the policy could not be had for a reason of the moment, or of ours."""
        if not (record.error or self._found.result or self._found.policy):
            return None
        return sts_results(record, self._found.result, self._found.policy, self._mx())

    def _mx(self) -> list[StsMx]:
        found = []
        for mx, joined in zip(self._known.answer.hosts, self._known.of_mx, strict=True):
            seen = [result for _, result in joined if result]
            found += [StsMx(mx.host.name, starttls_of(each.status), each.certificate or ()) for each in seen]
            found += [] if seen else [StsMx(mx.host.name)]
        return found


def _policy(known: Known, mx: DnsAnswer, sts: _Sts) -> Part:
    return {"dane": _dane(known, mx), "mta_sts": sts.part(), "tls_rpt": _tls_rpt(known.tls_rpt)}


def _dane(known: Known, answer: DnsAnswer) -> Part | None:
    hosts: list[DaneMx] = []
    for mx, joined in zip(known.answer.hosts, known.of_mx, strict=True):
        seen = [result for _, result in joined if result]
        is_cut = bool(mx.host.tlsa_left_out)
        hosts += [DaneMx(mx.host.dnssec, each.dane, starttls_of(each.status), is_cut) for each in seen]
        if not seen:
            hosts.append(DaneMx(mx.host.dnssec, Dane(_judged(mx.host)) if mx.host.tlsa else None, is_cut=is_cut))
    next_hops = [known.answer.domain.name, *([answer.canonical] if answer.canonical else [])]
    results = dane_results(answer.dnssec, hosts, next_hops)
    return None if results is None else {"results": results}


def _tls_rpt(found: TlsRpt | None) -> Part | None:
    if found is None:
        return None
    return {"addresses": found.addresses, "error": found.error, "results": found.results}


def _mx(mx: Mx, joined: Joined, covers: Callable[[str], bool | None]) -> Part:
    return {
        "host": mx.host.name,
        "preference": mx.preference,
        **_host(mx.host, joined),
        "tlsa": _tlsa(mx.host, joined),
        "tlsa_base": mx.host.tlsa_base,
        "tlsa_left_out": mx.host.tlsa_left_out,
        "in_sts_policy": covers(mx.host.name),
    }


def _host(host: MailHost, joined: Joined) -> Part:
    return {
        "dns": host.status,
        "dnssec": host.dnssec,
        "addresses": list(map(str, host.addresses)),
        "endpoints": [endpoint.id for endpoint, _ in joined],
        "statuses": [result.status if result else None for _, result in joined],
    }


def _judged(host: MailHost) -> tuple[Judged, ...]:
    return usability(tlsas_of(host.tlsa or ()))


def _tlsa(host: MailHost, joined: Joined) -> list[Part] | None:
    """Each record, and whether it matches the certificate of an endpoint of the host, if any was seen."""
    if host.tlsa is None:
        return None
    found = [result.dane.records for _, result in joined if result and result.dane]
    return [_tlsa_record(each, [records[number] for records in found]) for number, each in enumerate(_judged(host))]


def _tlsa_record(record: Judged, seen: list[Judged]) -> Part:
    matches = {each.matched for each in seen} - {None}
    return {
        "usage": record.tlsa.usage,
        "selector": record.tlsa.selector,
        "matching": record.tlsa.matching,
        "data": record.tlsa.data.hex(),
        "usable": record.usable,
        "unusable": record.unusable,
        "matched": True in matches if matches else None,
    }


def _srv(known: Known) -> Part | None:
    if known.answer.srv is None:
        return None
    return {service.name: _targets(each, known.of_srv[service]) for service, each in known.answer.srv.items()}


def _targets(answer: SrvAnswer, joined: tuple[Joined, ...]) -> list[Part] | None:
    if answer.targets is None:
        return None
    return [_target(*each) for each in zip(answer.targets, joined, strict=True)]


def _target(target: Srv, joined: Joined) -> Part:
    return {
        "host": target.host.name,
        "port": target.port,
        "priority": target.priority,
        "weight": target.weight,
        **_host(target.host, joined),
    }
