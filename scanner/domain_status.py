"""A mail domain with all that became known of it, and one word for it.

Pure. What nobody knows is None here as everywhere, and so is the result of an endpoint that was not reached in time.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from scanner.conclusion import Status
from scanner.domains import Domains, tlsa_of_host
from scanner.endpoint_result import EndpointResult
from scanner.mail_policy.mta_sts import StsPolicy, StsRecord, read_sts_record
from scanner.mail_policy.result import Result
from scanner.mail_policy.text_record import texts_of
from scanner.mail_policy.tls_rpt import TlsRpt, read_tls_rpt
from targets.answer import DnsAnswer, DnsStatus
from targets.domain_targets import DomainTargets
from targets.mail_answer import DomainAnswer
from targets.services import Service
from targets.target import Endpoint

Joined = tuple[tuple[Endpoint, EndpointResult | None], ...]  # the endpoints of one host, each with what it came to

_REACHED = {Status.TLS, Status.TLS_FAILED, Status.NO_TLS, Status.INCONCLUSIVE, Status.MISMATCH}


class DomainStatus(StrEnum):
    """One word for a whole domain; without endpoints, it may be one of `DnsStatus` instead."""

    ALL_TLS = "all_tls"
    SOME_TLS = "some_tls"
    NO_TLS = "no_tls"
    UNREACHABLE = "unreachable"
    INCONCLUSIVE = "inconclusive"
    NULL_MX = "null_mx"
    BLOCKED = "blocked"
    ERROR = "error"  # our own fault


@dataclass(frozen=True, slots=True)
class StsFound:
    """What came of fetching a policy: itself, or why there is none. `result` is one that is of the domain's own making.

    `cause` and `detail` say more of a failure; `address` is the one that was connected to, `http_status` its answer.
    """

    policy: StsPolicy | None = None
    result: Result | None = None
    cause: str | None = None
    detail: str | None = None
    address: str | None = None
    http_status: int | None = None


@dataclass(frozen=True, slots=True)
class Known:
    """A domain with all that became known of it. `sts_record` and `tls_rpt` are what its TXT records say, if any do."""

    targets: DomainTargets
    of_mx: tuple[Joined, ...]  # as `answer.hosts`
    of_srv: Mapping[Service, tuple[Joined, ...]]
    sts: StsFound | None = None
    sts_record: StsRecord | None = None
    tls_rpt: TlsRpt | None = None

    @property
    def answer(self) -> DomainAnswer:
        """What the DNS says of it."""
        return self.targets.answer


def known_of(targets: DomainTargets, domains: Domains, sts: StsFound | None) -> Known:
    """Put together what there is."""
    of_mx = tuple(
        tuple((endpoint, domains.result(endpoint, tlsa_of_host(mx.host))) for endpoint in endpoints)
        for mx, endpoints in zip(targets.answer.hosts, targets.of_mx, strict=True)
    )
    of_srv = {
        service: tuple(tuple((endpoint, domains.result(endpoint)) for endpoint in endpoints) for endpoints in each)
        for service, each in (targets.of_srv or {}).items()
    }
    said = targets.answer.tls_rpt
    tls_rpt = read_tls_rpt(texts_of(said.records)) if said else None
    return Known(targets, of_mx, of_srv, sts, sts_record_of(targets.answer), tls_rpt)


def sts_record_of(answer: DomainAnswer) -> StsRecord | None:
    """What the domain says of a policy; None where it says nothing."""
    return read_sts_record(texts_of(answer.mta_sts.records)) if answer.mta_sts else None


def status_of(known: Known) -> DomainStatus | DnsStatus:
    """By the endpoints that were reached: those of its MX hosts, or of its SRV records where only these were asked."""
    answer = known.answer
    if answer.error:
        return DomainStatus.ERROR
    if answer.mx is not None:
        joined, asked = known.of_mx, [answer.mx]
    else:
        joined = tuple(each for targets in known.of_srv.values() for each in targets)
        asked = [each.answer for each in (answer.srv or {}).values()]
    if found := [result.status if result else None for each in joined for _, result in each]:
        return _of_endpoints(found)
    if answer.is_null:
        return DomainStatus.NULL_MX
    return DomainStatus.BLOCKED if known.targets.blocked else _without_endpoints(answer, asked)


def _of_endpoints(found: Iterable[Status | None]) -> DomainStatus:
    """None is an endpoint of which this run does not know: nothing is said of all of them then."""
    every = set(found)
    reached = every & _REACHED
    if Status.TLS in reached and len(reached) > 1:
        return DomainStatus.SOME_TLS
    if None in every:
        return DomainStatus.INCONCLUSIVE
    if not reached:
        return DomainStatus.INCONCLUSIVE if Status.ERROR in every else DomainStatus.UNREACHABLE
    if reached == {Status.TLS}:
        return DomainStatus.ALL_TLS
    return DomainStatus.NO_TLS if reached == {Status.NO_TLS} else DomainStatus.INCONCLUSIVE


def _without_endpoints(answer: DomainAnswer, asked: Sequence[DnsAnswer]) -> DomainStatus | DnsStatus:
    """The word of its own records; where those are there, the hosts that they name have no address to connect to."""
    words = [each.status for each in asked]
    if DnsStatus.OK in words or answer.is_implicit:
        settled = all(host.status.is_final for host in answer.mail_hosts())
        return DomainStatus.UNREACHABLE if settled else DomainStatus.INCONCLUSIVE
    return next((word for word in words if not word.is_final), words[0])
