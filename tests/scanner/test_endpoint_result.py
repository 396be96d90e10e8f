"""What is kept of an endpoint's result, in 16 bytes."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scanner.conclusion import Status
from scanner.endpoint_result import EndpointResult, dane_part, recorded_result, unpacked
from scanner.mail_policy.dane import Dane, usability
from scanner.mail_policy.result import Result
from scanner.result_table import VALUE_BYTES
from scanner.tlsa_set import TlsaSet, tlsas_of
from tests.conftest import as_written
from tests.scanner.mail import tlsa

WORDS = (Result.HOST_MISMATCH, Result.EXPIRED, Result.NOT_TRUSTED, Result.FAILURE)
OWN = "3 1 1 " + "ab" * 32
RECORDS = TlsaSet("mx.test", tlsa(OWN, "2 0 1 " + "cd" * 32, "1 0 1 " + "ef" * 32, "3 1 2 " + "01" * 9))
OTHERS = TlsaSet("mx.test", tlsa(OWN))

certificates = st.sets(st.sampled_from(WORDS)).map(lambda chosen: tuple(word for word in WORDS if word in chosen))


def dane(matched: list[bool], certificate: tuple[Result, ...] = (), names: frozenset[str] | None = None) -> Dane:
    """What a chain came to with RECORDS: of the first two, which can be used, those match."""
    judged = usability(tlsas_of(RECORDS.records))
    seen = [*(replace(record, matched=each) for record, each in zip(judged, matched, strict=False)), *judged[2:]]
    return Dane(tuple(seen), certificate, names)


@given(
    st.sampled_from(Status),
    st.none() | certificates,
    st.lists(st.booleans(), min_size=2, max_size=2),
    certificates,
    st.none() | st.frozensets(st.just("a.test")),
)
def test_all_comes_back(
    status: Status,
    certificate: tuple[Result, ...] | None,
    matched: list[bool],
    in_dane: tuple[Result, ...],
    names: frozenset[str] | None,
) -> None:
    """Whatever a result is, it is the same when it is asked for with the records that it was matched with."""
    result = EndpointResult(status, certificate, RECORDS.digest, dane(matched, in_dane, names))
    assert len(result.packed) == VALUE_BYTES
    assert unpacked(result.packed, RECORDS.to_match, names) == result
    assert unpacked(result.packed, None, None) == replace(result, dane=None)
    part = {"status": status, "certificate": None if certificate is None else {"results": certificate}}
    assert recorded_result(as_written(part)) == replace(result, dane=None, tlsa=0)
    read_back = recorded_result(as_written({**part, "dane": dane_part(result)}))
    assert (read_back, read_back.packed) == (result, result.packed)


@pytest.mark.parametrize("other", [OTHERS, TlsaSet("other.test", RECORDS.records)])
def test_other_records(other: TlsaSet) -> None:
    """Nobody knows which of them match: none is said to, and none not to."""
    result = EndpointResult(Status.TLS, (), RECORDS.digest, dane([True, True]))
    found = unpacked(result.packed, other.to_match, None)
    assert found.dane is not None
    assert {record.matched for record in found.dane.records} == {None}
    assert found.dane.results(["a.test"]) == ()


def test_no_chain() -> None:
    """Where none was seen, no record is said not to match."""
    judged = Dane(usability(tlsas_of(RECORDS.records)))
    result = EndpointResult(Status.NO_TLS, None, RECORDS.digest, judged)
    assert unpacked(result.packed, RECORDS.to_match, None) == result


def test_names_that_were_not_kept() -> None:
    """A leaf whose names are gone is not said to lack one."""
    result = EndpointResult(Status.TLS, (), RECORDS.digest, dane([False, True], names=frozenset({"x.test"})))
    assert result.dane is not None
    assert result.dane.results(["a.test"]) == (Result.HOST_MISMATCH,)
    found = unpacked(result.packed, RECORDS.to_match, None)
    assert found.dane is not None
    assert found.dane.results(["a.test"]) == ()
