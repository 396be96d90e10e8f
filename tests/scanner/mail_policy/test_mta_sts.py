"""MTA-STS: the TXT record (RFC 8461 §3.1), the policy (§3.2), and which MX hosts it covers (§4.1)."""

import time

import dns.rdata
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scanner.mail_policy.mta_sts import (
    MAX_MAX_AGE_S,
    MAX_POLICY_BYTES,
    PolicyError,
    StsMode,
    StsPolicy,
    StsRecord,
    read_policy,
    read_sts_record,
)
from scanner.mail_policy.text_record import RecordError, texts_of

SYNTAX, SEVERAL = StsRecord(error=RecordError.SYNTAX), StsRecord(error=RecordError.SEVERAL)
NO_ID = StsRecord(error=RecordError.MISSING_FIELD)


@pytest.mark.parametrize(
    ("texts", "record"),
    [
        ([b"v=STSv1; id=20160831085700Z;"], StsRecord("20160831085700Z")),  # the example of §3.1
        ([b"v=STSv1;id=1"], StsRecord("1")),
        ([b"v=STSv1 \t; \tid=1 \t;\t "], StsRecord("1")),
        ([b"v=STSv1; a.b-c_=x:y; id=1"], StsRecord("1")),  # the order is not significant, and extensions are ignored
        ([b"v=STSv1; id=1; id=2"], StsRecord("1")),
        ([b"v=STSv1; id=" + b"a" * 32], StsRecord("a" * 32)),
        ([b"google-site-verification=x", b"v=STSv1; id=1", b"v=spf1 -all"], StsRecord("1")),
        ([b"v=STSv1", b"v=STSv1; id=1"], StsRecord("1")),  # what does not begin with "v=STSv1;" is discarded
        ([b"v=STSv1; id=1", b"v=STSv1; id=1"], SEVERAL),
        ([b"v=STSv1; id=1", b"v=STSv1; nonsense"], SEVERAL),
        ([b"v=STSv1; id=" + b"a" * 33], NO_ID),
        ([b"v=STSv1; id=2016-08-31"], NO_ID),
        ([b"v=STSv1; Id=1"], NO_ID),
        ([b"v=STSv1; ext=1"], NO_ID),
        ([b"v=STSv1"], SYNTAX),
        ([b"v=STSv1 id=1"], SYNTAX),
        ([b"v=STSv1;"], SYNTAX),
        ([b"v=STSv1; ;id=1"], SYNTAX),
        ([b"v=STSv1; id=1;;"], SYNTAX),
        ([b"v=STSv1; id=1; id"], SYNTAX),
        ([b"v=STSv1; id="], SYNTAX),
        ([b"v=STSv1; id=1; x=a b"], SYNTAX),
        ([b"v=STSv1; id=1; x=a=b"], SYNTAX),
        ([b"v=STSv1; id=1; -x=a"], SYNTAX),
        ([b"v=STSv1; id=1; x=\xc3\xbc"], SYNTAX),
        ([b"v=STSv1; id=1; " + b"x" * 33 + b"=a"], SYNTAX),
        ([b"v=STSv1; id=1\r\n"], SYNTAX),
        ([], None),
        ([b""], None),
        ([b"v=STSv2; id=1"], None),
        ([b"v=STSv10; id=1"], None),
        ([b"v=stsv1; id=1"], None),
        ([b" v=STSv1; id=1"], None),
        ([b'"v=STSv1; id=1"'], None),
        ([b"id=1; v=STSv1"], None),
    ],
)
def test_records(texts: list[bytes], record: StsRecord | None) -> None:
    """Exactly one record counts, and only if all of it keeps to the grammar."""
    assert read_sts_record(texts) == record


def test_strings_are_joined() -> None:
    """A record of several strings is one text, with no space between (§3.1)."""
    records = [
        dns.rdata.from_text("IN", "TXT", '"v=STSv1; i" "d=2026" "1123;"'),
        dns.rdata.from_text("IN", "A", "192.0.2.1"),
    ]
    assert texts_of(records) == (b"v=STSv1; id=20261123;",)


EXAMPLE = (
    b"version: STSv1\nmode: enforce\nmx: mail.example.com\nmx: *.example.net\nmx: backupmx.example.com\nmax_age: 604800"
)
READ = StsPolicy(StsMode.ENFORCE, 604_800, ("mail.example.com", "*.example.net", "backupmx.example.com"))
LEAST = b"version: STSv1\nmode: testing\nmx: a.example\nmax_age: 1\n"
LEAST_READ = StsPolicy(StsMode.TESTING, 1, ("a.example",))


@pytest.mark.parametrize(
    ("body", "policy"),
    [
        (EXAMPLE, READ),  # the example of §3.2
        (EXAMPLE + b"\n", READ),
        (EXAMPLE.replace(b"\n", b"\r\n") + b"\r\n", READ),
        (EXAMPLE.replace(b": ", b":"), READ),
        (EXAMPLE.replace(b": ", b": \t ").replace(b"\n", b" \t\n"), READ),
        (LEAST, LEAST_READ),
        (b"max_age: 1\nmx: a.example\nmode: testing\nversion: STSv1", LEAST_READ),
        (LEAST + b"comment: any text: even \xc3\xbc and ;=\n", LEAST_READ),
        (LEAST + b"Mode: enforce\n", LEAST_READ),  # another name, and so an extension
        (LEAST + b"mode: none\nmode: nonsense\nversion: STSv2\nmax_age: 9\n", LEAST_READ),  # the first one counts
        (LEAST + b"mx: a.example\nmx: A.EXAMPLE\n", LEAST_READ),
        (LEAST + b"\n\r\n", LEAST_READ),
        (b"version: STSv1\nmode: none\nmax_age: 0\n", StsPolicy(StsMode.NONE, 0)),
        (LEAST.replace(b" 1\n", b" 31557600\n"), StsPolicy(StsMode.TESTING, MAX_MAX_AGE_S, ("a.example",))),
        (LEAST.replace(b"a.example", b"localhost"), StsPolicy(StsMode.TESTING, 1, ("localhost",))),
        (
            LEAST.replace(b"a.example", b"xn--bcher-kva.1-2.example"),
            StsPolicy(StsMode.TESTING, 1, ("xn--bcher-kva.1-2.example",)),
        ),
    ],
)
def test_policies(body: bytes, policy: StsPolicy) -> None:
    """All fields of a policy that is right."""
    assert read_policy(body) == policy


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b"", PolicyError.VERSION),
        (b"<!DOCTYPE html>\n<html></html>\n", PolicyError.SYNTAX),
        (b"\xef\xbb\xbf" + LEAST, PolicyError.SYNTAX),
        (LEAST.replace(b"\n", b"\r"), PolicyError.SYNTAX),
        (b" " + LEAST, PolicyError.SYNTAX),
        (LEAST.replace(b":", b" :"), PolicyError.SYNTAX),
        (LEAST.replace(b":", b"="), PolicyError.SYNTAX),
        (LEAST + b"comment:\n", PolicyError.SYNTAX),
        (LEAST + b"comment: a\0b\n", PolicyError.SYNTAX),
        (LEAST + b"comment: a\tb\n", PolicyError.SYNTAX),
        (LEAST + b"comment: \xff\n", PolicyError.ENCODING),
        (LEAST.replace(b"STSv1", b"STSv2"), PolicyError.VERSION),
        (LEAST.replace(b"STSv1", b"stsv1"), PolicyError.VERSION),
        (LEAST.replace(b"version: STSv1\n", b""), PolicyError.VERSION),
        (LEAST.replace(b"testing", b"report"), PolicyError.MODE),
        (LEAST.replace(b"testing", b"Testing"), PolicyError.MODE),
        (LEAST.replace(b"mode: testing\n", b""), PolicyError.MODE),
        (LEAST.replace(b"max_age: 1\n", b""), PolicyError.MAX_AGE),
        (LEAST.replace(b" 1\n", b" 31557601\n"), PolicyError.MAX_AGE),
        (LEAST.replace(b" 1\n", b" 00000000001\n"), PolicyError.MAX_AGE),
        (LEAST.replace(b" 1\n", b" -1\n"), PolicyError.MAX_AGE),
        (LEAST.replace(b" 1\n", b" 1d\n"), PolicyError.MAX_AGE),
        (LEAST.replace(b" 1\n", " \u0661\n".encode()), PolicyError.MAX_AGE),
        (LEAST.replace(b"mx: a.example\n", b""), PolicyError.MX),
        (LEAST.replace(b"a.example", b"a.example."), PolicyError.MX),
        (LEAST.replace(b"a.example", b"a_b.example"), PolicyError.MX),
        (LEAST.replace(b"a.example", b"-a.example"), PolicyError.MX),
        (LEAST.replace(b"a.example", "bücher.example".encode()), PolicyError.MX),
        (LEAST.replace(b"a.example", b"*"), PolicyError.MX),
        (LEAST.replace(b"a.example", b"*.*.example"), PolicyError.MX),
        (LEAST.replace(b"a.example", b"mx*.example"), PolicyError.MX),
        (LEAST.replace(b"a.example", b"a.*.example"), PolicyError.MX),
        (LEAST.replace(b"a.example", b"a.example, b.example"), PolicyError.MX),
        (LEAST.replace(b"a.example", b"a." * 150 + b"example"), PolicyError.MX),
        (LEAST + b"mx: *\n", PolicyError.MX),
        (LEAST + b"x: " + b"y" * MAX_POLICY_BYTES, PolicyError.TOO_LARGE),
    ],
)
def test_policies_that_are_wrong(body: bytes, error: PolicyError) -> None:
    """The first thing that is wrong."""
    assert read_policy(body).error is error


def test_what_could_be_read_stays() -> None:
    """A policy that is wrong in one field is still shown."""
    policy = read_policy(EXAMPLE.replace(b"604800", b"99999999"))
    assert policy == StsPolicy(READ.mode, 99_999_999, READ.mx, PolicyError.MAX_AGE)


@pytest.mark.parametrize(
    ("host", "is_covered"),
    [
        ("mail.example.com", True),
        ("backupmx.example.com", True),
        ("a.mail.example.com", False),
        ("example.com", False),
        ("mail.example.net", True),
        ("xn--bcher-kva.example.net", True),
        ("a.mail.example.net", False),  # one label and no more (§4.1)
        ("example.net", False),
        (".example.net", False),
        ("", False),
    ],
)
def test_covers(host: str, is_covered: bool) -> None:
    """A pattern is a name, or a wildcard for its whole left-most label."""
    assert READ.covers(host) is is_covered


def test_wildcards_are_not_searched_for() -> None:
    """A pattern with a wildcard stands for no host that is a whole top-level domain."""
    assert not StsPolicy(mx=("*.example",)).covers("example")


@given(st.lists(st.binary(max_size=80) | st.binary(max_size=80).map(lambda more: b"v=STSv1;" + more), max_size=3))
def test_any_texts(texts: list[bytes]) -> None:
    """Whatever stands there, there is a record with an id, one with an error, or none."""
    record = read_sts_record(texts)
    assert record is None or (record.id is None) is (record.error is not None)


LINES = st.sampled_from([*EXAMPLE.splitlines(), b"mode: none", b"mx: *", b"x: y", b""]) | st.binary(max_size=40)


@given(st.lists(LINES, max_size=9), st.sampled_from([b"\n", b"\r\n", b"\r"]))
def test_any_bodies(lines: list[bytes], end: bytes) -> None:
    """Whatever comes, there is a policy; and one without an error has all that it must have."""
    policy = read_policy(end.join(lines))
    if policy.error is None:
        assert policy.mode
        assert policy.max_age_s is not None
        assert policy.max_age_s <= MAX_MAX_AGE_S
        assert policy.mx or policy.mode is StsMode.NONE


@pytest.mark.parametrize(
    "unit", [b" ", b"\t", b"a", b"a.", b"*.", b"-", b"mx: a\n", b"mx: -\n", b"\n", b"x: y\n", b":", b"mx: a-\xc3\xbc"]
)
def test_no_policy_takes_long(unit: bytes) -> None:
    """Reading takes time in proportion to the size: a fiftieth of a second would do, and two are allowed."""
    started = time.process_time()
    for start in (b"mx: ", b"x: ", b""):
        read_policy((start + unit * MAX_POLICY_BYTES)[:MAX_POLICY_BYTES])
        read_sts_record([(b"v=STSv1; " + unit * MAX_POLICY_BYTES)[:MAX_POLICY_BYTES]])
    assert time.process_time() - started < 2
