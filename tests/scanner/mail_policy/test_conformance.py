"""What the policies of a domain come to over all of its MX hosts, in the words of RFC 8460 §4.3."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scanner import trust
from scanner.conclusion import Status
from scanner.mail_policy.conformance import DaneMx, StsMx, dane_results, starttls_of, sts_results
from scanner.mail_policy.dane import Dane, Judged, Tlsa, Unusable
from scanner.mail_policy.mta_sts import PolicyError, StsMode, StsPolicy, StsRecord
from scanner.mail_policy.result import Result, each_once
from scanner.mail_policy.text_record import RecordError
from targets.answer import Dnssec

RECORD = StsRecord("20261123")
POLICY = StsPolicy(StsMode.ENFORCE, 604_800, ("*.example.org", "mx.example.net"))
GOOD = StsMx("mx.example.net", True)
WORDS = ("certificate-host-mismatch", "certificate-expired")


@pytest.mark.parametrize(
    ("hosts", "results"),
    [
        ([], []),
        ([GOOD, StsMx("a.example.org", True)], []),
        ([StsMx("mx.example.net")], []),  # not reached
        ([StsMx("mx.example.com")], ["validation-failure"]),  # to know that, it need not be
        ([GOOD, StsMx("a.b.example.org", True, WORDS)], ["validation-failure"]),
        ([GOOD, StsMx("a.example.org", False)], ["starttls-not-supported"]),
        ([StsMx("a.example.org", True, WORDS), StsMx("b.example.org", True, WORDS)], list(WORDS)),
        ([StsMx("a.example.org", None, ("certificate-not-trusted",))], ["certificate-not-trusted"]),
        (
            [StsMx("a.example", True), StsMx("a.example.org", True, WORDS), StsMx("mx.example.net", False)],
            ["starttls-not-supported", *WORDS, "validation-failure"],
        ),
    ],
)
def test_hosts_under_mta_sts(hosts: list[StsMx], results: list[str]) -> None:
    """Each word once, over all hosts, in the order of the RFC; the mode `testing` tells the same (RFC 8461 §5)."""
    for mode in (StsMode.ENFORCE, StsMode.TESTING):
        policy = StsPolicy(mode, POLICY.max_age_s, POLICY.mx)
        assert list(sts_results(RECORD, None, policy, hosts)) == results


BAD = [StsMx("mx.example.com", False)]


@pytest.mark.parametrize(
    ("record", "fetch_result", "policy", "results"),
    [
        (StsRecord(error=RecordError.SEVERAL), None, POLICY, ["sts-policy-invalid"]),
        (RECORD, Result.STS_POLICY_FETCH_ERROR, None, ["sts-policy-fetch-error"]),
        (RECORD, Result.STS_WEBPKI_INVALID, None, ["sts-webpki-invalid"]),
        (RECORD, None, None, []),  # for the moment (RFC 8460 §4.3.4)
        (RECORD, None, StsPolicy(error=PolicyError.SYNTAX), ["sts-policy-invalid"]),
        (RECORD, None, StsPolicy(StsMode.NONE, None, error=PolicyError.MAX_AGE), ["sts-policy-invalid"]),
        (RECORD, None, StsPolicy(StsMode.NONE, 86_400), []),
        (RECORD, None, POLICY, ["validation-failure"]),
    ],
)
def test_what_comes_before_the_hosts(
    record: StsRecord, fetch_result: Result | None, policy: StsPolicy | None, results: list[str]
) -> None:
    """Where there is no policy that holds, nothing is held against the hosts."""
    assert list(sts_results(record, fetch_result, policy, BAD)) == results


TLSA, OTHER = Tlsa(3, 1, 1, bytes(32)), Tlsa(2, 1, 1, bytes(32))
MATCHED, UNMATCHED, UNSEEN = (Dane((Judged(TLSA, None, matched),)) for matched in (True, False, None))
UNUSABLE = Dane((Judged(TLSA, Unusable.USAGE),))
UNNAMED = Dane((Judged(OTHER, None, True),), unnamed=frozenset({"example.org"}))
FAILED = Dane((Judged(OTHER, None, True),), (Result.NOT_TRUSTED,))
SECURE, INSECURE, BOGUS, UNKNOWN = Dnssec.SECURE, Dnssec.INSECURE, Dnssec.BOGUS, Dnssec.INDETERMINATE


@pytest.mark.parametrize(
    ("answer", "hosts", "results"),
    [
        (SECURE, [DaneMx(SECURE, MATCHED, True)], []),
        (SECURE, [DaneMx(SECURE, MATCHED, True), DaneMx(SECURE), DaneMx(INSECURE)], []),
        (SECURE, [DaneMx(SECURE, UNMATCHED, True)], ["tlsa-invalid"]),
        (SECURE, [DaneMx(SECURE, UNSEEN, None)], []),
        (SECURE, [DaneMx(SECURE, UNSEEN, False)], ["starttls-not-supported"]),
        (SECURE, [DaneMx(SECURE, UNUSABLE, None)], ["tlsa-invalid"]),  # DNS alone tells
        (SECURE, [DaneMx(SECURE, UNUSABLE, True)], ["tlsa-invalid"]),
        (SECURE, [DaneMx(SECURE, UNUSABLE, False)], ["starttls-not-supported", "tlsa-invalid"]),
        (SECURE, [DaneMx(SECURE, FAILED, True)], ["certificate-not-trusted"]),
        (SECURE, [DaneMx(SECURE, UNNAMED, True)], []),  # the mail domain is
        # Where there are more records, one of them may match: what these few come to is not firm.
        (SECURE, [DaneMx(SECURE, UNMATCHED, True, is_cut=True)], []),
        (SECURE, [DaneMx(SECURE, UNUSABLE, True, is_cut=True)], []),
        (SECURE, [DaneMx(SECURE, FAILED, True, is_cut=True)], []),
        (SECURE, [DaneMx(SECURE, UNMATCHED, False, is_cut=True)], ["starttls-not-supported"]),
        (SECURE, [DaneMx(SECURE, UNUSABLE, False, is_cut=True)], ["starttls-not-supported"]),
        (SECURE, [DaneMx(SECURE, UNMATCHED, True, is_cut=True), DaneMx(SECURE, UNMATCHED, True)], ["tlsa-invalid"]),
        (SECURE, [DaneMx(BOGUS)], ["dnssec-invalid"]),
        (SECURE, [DaneMx(BOGUS, UNMATCHED, False)], ["dnssec-invalid"]),
        (SECURE, [DaneMx(SECURE, UNMATCHED, True)] * 2 + [DaneMx(BOGUS)], ["tlsa-invalid", "dnssec-invalid"]),
        (SECURE, [DaneMx(INSECURE, UNMATCHED, True)], None),
        (SECURE, [DaneMx(UNKNOWN, UNMATCHED, False)], None),
        (SECURE, [DaneMx(SECURE, None, False)], None),
        (SECURE, [], None),
        (INSECURE, [DaneMx(SECURE, UNMATCHED, False)], None),  # the name of the host itself may be a lie
        (UNKNOWN, [DaneMx(BOGUS)], None),
        (BOGUS, [], ["dnssec-invalid"]),
    ],
)
def test_hosts_under_dane(answer: Dnssec, hosts: list[DaneMx], results: list[str] | None) -> None:
    """TLSA records count where they, and the MX answer, are secure; without one, there is no policy."""
    found = dane_results(answer, hosts, ["example.org"])
    assert (None if found is None else list(found)) == results


def test_each_domain_is_named_or_not() -> None:
    """The same MX host, asked for two domains."""
    host = DaneMx(SECURE, UNNAMED, True)
    assert dane_results(SECURE, [host, host], iter(["example.org"])) == ()
    assert dane_results(SECURE, [host, host], ["example.com"]) == (Result.HOST_MISMATCH,)


@pytest.mark.parametrize("status", Status)
def test_starttls_of(status: Status) -> None:
    """Only a service that is there and has none has none."""
    assert starttls_of(status) is {Status.TLS: True, Status.NO_TLS: False}.get(status)


def test_words_of_certificates_are_known() -> None:
    """What `trust` says of a certificate is among the words, in the same order."""
    assert each_once(reversed([*trust.Result])) == tuple(map(str, trust.Result))


HOSTS = st.builds(
    StsMx,
    st.sampled_from(["a.example.org", "mx.example.net", "example.com"]),
    st.none() | st.booleans(),
    st.lists(st.sampled_from([*trust.Result])).map(tuple),
)


@given(st.lists(HOSTS))
def test_nothing_firm_from_what_was_not_seen(hosts: list[StsMx]) -> None:
    """A host that was not reached adds nothing, unless it is its name."""
    unseen = [StsMx("b.example.org"), StsMx("mx.example.net")]
    assert sts_results(RECORD, None, POLICY, hosts) == sts_results(RECORD, None, POLICY, [*hosts, *unseen])
