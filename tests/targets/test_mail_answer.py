"""MX and SRV answers → the hosts that they name, in order."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from targets.answer import Dnssec, DnsStatus
from targets.mail_answer import (
    MAX_MX,
    MAX_SRV,
    MailHost,
    MxSet,
    Oddity,
    is_host_name,
    mx_oddities,
    mx_set,
    of_both_families,
    srv_records,
    weakest,
)
from tests.peers.answers import answer

OK, NXDOMAIN, NODATA, SERVFAIL, TIMEOUT, BOGUS = DnsStatus


@pytest.mark.parametrize(
    ("records", "expected"),
    [
        ([], MxSet()),
        (["0 ."], MxSet(is_null=True)),
        (["10 ."], MxSet(is_null=True)),
        (["10 mx.example.org."], MxSet(((10, "mx.example.org"),))),
        (["20 b.test.", "10 c.test.", "10 A.Test."], MxSet(((10, "a.test"), (10, "c.test"), (20, "b.test")))),
        (["0 .", "10 a.test."], MxSet(((10, "a.test"),), oddities=frozenset({Oddity.NULL_WITH_OTHERS}))),
        (["20 a.test.", "10 A.test."], MxSet(((10, "a.test"),), oddities=frozenset({Oddity.REPEATED}))),
        (["10 192.0.2.1."], MxSet(((10, "192.0.2.1"),))),
        ([r"10 two\032words.test."], MxSet(((10, r"two\032words.test"),))),
    ],
)
def test_mx_sets(records: list[str], expected: MxSet) -> None:
    """By preference and then by name, each once; RFC 7505's null MX counts where it stands alone."""
    assert mx_set(answer("MX", *records)) == expected


@pytest.mark.parametrize("count", [60, MAX_MX, MAX_MX + 1, 1000])
def test_many_mx_hosts(count: int) -> None:
    """Sixty are a domain's own business; beyond a hundred, the least preferred are left out, and that is said."""
    found = mx_set(answer("MX", *(f"{number} mx{number:04}.example.org." for number in reversed(range(count)))))
    assert found.names == tuple((number, f"mx{number:04}.example.org") for number in range(min(count, MAX_MX)))
    assert (Oddity.TOO_MANY in found.oddities) == (count > MAX_MX)


@given(st.permutations([(10, "a.test"), (10, "b.test"), (5, "z.test"), (10, "c.test"), (65535, "d.test")]))
def test_the_order_is_the_same_in_every_run(records: list[tuple[int, str]]) -> None:
    """Name servers shuffle what they say."""
    found = mx_set(answer("MX", *(f"{preference} {name}." for preference, name in records)))
    assert found.names == tuple(sorted(records))


def test_srv_order() -> None:
    """Lowest priority first, then the heaviest (RFC 2782)."""
    records = ["10 5 993 c.test.", "10 60 993 b.test.", "0 0 1993 a.test.", "10 60 993 A.b.test."]
    found = srv_records(answer("SRV", *records))
    assert found is not None
    assert [(each.priority, each.weight, each.port, each.target.to_text()) for each in found] == [
        (0, 0, 1993, "a.test."),
        (10, 60, 993, "A.b.test."),
        (10, 60, 993, "b.test."),
        (10, 5, 993, "c.test."),
    ]


@pytest.mark.parametrize(
    ("records", "count"),
    [
        ([], 0),
        (["0 0 0 ."], None),
        (["0 0 0 .", "0 1 993 a.test."], 1),
        ([f"0 {n} 993 a." for n in range(99)], MAX_SRV),
    ],
)
def test_srv_that_is_not_available(records: list[str], count: int | None) -> None:
    """A lone `.` says so; beside others it says nothing; the number has a bound."""
    said = answer("SRV", *records)
    found = srv_records(said)
    assert (None if found is None else len(found)) == count


@pytest.mark.parametrize(
    ("name", "status", "is_alias", "expected"),
    [
        ("mx.example.org", OK, False, set()),
        ("_mx.example.org", OK, False, set()),
        ("localhost", OK, False, set()),
        ("mx.example.org", OK, True, {Oddity.IS_ALIAS}),
        ("192.0.2.1", NXDOMAIN, False, {Oddity.IS_ADDRESS, Oddity.UNRESOLVED}),
        ("192.0.2.1", OK, False, {Oddity.IS_ADDRESS}),
        ("mx.example.org", NODATA, False, {Oddity.UNRESOLVED}),
        ("mx.example.org", SERVFAIL, False, set()),
        (r"two\032words.test", OK, False, {Oddity.NO_HOST_NAME}),
        ("*.example.org", OK, False, {Oddity.NO_HOST_NAME}),
        ("-mx.example.org", OK, False, {Oddity.NO_HOST_NAME}),
    ],
)
def test_odd_hosts(name: str, status: DnsStatus, is_alias: bool, expected: set[Oddity]) -> None:
    """What is odd about an MX host has one word each; what is only of the moment is not odd."""
    assert mx_oddities(MailHost(name, status, canonical="real.test" if is_alias else None)) == expected


@given(st.text(max_size=40))
def test_any_name(name: str) -> None:
    """Whatever stands in a record is a host name or is none."""
    assert is_host_name(name) in (True, False)


@pytest.mark.parametrize(
    ("v4", "v6", "both"),
    [
        (OK, NODATA, OK),
        (OK, SERVFAIL, OK),
        (NXDOMAIN, NODATA, NXDOMAIN),
        (NODATA, NODATA, NODATA),
        (NODATA, SERVFAIL, SERVFAIL),
        (NXDOMAIN, TIMEOUT, TIMEOUT),
        (BOGUS, SERVFAIL, BOGUS),
    ],
)
def test_both_families(v4: DnsStatus, v6: DnsStatus, both: DnsStatus) -> None:
    """Addresses of one family are enough; without any, what may only be of the moment weighs more than a no."""
    assert of_both_families((v4, v6)) is both
    assert of_both_families((v6, v4)) is both


def test_the_weakest_counts() -> None:
    """An answer is as secure as its weakest part."""
    secure, insecure, bogus, indeterminate = Dnssec
    assert weakest([]) is secure
    assert weakest([secure, insecure]) is insecure
    assert weakest([insecure, indeterminate]) is indeterminate
    assert weakest([indeterminate, bogus, secure]) is bogus
