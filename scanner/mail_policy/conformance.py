"""Whether the MX hosts of a domain keep what its policies promise, in the words of RFC 8460 §4.3. Pure.

Only what was seen counts: of a host that was not reached, or not to the end, nothing is held against it (`None`, or no
words), and an error that is of the moment is no result (RFC 8460 §4.3.4).
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from scanner.conclusion import Status
from scanner.mail_policy.dane import Dane
from scanner.mail_policy.mta_sts import StsMode, StsPolicy, StsRecord
from scanner.mail_policy.result import Result, each_once
from targets.answer import Dnssec


@dataclass(frozen=True, slots=True)
class StsMx:
    """An endpoint of an MX host, as MTA-STS sees it; for a host without one, its name alone.

    `certificate`: the words of RFC 8460 that apply to the certificate under the host's name (`Verified.results`).
    """

    host: str  # lower case, A-labels
    starttls: bool | None = None
    certificate: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DaneMx:
    """An endpoint of an MX host, as DANE sees it; for a host without one, what DNS says.

    `dnssec`: of its addresses and its TLSA records together. `dane`: None where it has no TLSA records. `is_cut`: there
    are more of them than were looked at.
    """

    dnssec: Dnssec
    dane: Dane | None = None
    starttls: bool | None = None
    is_cut: bool = False


def starttls_of(status: Status) -> bool | None:
    """Does an endpoint with this status speak TLS? Where it fails at it, nobody can say that it does not."""
    match status:
        case Status.TLS:
            return True
        case Status.NO_TLS:
            return False
        case _:
            return None


def sts_results(
    record: StsRecord, fetch_result: Result | None, policy: StsPolicy | None, hosts: Iterable[StsMx]
) -> tuple[Result, ...]:
    """What is wrong with the MTA-STS of a domain that has a TXT record for it, over all of its MX hosts.

    `fetch_result`: what is wrong with the fetch for good; `policy`: None where there is none (a fetch that failed for
    the moment gives neither). A host that the policy does not cover is not asked for more: senders do not go there
    (RFC 8461 §4.1). A policy whose mode is `none` asks nothing of anybody (§5).
    """
    if record.error:
        return (Result.STS_POLICY_INVALID,)
    if fetch_result:
        return (fetch_result,)
    if policy is None:
        return ()
    if policy.error:
        return (Result.STS_POLICY_INVALID,)
    if policy.mode is StsMode.NONE:
        return ()
    return each_once(word for host in hosts for word in _under(policy, host))


def _under(policy: StsPolicy, mx: StsMx) -> Iterator[str]:
    if not policy.covers(mx.host):
        yield Result.FAILURE
    elif mx.starttls is False:
        yield Result.STARTTLS_NOT_SUPPORTED
    else:
        yield from mx.certificate


def dane_results(mx_answer: Dnssec, hosts: Iterable[DaneMx], next_hops: Iterable[str]) -> tuple[Result, ...] | None:
    """What is wrong with the DANE of a domain, over all of its MX hosts; None where it has none.

    TLSA records count only where they and the answer with the MX hosts are secure (RFC 7672 §2.2.1). `next_hops`: see
    `Dane.results`.
    """
    if mx_answer is Dnssec.BOGUS:
        return (Result.DNSSEC_INVALID,)
    if mx_answer is not Dnssec.SECURE:
        return None
    names = tuple(next_hops)
    found = [_of_dane(host, names) for host in hosts]
    if all(words is None for words in found):
        return None
    return each_once(word for words in found for word in words or ())


def _of_dane(mx: DaneMx, next_hops: tuple[str, ...]) -> tuple[Result, ...] | None:
    if mx.dnssec is Dnssec.BOGUS:
        return (Result.DNSSEC_INVALID,)
    if mx.dnssec is not Dnssec.SECURE or mx.dane is None:
        return None
    if mx.starttls is False:
        return (Result.STARTTLS_NOT_SUPPORTED, *(() if mx.dane.usable or mx.is_cut else (Result.TLSA_INVALID,)))
    return () if mx.is_cut else mx.dane.results(next_hops)  # one that is usable and matches is enough
