"""A mail domain's record holds what it takes to make it again, when more is known of its endpoints."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scanner.conclusion import Status
from scanner.domain_record import domain_record
from scanner.domain_status import StsFound, known_of
from scanner.domains import Domains, tlsa_of_host
from scanner.endpoint_result import EndpointResult
from scanner.mail_policy.dane import Dane, judge
from scanner.mail_policy.mta_sts import read_policy
from scanner.mail_policy.result import Result
from scanner.record import Recorder, new_run_id
from scanner.recorded_domain import recorded_domain
from scanner.tlsa_set import tlsas_of
from targets.answer import DnsAnswer, Dnssec, DnsStatus
from targets.domain_targets import DomainTargets
from targets.mail_answer import DomainAnswer, MailHost, Mx, Oddity, Srv, SrvAnswer
from targets.services import SERVICES
from targets.target import Endpoint, MailDomain, Origin, endpoint_named, mail_domain_named
from tests.conftest import as_written
from tests.peers.answers import answer
from tests.scanner.mail import Expanding, host

RECORDER = Recorder(new_run_id(1_795_464_000))
DIGESTS = ["00" * 32, "11" * 32]
RECORDS = [
    f"3 1 1 {DIGESTS[0]}",
    f"2 0 1 {DIGESTS[1]}",
    "0 0 1 " + "22" * 32,
    "3 1 2 abcd",
    f"3 1 0 {DIGESTS[0]}",
    "3 0 9 01",
]

hosts = st.builds(
    lambda number, addresses, status, dnssec, tlsa, left_out, oddities: (
        MailHost(
            made.name,
            made.status,
            dnssec,
            made.addresses,
            tlsa=made.tlsa,
            tlsa_base=f"base{number}.test" if made.tlsa is not None else None,
            tlsa_left_out=left_out if made.tlsa else 0,
            oddities=frozenset(oddities),
            is_final=made.status.is_final,
        )
        if (made := host(f"mx{number}.test", *addresses, status=None if addresses else status, records=tlsa))
        else None
    ),
    st.integers(0, 5),
    st.sets(st.sampled_from(["1.1.1.1", "1.1.2.2", "2a00::1", "10.0.0.1"])).map(sorted),
    st.sampled_from([status for status in DnsStatus if status is not DnsStatus.OK]),
    st.sampled_from(Dnssec),
    st.none() | st.lists(st.sampled_from(RECORDS), unique=True),
    st.sampled_from([0, 0, 3]),
    st.sets(st.sampled_from([Oddity.IS_ALIAS, Oddity.TOO_MANY_ADDRESSES, Oddity.IS_ADDRESS])),
)
texts = st.none() | st.builds(
    lambda records: answer("TXT", *(f'"{each}"' for each in records)),
    st.lists(
        st.sampled_from(
            [
                "v=STSv1; id=1",
                "v=STSv1;",
                "v=TLSRPTv1; rua=mailto:a@b.test",
                "v=TLSRPTv1; rua=ftp://x",
                "v=TLSRPTv1",
                "x",
            ]
        ),
        max_size=2,
    ),
)
mx_answers = st.builds(
    lambda status, dnssec, canonical: DnsAnswer(status, (), canonical, dnssec),
    st.sampled_from(DnsStatus),
    st.sampled_from(Dnssec),
    st.sampled_from([None, "real.test"]),
)
policies = st.none() | st.one_of(
    st.builds(
        lambda mode, mx, age: StsFound(
            read_policy(f"version: STSv1\nmode: {mode}\nmx: {mx}\nmax_age: {age}\n".encode()),
            address="1.1.1.9",
            http_status=200,
        ),
        st.sampled_from(["enforce", "testing", "none", "?"]),
        st.sampled_from(["*.test", "mx1.test", "mx1.test\nmx: mx2.test", "-"]),
        st.sampled_from([1, 10**9]),
    ),
    st.builds(
        StsFound,
        result=st.none() | st.sampled_from([Result.STS_POLICY_FETCH_ERROR, Result.STS_WEBPKI_INVALID]),
        cause=st.sampled_from(["dns", "timeout"]),
        detail=st.none() | st.just("why"),
    ),
)
services = st.sampled_from([SERVICES["imaps"], SERVICES["xmpp-client"]])
srv_answers = st.none() | st.dictionaries(
    services,
    st.builds(
        lambda targets: SrvAnswer(DnsAnswer(DnsStatus.OK), None if targets is None else tuple(targets)),
        st.none()
        | st.lists(st.builds(Srv, st.integers(0, 9), st.integers(0, 9), st.integers(1, 9), hosts), max_size=2),
    ),
    min_size=1,
)


@st.composite
def answers(draw: Callable[..., Any]) -> DomainAnswer:
    """Anything that the DNS may say of a domain."""
    srv = draw(srv_answers)
    is_mx = srv is None or draw(st.booleans())
    found = draw(st.lists(hosts, max_size=3, unique_by=lambda each: each.name)) if is_mx else []
    is_implicit = is_mx and len(found) == 1 and draw(st.booleans())
    mx = draw(mx_answers) if is_mx else None
    if is_implicit and mx:
        mx = DnsAnswer(DnsStatus.NODATA, (), None, mx.dnssec)
    domain = MailDomain(
        Origin("mx:a.test", 3, {"tier": "gold"}), "a.test", 2525 if is_mx else 25, is_mx, srv is not None
    )
    return DomainAnswer(
        domain,
        mx,
        tuple(Mx(number, each) for number, each in enumerate(found)),
        is_implicit=is_implicit,
        is_null=is_mx and not found and draw(st.booleans()),
        srv=srv,
        mta_sts=draw(texts) if is_mx else None,
        tls_rpt=draw(texts) if is_mx else None,
        oddities=frozenset(draw(st.sets(st.sampled_from([Oddity.REPEATED, Oddity.TOO_MANY])))),
        error=draw(st.sampled_from([None, None, None, "KeyError: 'x'"])),
    )


@st.composite
def results(draw: Callable[..., Any], targets: DomainTargets, endpoint: Endpoint) -> EndpointResult | None:
    """Anything that an endpoint may have come to."""
    status = draw(st.none() | st.sampled_from(Status))
    if status is None:
        return None
    words = draw(st.none() | st.just(()) | st.just((Result.EXPIRED,)))
    sets = [
        tlsa_of_host(mx.host)
        for mx, some in zip(targets.answer.hosts, targets.of_mx, strict=True)
        if endpoint.id in {each.id for each in some}
    ]
    if not (sets and sets[0]) or not draw(st.booleans()):
        return EndpointResult(status, words)
    tlsa = sets[0]
    judged = judge(tlsas_of(tlsa.records), (), tlsa.base, datetime(2026, 1, 1, tzinfo=UTC)).records
    matched = tuple(
        type(each)(each.tlsa, each.unusable, draw(st.booleans()) if each.usable else None) for each in judged
    )
    names = draw(
        st.none() | st.just(frozenset({"a.test"})) | st.just(frozenset({"real.test"})) | st.just(frozenset({"x"}))
    )
    return EndpointResult(
        status, words, tlsa.digest, Dane(matched, draw(st.just(()) | st.just((Result.EXPIRED,))), names)
    )


@settings(deadline=None)
@given(st.data())
def test_a_record_can_be_made_again(data: st.DataObject) -> None:
    """By a shard that knows some of its endpoints, it is made again, when all is known, as by one that knew all."""
    targets = Expanding().targets(data.draw(answers()))
    every, some = Domains(are_expected=True), Domains(are_expected=True)
    for endpoint in targets.endpoints():
        result = data.draw(results(targets, endpoint))
        if result is not None:
            every.recall(endpoint.id, endpoint.host, endpoint.service.name, result)
            if data.draw(st.booleans()):
                some.recall(endpoint.id, endpoint.host, endpoint.service.name, result)
    sts, with_policies = data.draw(policies), data.draw(st.booleans())
    promised = known_of(targets, every, None).sts_record
    sts = sts if with_policies and promised and not promised.error else None
    partial = as_written(domain_record(RECORDER, known_of(targets, some, sts), with_policies=with_policies))
    whole = as_written(domain_record(RECORDER, known_of(targets, every, sts), with_policies=with_policies))
    again = domain_record(RECORDER, recorded_domain(partial, every), with_policies=with_policies)
    assert as_written(again) == whole
    assert as_written(domain_record(RECORDER, recorded_domain(whole, every), with_policies=with_policies)) == whole
    if with_policies:
        assert set(_firm(partial)) <= set(_firm(whole))


def _firm(record: Mapping[str, Any]) -> Sequence[str]:
    """What is held against a domain."""
    policy = record["policy"] or {}
    return [f"{name} {word}" for name in ("dane", "mta_sts") for word in (policy.get(name) or {}).get("results") or ()]


@pytest.mark.parametrize(
    "identifier",
    [
        "smtp://mx.test:25@192.0.2.1",
        "smtp://mx.test:25@[2001:db8::1]",
        "imaps://192.0.2.1:993",
        "imaps://[2001:db8::1]:993",
    ],
)
def test_an_endpoint_by_its_id(identifier: str) -> None:
    """The id says all of it but where it came from."""
    found = endpoint_named(identifier, Origin("x"))
    assert (found.id, found.address) == (identifier, "2001:db8::1" if "[" in identifier else "192.0.2.1")


@pytest.mark.parametrize("identifier", ["mx:a.test:25", "srv:a.test", "mx+srv:a.test:2525"])
def test_a_mail_domain_by_its_id(identifier: str) -> None:
    """The same of a domain."""
    found = mail_domain_named(identifier, Origin("x"))
    assert (found.id, found.name) == (identifier, "a.test")


@pytest.mark.parametrize("identifier", ["", "x", "smtp://", "nosuch://192.0.2.1:25", "smtp://mx.test@192.0.2.1"])
def test_no_id(identifier: str) -> None:
    """What is none is refused."""
    with pytest.raises((ValueError, KeyError)):
        endpoint_named(identifier, Origin("x"))
    with pytest.raises((ValueError, KeyError)):
        mail_domain_named(identifier, Origin("x"))
