"""Readers of what mail domains publish: TLSA records, the records and the policy of MTA-STS, TLS-RPT."""

from collections.abc import Iterable
from datetime import UTC, datetime
from functools import cache

from scanner.mail_policy.dane import DANE_EE, Tlsa, judge
from scanner.mail_policy.mta_sts import MAX_MAX_AGE_S, StsMode, read_policy, read_sts_record
from scanner.mail_policy.result import Result
from scanner.mail_policy.tls_rpt import read_tls_rpt
from tests.fuzz.inputs import Input, flood_of, written
from tests.fuzz.oracles import require, require_safe_text
from tests.fuzz.readers import certificates

NOW = datetime(2026, 11, 24, tzinfo=UTC)
HOST = "mx.example.org"
KINDS = [(usage, selector, matching) for usage in (2, 3) for selector in (0, 1) for matching in (0, 1, 2)]
OF_THE_LEAF = {Result.HOST_MISMATCH, Result.EXPIRED, Result.NOT_TRUSTED, Result.FAILURE}

STS_RECORDS = (b"v=STSv1; id=20160831085700Z;", b"v=STSv1;id=1;a=b\nv=spf1 -all", b"v=STSv1\nv=STSv1; id=1 ; x=%")
TLS_RPT_RECORDS = (b"v=TLSRPTv1; rua=mailto:a%2Cb@example.org , https://[2001:db8::1]/x?y", b"v=TLSRPTv1;rua=ftp://x!")
POLICIES = (
    b"version: STSv1\r\nmode: enforce\r\nmx: *.example.org\r\nmx: mx.example.net\r\nmax_age: 604800\r\n",
    b"max_age:31557601\nmode:\tnone \nversion:STSv1\nx: \xc3\xbc y\n\n",
)


def check_tlsa(given: Input) -> None:
    """Records are judged one by one, and what they come to rests on those that are usable, and on the chain."""
    authority, *leaves = certificates()
    chain = (leaves[0], authority) if given.way & 1 else (given.said, authority)
    usage, selector, matching = (
        KINDS[given.choice % len(KINDS)] if given.choice < 128 else tuple(given.said[:3].ljust(3))
    )
    record = Tlsa(usage, selector, matching, given.said)
    dane = judge([record], chain, HOST, NOW)
    (judged,), results = dane.records, dane.results(["example.net"])
    require(judged.tlsa == record, "another record", judged)
    require((judged.matched is None) is not judged.usable, "compared, or not, against the rule", judged)
    require(judged.matched or results == (Result.TLSA_INVALID,), "good without a match", results)
    if judged.matched:
        require(usage == DANE_EE or not set(results) - OF_THE_LEAF, "not about the certificate", results)
        require(usage != DANE_EE or not results, "a leaf that is itself has names and times", results)
    require(judge([record], (), HOST, NOW).records[0].unusable is judged.unusable, "usable by the chain", judged)


@cache
def tlsa_seeds() -> Iterable[bytes]:
    """Certificates, which are what is long enough to be compared in full, and digests."""
    return tuple(
        written(data, choice, way)
        for choice in (*range(len(KINDS)), 200)
        for way in (0, 1)
        for data in (*certificates(), bytes(32), bytes(64), b"\x03\x01\x01")
        if len(data) < 1_000
    )


def check_sts_record(given: Input) -> None:
    """A record has an id, or a reason why not; and it is one of those that are there."""
    texts = given.said.split(b"\n")
    record = read_sts_record(texts)
    require_safe_text(record)
    require(record is None or (record.id is None) is (record.error is not None), "neither an id nor a reason", record)
    if record and record.id:
        require(any(record.id.encode() in text for text in texts), "an id that nobody wrote", record)
        require(read_sts_record(reversed(texts)) == record, "it depends on the order", record)


def check_sts_policy(given: Input) -> None:
    """A policy has all that it must have, or a reason why not; what is covered is named."""
    policy = read_policy(given.said)
    require_safe_text(policy)
    require(read_policy(given.said + b"\n") == policy or given.is_flood, "an empty line makes another policy", policy)
    if policy.error is None:
        require(policy.mode and (policy.mx or policy.mode is StsMode.NONE), "a field is missing", policy)
        require(policy.max_age_s is not None and 0 <= policy.max_age_s <= MAX_MAX_AGE_S, "no such age", policy)
        require(all(policy.covers(pattern.replace("*", "a")) for pattern in policy.mx), "not covered", policy)
    require(not any(policy.covers(name) for name in ("", ".", "..", "*")), "it covers what is no name", policy)


def policy_seeds() -> Iterable[bytes]:
    """Policies, and floods of their lines."""
    for policy in POLICIES:
        yield written(policy)
        yield from (written(flood_of(policy[:60], line + b"\n"), 0, 0xF0) for line in policy.splitlines())


def check_tls_rpt(given: Input) -> None:
    """A record has addresses that can be shown, or a reason why not."""
    found = read_tls_rpt(given.said.split(b"\n"))
    require_safe_text(found)
    require(found is None or bool(found.addresses) is (found.error is None), "neither addresses nor a reason", found)
    if found and found.addresses:
        require(not any(set(" ,;!\t") & set(each) for each in found.addresses), "not an address", found)
