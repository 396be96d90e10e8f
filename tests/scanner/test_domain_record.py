"""A mail domain with all that is known of it → its record."""

from collections.abc import Mapping
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

import pytest

from scanner.conclusion import Status
from scanner.domain_findings import DOMAIN_FINDINGS
from scanner.domain_record import domain_record
from scanner.domain_status import DomainStatus, Known, StsFound, known_of, status_of
from scanner.domains import Domains
from scanner.endpoint_result import EndpointResult
from scanner.findings import FINDINGS
from scanner.mail_policy.dane import Dane, judge
from scanner.mail_policy.mta_sts import read_policy
from scanner.mail_policy.result import Result
from scanner.record import Recorder, new_run_id
from scanner.tlsa_set import tlsas_of
from targets.answer import DnsAnswer, Dnssec, DnsStatus
from targets.domain_targets import DomainTargets
from targets.mail_answer import DomainAnswer, MailHost, Oddity, Srv, SrvAnswer
from targets.services import SERVICES
from targets.target import MailDomain, Origin
from tests.conftest import as_written
from tests.peers.answers import answer
from tests.scanner.mail import Expanding, domain, host, tlsa

RECORDER = Recorder(new_run_id(1_795_464_000))
TLS, TLS_FAILED, NO_TLS, INCONCLUSIVE, MISMATCH, UNREACHABLE, ERROR = Status
POLICY = b"version: STSv1\nmode: enforce\nmx: mx1.test\nmx: *.example.org\nmax_age: 604800\n"


def known(found: DomainAnswer, *statuses: Status | EndpointResult | None, sts: StsFound | None = None) -> Known:
    """A domain whose endpoints came to this, in their order."""
    targets, domains = Expanding().targets(found), Domains()
    domains.add(targets)
    for endpoint, came in zip(targets.endpoints(), statuses, strict=False):
        if came is not None:
            domains.over(endpoint, EndpointResult(came, ()) if isinstance(came, Status) else came)
    return known_of(targets, domains, sts)


def record(found: DomainAnswer, *statuses: Status | EndpointResult | None, **more: Any) -> dict[str, Any]:
    """Its record, as a reader gets it; it keeps to the schema, or making it fails."""
    return as_written(domain_record(RECORDER, known(found, *statuses, **more)))


def findings(made: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What was found, and how bad it is."""
    return [(finding["id"], finding["severity"]) for finding in made["findings"]]


# --- one word for the whole -------------------------------------------------------------------------------------------

HOSTS = [host("mx1.test", "1.1.1.1"), host("mx2.test", "1.1.1.2"), host("mx3.test", "1.1.1.3")]


@pytest.mark.parametrize(
    ("statuses", "expected"),
    [
        ([TLS, TLS, TLS], "all_tls"),
        ([TLS, UNREACHABLE, TLS], "all_tls"),
        ([TLS, ERROR, UNREACHABLE], "all_tls"),
        ([TLS, NO_TLS, TLS], "some_tls"),
        ([TLS, TLS_FAILED, TLS], "some_tls"),
        ([TLS, INCONCLUSIVE, UNREACHABLE], "some_tls"),
        ([TLS, NO_TLS, None], "some_tls"),
        ([NO_TLS, NO_TLS, UNREACHABLE], "no_tls"),
        ([NO_TLS, TLS_FAILED, NO_TLS], "inconclusive"),
        ([INCONCLUSIVE, INCONCLUSIVE, MISMATCH], "inconclusive"),
        ([UNREACHABLE, UNREACHABLE, UNREACHABLE], "unreachable"),
        ([UNREACHABLE, ERROR, UNREACHABLE], "inconclusive"),
        ([TLS, TLS, None], "inconclusive"),
        ([NO_TLS, NO_TLS, None], "inconclusive"),
        ([UNREACHABLE, UNREACHABLE, None], "inconclusive"),
        ([None, None, None], "inconclusive"),
    ],
)
def test_the_word_for_endpoints(statuses: list[Status | None], expected: str) -> None:
    """Of those that were reached; what is not known lets nothing be said of all."""
    made = record(domain("a.test", *HOSTS), *statuses)
    assert made["status"] == expected
    assert [each for mx in made["mx"] for each in mx["statuses"]] == statuses


def blocked(found: DomainAnswer) -> Known:
    """As where its addresses are excluded from the scan."""
    return Known(DomainTargets(found, ((),) * len(found.hosts), blocked=1), ((),) * len(found.hosts), {})


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (known(domain("a.test", mx=answer("MX", "0 ."), is_null=True)), "null_mx"),
        (known(domain("a.test", mx=DnsAnswer(DnsStatus.NXDOMAIN))), "nxdomain"),
        (known(domain("a.test", mx=DnsAnswer(DnsStatus.NODATA))), "nodata"),
        (known(domain("a.test", mx=DnsAnswer(DnsStatus.BOGUS, dnssec=Dnssec.BOGUS))), "bogus"),
        (known(domain("a.test", host("mx.test", status=DnsStatus.NXDOMAIN))), "unreachable"),
        (known(domain("a.test", host("mx.test", status=DnsStatus.TIMEOUT))), "inconclusive"),
        (blocked(domain("a.test", host("mx.test", "10.0.0.1"))), "blocked"),
        (known(domain("a.test", host("192.0.2.1", "1.1.1.1"))), "unreachable"),
        (
            known(
                domain(
                    "a.test",
                    host("a.test", status=DnsStatus.SERVFAIL),
                    mx=DnsAnswer(DnsStatus.NODATA),
                    is_implicit=True,
                )
            ),
            "inconclusive",
        ),
        (known(DomainAnswer(MailDomain(Origin("x"), "a.test"), error="KeyError: 'x'")), "error"),
    ],
)
def test_the_word_without_endpoints(found: Known, expected: str) -> None:
    """The word of its records; or where these are there, whether there may yet be somebody behind them."""
    assert status_of(found) == expected
    assert as_written(domain_record(RECORDER, found))["status"] == expected


def with_srv(services: Mapping[str, SrvAnswer], **more: Any) -> DomainAnswer:
    """A domain whose SRV records were asked for, and with `mx=None` nothing else."""
    own = MailDomain(Origin("x", 2), "a.test", mx="mx" in more, srv=True)
    return DomainAnswer(own, srv={SERVICES[name]: each for name, each in services.items()}, **more)


def srv(*hosts: MailHost) -> SrvAnswer:
    """A service on these hosts."""
    said = answer("SRV", *(f"0 {number} 993 {each.name}." for number, each in enumerate(hosts)))
    return SrvAnswer(said, tuple(Srv(0, number, 993, each) for number, each in enumerate(hosts)))


def test_srv_by_itself() -> None:
    """Then the word is of its endpoints, and nothing is said of MX and policies."""
    found = with_srv({"imaps": srv(HOSTS[0]), "pop3s": SrvAnswer(answer("SRV", "0 0 0 ."), None)})
    made = record(found, TLS)
    assert made["status"] == "all_tls"
    assert made["srv"]["pop3s"] is None
    assert made["srv"]["imaps"] == [
        {
            "host": "mx1.test",
            "port": 993,
            "priority": 0,
            "weight": 0,
            "dns": "ok",
            "dnssec": "secure",
            "addresses": ["1.1.1.1"],
            "endpoints": ["imaps://mx1.test:993@1.1.1.1"],
            "statuses": ["tls"],
        }
    ]
    assert made["dns"] == {"mx": None, "mta_sts": None, "tls_rpt": None, "srv": {"imaps": "ok", "pop3s": "ok"}}
    assert (made["mx"], made["dnssec"], made["policy"], made["implicit_mx"]) == ([], None, None, False)


def test_srv_without_anything() -> None:
    """The word of what may yet be another answer, else of the first question."""
    nothing = {"imaps": SrvAnswer(DnsAnswer(DnsStatus.NXDOMAIN)), "imap": SrvAnswer(DnsAnswer(DnsStatus.SERVFAIL))}
    assert record(with_srv(nothing))["status"] == "servfail"
    assert record(with_srv({"imaps": nothing["imaps"]}))["status"] == "nxdomain"


def test_srv_beside_mx() -> None:
    """Then the word is of the MX hosts."""
    found = with_srv({"imaps": srv(HOSTS[0])}, mx=answer("MX", "0 mx2.test."), hosts=domain("a.test", HOSTS[1]).hosts)
    assert record(found, NO_TLS, TLS)["status"] == "no_tls"


# --- what it promises -------------------------------------------------------------------------------------------------


def texts(*records: str) -> DnsAnswer:
    """TXT records."""
    return answer("TXT", *(f'"{record}"' for record in records))


STS, RPT = texts("v=STSv1; id=20261123"), texts("v=TLSRPTv1; rua=mailto:tls@a.test")
MX1 = host("mx1.test", "1.1.1.1", records=())
EXPIRED = EndpointResult(TLS, (Result.EXPIRED,))


@pytest.mark.parametrize(
    ("hosts", "came", "sts", "results", "severity"),
    [
        ([MX1], TLS, StsFound(read_policy(POLICY)), [], None),
        ([MX1], NO_TLS, StsFound(read_policy(POLICY)), ["starttls-not-supported"], "high"),
        ([MX1], EXPIRED, StsFound(read_policy(POLICY)), ["certificate-expired"], "high"),
        ([MX1], UNREACHABLE, StsFound(read_policy(POLICY)), [], None),
        ([HOSTS[1]], TLS, StsFound(read_policy(POLICY)), ["validation-failure"], "high"),
        (
            [MX1],
            EXPIRED,
            StsFound(read_policy(POLICY.replace(b"enforce", b"testing"))),
            ["certificate-expired"],
            "medium",
        ),
        ([MX1], TLS, StsFound(read_policy(b"nothing")), ["sts-policy-invalid"], "medium"),
        (
            [MX1],
            TLS,
            StsFound(None, Result.STS_WEBPKI_INVALID, "certificate-expired"),
            ["sts-webpki-invalid"],
            "medium",
        ),
        ([MX1], TLS, StsFound(None, None, "timeout"), None, None),
        ([MX1], TLS, None, None, None),
    ],
)
def test_mta_sts(
    hosts: list[MailHost], came: Status | EndpointResult, sts: StsFound, results: list[str] | None, severity: str | None
) -> None:
    """Whether the MX hosts keep the policy; nobody knows where it could not be had for a reason of the moment."""
    made = record(domain("a.test", *hosts, mta_sts=STS, tls_rpt=RPT), came, sts=sts)
    policy = made["policy"]["mta_sts"]
    assert (policy["id"], policy["results"]) == ("20261123", results)
    assert findings(made) == ([("mta-sts-fails", severity)] if severity else [])
    if sts and sts.policy and not sts.policy.error:
        assert (policy["max_age"], policy["mx"]) == (604_800, ["mx1.test", "*.example.org"])
        assert made["mx"][0]["in_sts_policy"] == (hosts == [MX1])
    else:
        assert made["mx"][0]["in_sts_policy"] is None
    assert made["policy"]["tls_rpt"] == {"addresses": ["mailto:tls@a.test"], "error": None, "results": []}


def test_records_that_are_wrong() -> None:
    """A record that does not count is told; the policy of it is not asked for."""
    made = record(domain("a.test", MX1, mta_sts=texts("v=STSv1"), tls_rpt=texts("v=TLSRPTv1; rua=nobody")), TLS)
    assert made["policy"]["mta_sts"]["results"] == ["sts-policy-invalid"]
    assert made["policy"]["tls_rpt"]["results"] == ["record-invalid"]
    assert findings(made) == [("mta-sts-fails", "medium"), ("tls-rpt-invalid", "low")]


def test_a_domain_that_promises_nothing() -> None:
    """Each of the three is null then; and so are all together where nobody asked."""
    found = domain("a.test", host("mx1.test", "1.1.1.1"), mta_sts=texts("x"), tls_rpt=DnsAnswer(DnsStatus.NODATA))
    assert record(found, TLS)["policy"] == {"dane": None, "mta_sts": None, "tls_rpt": None}
    assert as_written(domain_record(RECORDER, known(found, TLS), with_policies=False))["policy"] is None


OWN, OTHER = b"leaf", b"other leaf"


def keyed(der: bytes) -> str:
    """A TLSA record for this certificate."""
    return "3 0 1 " + sha256(der).hexdigest()


def dane_of(*records: str, der: bytes = OWN) -> Dane:
    """What a server with this certificate comes to."""
    return judge(tlsas_of(tlsa(*records)), (der,), "mx1.test", datetime(2026, 11, 23, tzinfo=UTC))


def shown(*records: str, dnssec: Dnssec = Dnssec.SECURE, seen: bool = True, status: Status = TLS) -> dict[str, Any]:
    """A domain with one MX host that has these TLSA records, and whose server has OWN."""
    found = domain("a.test", host("mx1.test", "1.1.1.1", dnssec=dnssec, records=records))
    targets, domains = Expanding().targets(found), Domains()
    domains.add(targets)
    records_of = domains.tlsa_of(targets.fresh[0])
    digest = records_of.digest if records_of else 0
    dane = dane_of(*records) if seen and records else None
    domains.over(targets.fresh[0], EndpointResult(status, (), digest, dane))
    return as_written(domain_record(RECORDER, known_of(targets, domains, None)))


@pytest.mark.parametrize(
    ("records", "matched", "results"),
    [
        ([keyed(OWN)], [True], []),
        ([keyed(OTHER)], [False], ["tlsa-invalid"]),
        ([keyed(OWN), keyed(OTHER)], [True, False], []),
        (["1 0 1 " + "ab" * 32], [None], ["tlsa-invalid"]),
        ([keyed(OWN), "1 0 1 " + "ab" * 32], [True, None], []),
    ],
)
def test_dane(records: list[str], matched: list[bool | None], results: list[str]) -> None:
    """One record that matches is enough, as in a rollover; those that cannot be used do not count."""
    made = shown(*records)
    told = made["mx"][0]["tlsa"]
    assert [each["matched"] for each in told] == matched
    assert [each["usable"] for each in told] == [each is not None for each in matched]
    assert made["policy"]["dane"] == {"results": results}
    severity = "medium" if matched == [None] else "high"  # then any certificate will do (RFC 7672 §2.2)
    assert findings(made) == ([("dane-fails", severity)] if results else [])
    assert made["mx"][0]["tlsa_base"] == "mx1.test"


@pytest.mark.parametrize("dnssec", [Dnssec.INSECURE, Dnssec.INDETERMINATE])
def test_dane_without_dnssec(dnssec: Dnssec) -> None:
    """Records that nobody has validated are shown, and count for nothing."""
    made = shown(keyed(OTHER), dnssec=dnssec)
    assert [each["matched"] for each in made["mx"][0]["tlsa"]] == [False]
    assert (made["policy"]["dane"], made["findings"]) == (None, [])


def test_dane_where_no_chain_was_seen() -> None:
    """Nothing is held against a server that was not reached; one without STARTTLS breaks the promise."""
    unreachable = shown(keyed(OTHER), seen=False, status=UNREACHABLE)
    assert unreachable["policy"]["dane"] == {"results": []}
    assert unreachable["mx"][0]["tlsa"][0]["matched"] is None
    assert shown(keyed(OTHER), seen=False, status=NO_TLS)["policy"]["dane"] == {"results": ["starttls-not-supported"]}


def test_dane_of_a_host_without_endpoints() -> None:
    """It is there, and nobody could look."""
    made = record(domain("a.test", host("mx1.test", "1.1.1.1", records=[keyed(OWN)])), None)
    assert made["policy"]["dane"] == {"results": []}


def test_bogus_records() -> None:
    """What does not validate is nobody's to be believed."""
    made = record(domain("a.test", mx=DnsAnswer(DnsStatus.BOGUS, dnssec=Dnssec.BOGUS)))
    assert (made["dnssec"], made["policy"]["dane"]) == ("bogus", {"results": ["dnssec-invalid"]})


# --- findings ---------------------------------------------------------------------------------------------------------


def test_odd_records() -> None:
    """Each oddity of the domain and of its hosts is one finding, however often it is there."""
    gone = host("gone.test", status=DnsStatus.NXDOMAIN)
    made = record(
        domain("a.test", gone, gone, host("192.0.2.1"), oddities=frozenset({Oddity.NULL_WITH_OTHERS})),
    )
    assert [each for each, _ in findings(made)] == ["null-mx-with-others", "mx-is-address", "mx-without-address"]


def test_the_table() -> None:
    """Every oddity has its row, and no finding is in both tables."""
    assert set(Oddity) <= DOMAIN_FINDINGS.keys()
    assert not DOMAIN_FINDINGS.keys() & FINDINGS.keys()
    for row in DOMAIN_FINDINGS.values():
        assert row.meaning.endswith(".")
        assert row.remedy.endswith(".")


def test_a_bug_of_ours() -> None:
    """The record says so, and judges nothing."""
    made = record(DomainAnswer(MailDomain(Origin("x", 1), "a.test"), error="KeyError: 'x'"))
    assert (made["status"], made["detail"], made["findings"]) == (DomainStatus.ERROR, "KeyError: 'x'", None)
