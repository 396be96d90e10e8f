"""What is wrong with a mail domain as a whole, by a table of its own, like that of endpoints. Pure."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from scanner.domain_status import DomainStatus
from scanner.findings import Finding, Severity
from scanner.mail_policy.mta_sts import StsMode
from scanner.mail_policy.result import Result
from targets.mail_answer import DomainAnswer, Oddity

DOMAIN_FINDINGS: dict[str, Finding] = {
    row.id: row
    for row in (
        Finding(
            "dane-fails",
            Severity.HIGH,
            "RFC 7672 §2.2, RFC 8460 §4.3.1",
            "The domain promises by DANE how its MX hosts are known, and one of them does not keep it: senders that"
            " validate do not deliver to it (medium: no record can be used, so that they take any certificate).",
            "Publish TLSA records of the keys in use, the next one some days before it is, and serve STARTTLS on every"
            " MX host that has them.",
        ),
        Finding(
            "mta-sts-fails",
            Severity.HIGH,
            "RFC 8461 §5, RFC 8460 §4.3.2.2",
            "The domain promises by MTA-STS that its MX hosts have certificates that verify, and something in that is"
            " broken: senders that validate do not deliver to such a host (medium: the policy is not enforced, or is"
            " not to be had).",
            "See the results in the record: have the policy served by HTTPS under mta-sts.DOMAIN, all MX hosts in it,"
            " and on each a certificate with its name from an authority that is known.",
        ),
        Finding(
            "tls-rpt-invalid",
            Severity.LOW,
            "RFC 8460 §3",
            "The record that asks for reports of failed TLS cannot be used: nobody sends any.",
            "Publish one record, `v=TLSRPTv1; rua=mailto:ADDRESS` or with an https address.",
        ),
        Finding(
            Oddity.NULL_WITH_OTHERS,
            Severity.MEDIUM,
            "RFC 7505 §3",
            "A null MX stands beside others: some senders deliver, and others say that the domain takes no mail.",
            "Remove the null MX, or all others.",
        ),
        Finding(
            Oddity.IS_ALIAS,
            Severity.LOW,
            "RFC 2181 §10.3, RFC 5321 §5.1",
            "An MX host is an alias (CNAME), which it must not be: some senders refuse it, or ask on and on.",
            "Name in the MX record the host that has the addresses.",
        ),
        Finding(
            Oddity.IS_ADDRESS,
            Severity.HIGH,
            "RFC 1035 §3.3.9, RFC 5321 §5.1",
            "An MX record has an address where a name belongs; it is looked up as a name, and there is none.",
            "Give the host a name with that address, and put the name into the record.",
        ),
        Finding(
            Oddity.NO_HOST_NAME,
            Severity.MEDIUM,
            "RFC 1123 §2.1, RFC 5321 §2.3.5",
            "An MX record has a name that no host can have (a wildcard, a space); it was looked up, and not connected"
            " to.",
            "Correct the name.",
        ),
        Finding(
            Oddity.UNRESOLVED,
            Severity.MEDIUM,
            "RFC 5321 §5.1",
            "An MX host does not exist, or has no address; who registers its domain may get the mail.",
            "Correct the name, or remove the record.",
        ),
        Finding(
            Oddity.REPEATED,
            Severity.INFO,
            "RFC 5321 §5.1",
            "An MX host is named twice, with two preferences: the lower one counts.",
            "Remove one of the records.",
        ),
        Finding(
            Oddity.TOO_MANY,
            Severity.LOW,
            "RFC 5321 §5.1",
            "There are more than 100 MX hosts; the rest, by preference, was left out.",
            "Name fewer, each with more addresses.",
        ),
        Finding(
            Oddity.TOO_MANY_ADDRESSES,
            Severity.INFO,
            "RFC 5321 §5.1",
            "A host has more than 32 addresses; the rest was left out.",
            "Nothing, if that is meant.",
        ),
        Finding(
            Oddity.SRV_IS_ALIAS,
            Severity.LOW,
            "RFC 2782",
            "An SRV record names an alias (CNAME), which it must not.",
            "Name in it the host that has the addresses.",
        ),
        Finding(
            Oddity.SRV_UNRESOLVED,
            Severity.MEDIUM,
            "RFC 2782",
            "A host that an SRV record names does not exist, or has no address.",
            "Correct the name, or remove the record; where there is no such service, say so with the target `.`.",
        ),
        Finding(
            Oddity.SRV_TOO_MANY,
            Severity.INFO,
            "RFC 2782",
            "A service has more than 20 SRV records; the rest, by priority and weight, was left out.",
            "Nothing, if that is meant.",
        ),
    )
}


def domain_findings_of(answer: DomainAnswer, part: dict[str, Any]) -> list[Finding]:
    """What is wrong with a domain; `part` is its record without them. In the order of the table."""
    if part["status"] is DomainStatus.ERROR:
        return []
    found = {finding.id: finding for finding in _found(answer, part["mx"], part["policy"] or {})}
    return [found[each] for each in DOMAIN_FINDINGS if each in found]


def _found(answer: DomainAnswer, mx: list[dict[str, Any]], policy: dict[str, Any]) -> Iterator[Finding]:
    of_hosts = (host.oddities for host in answer.mail_hosts())
    of_services = (each.oddities for each in (answer.srv or {}).values())
    oddities = answer.oddities.union(*of_hosts, *of_services)
    yield from (DOMAIN_FINDINGS[oddity] for oddity in oddities)
    if (policy.get("dane") or {}).get("results"):
        fails = DOMAIN_FINDINGS["dane-fails"]
        yield replace(fails, severity=Severity.MEDIUM) if _takes_any_certificate(policy["dane"], mx) else fails
    if (sts := policy.get("mta_sts")) and sts["results"]:
        fails = DOMAIN_FINDINGS["mta-sts-fails"]
        yield fails if sts["mode"] is StsMode.ENFORCE and not sts["error"] else replace(fails, severity=Severity.MEDIUM)
    if (tls_rpt := policy.get("tls_rpt")) and tls_rpt["results"]:
        yield DOMAIN_FINDINGS["tls-rpt-invalid"]


def _takes_any_certificate(dane: dict[str, Any], mx: list[dict[str, Any]]) -> bool:
    """Where no TLSA record is usable, senders use TLS without authentication (RFC 7672 §2.2)."""
    is_usable = any(record["usable"] for host in mx for record in host["tlsa"] or ())
    return dane["results"] == (Result.TLSA_INVALID,) and not is_usable
