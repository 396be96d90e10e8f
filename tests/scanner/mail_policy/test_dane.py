"""DANE: which records count, which match, and what it comes to (RFC 6698, 7671, 7672)."""

from datetime import timedelta
from hashlib import sha256

import dns.rdata
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from dns.rdataclass import RdataClass
from dns.rdatatype import RdataType
from hypothesis import given
from hypothesis import strategies as st

from scanner.cache import Cache
from scanner.mail_policy.dane import CERTIFICATE, FULL, KEY, Dane, Tlsa, Unusable, judge, usability
from scanner.mail_policy.result import Result
from scanner.tlsa_set import tlsas_of
from tests.scanner.mail_policy.dane_matrix import INVALID, OK, UNNAMED, Case, World, broken, cases, tlsa
from tests.scanner.test_trust import HOST, NOW, Made, alternative, leaf, rsa_key
from tests.scanner.tls.test_certificate import DH_OID, DH_PARAMETERS, X942_OID, X942_PARAMETERS, spki_of

WORLD = World()
CHAIN = (WORLD.leaf.der, WORLD.middle.der)
ISSUER = tlsa(2, 1, 1, WORLD.middle)


@pytest.mark.parametrize("case", cases(), ids=lambda case: case.name)
def test_results(case: Case) -> None:
    """What the records come to with the chain."""
    assert judge(case.records, case.ders, HOST, NOW).results() == case.results


@pytest.mark.parametrize("case", cases(), ids=lambda case: case.name)
def test_each_record_is_judged(case: Case) -> None:
    """In their order; those that do not count are not compared, and all is well only where one matches."""
    dane = judge(case.records, case.ders, HOST, NOW)
    assert tuple(each.tlsa for each in dane.records) == case.records
    assert all((each.matched is None) is not each.usable for each in dane.records)
    assert any(each.matched for each in dane.records) or case.results == INVALID


@pytest.mark.parametrize(
    ("record", "why"),
    [
        (Tlsa(0, 1, 1, bytes(32)), Unusable.USAGE),
        (Tlsa(1, 1, 1, bytes(32)), Unusable.USAGE),
        (Tlsa(3, 2, 1, bytes(32)), Unusable.SELECTOR),
        (Tlsa(3, 1, 3, bytes(32)), Unusable.MATCHING),
        (Tlsa(3, 1, 1, bytes(31)), Unusable.DATA),
        (Tlsa(3, 1, 2, bytes(32)), Unusable.DATA),
        (Tlsa(3, 0, 0, bytes(32)), Unusable.DATA),
        (Tlsa(3, 1, 0, bytes(32)), Unusable.DATA),
        (Tlsa(3, 1, 1, bytes(32)), None),
        (Tlsa(2, 0, 2, bytes(64)), None),
    ],
)
def test_why_a_record_does_not_count(record: Tlsa, why: Unusable | None) -> None:
    """The first reason."""
    (judged,) = usability([record])
    assert judged.unusable is why
    assert judged.usable is (why is None)


def test_a_weaker_digest_does_not_count() -> None:
    """Of one usage and selector, only the strongest digest does, and what is there in full (RFC 7671 §9)."""
    records = [
        tlsa(3, 1, 1, WORLD.leaf),
        tlsa(3, 1, 2, WORLD.leaf),
        tlsa(3, 0, 1, WORLD.leaf),
        tlsa(3, 1, 0, WORLD.leaf),
    ]
    assert [each.unusable for each in usability(records)] == [Unusable.WEAKER_DIGEST, None, None, None]


@pytest.mark.parametrize("algorithm", [DH_OID + DH_PARAMETERS, X942_OID + X942_PARAMETERS])
def test_keys_of_diffie_hellman_sign_nothing(algorithm: bytes) -> None:
    """Reading such a key takes up to a second of looking for primes, so it is not read."""
    data = spki_of(algorithm, b"\x02\x01\x03")
    assert usability([Tlsa(2, KEY, FULL, data)])[0].unusable is Unusable.DATA


@pytest.mark.parametrize("kind", ["rsa", "ed25519"])
def test_keys_of_other_kinds(kind: str) -> None:
    """A bare key vouches for what it has signed, whichever its algorithm."""
    der, data = signed_by_rsa() if kind == "rsa" else signed_by_ed25519()
    assert judge([Tlsa(2, KEY, FULL, data)], (der,), HOST, NOW).results() == OK
    assert judge([Tlsa(2, KEY, FULL, data)], CHAIN, HOST, NOW).results() == INVALID


def unsigned() -> x509.CertificateBuilder:
    """The leaf once more."""
    same, period = WORLD.leaf.certificate, (NOW - timedelta(days=1), NOW + timedelta(days=1))
    builder = x509.CertificateBuilder(same.issuer, same.subject, same.public_key(), 1, *period)
    return builder.add_extension(alternative(HOST), critical=False)


def signed_by_rsa() -> tuple[bytes, bytes]:
    """A certificate, and the key that has signed it."""
    key = rsa_key(2048)
    return unsigned().sign(key, hashes.SHA256()).public_bytes(Encoding.DER), in_der(key.public_key())


def signed_by_ed25519() -> tuple[bytes, bytes]:
    """The same."""
    key = ed25519.Ed25519PrivateKey.generate()
    return unsigned().sign(key, None).public_bytes(Encoding.DER), in_der(key.public_key())


def in_der(key: rsa.RSAPublicKey | ed25519.Ed25519PublicKey) -> bytes:
    """As it stands in a record."""
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def test_without_a_chain_nothing_is_known() -> None:
    """Where no chain was seen, records are usable or not, and only what DNS alone shows is a result."""
    unseen = judge([tlsa(3, 1, 1, WORLD.leaf)], (), HOST, NOW)
    assert [each.matched for each in unseen.records] == [None]
    assert unseen.usable
    assert unseen.results() == OK
    unusable = judge([Tlsa(3, 1, 1, b"")], (), HOST, NOW)
    assert not unusable.usable
    assert unusable.results() == INVALID


@pytest.mark.parametrize(
    ("names", "next_hops", "results"),
    [
        (["example.com"], ["example.com"], OK),  # the mail domain itself (RFC 7672 §3.2.2)
        (["example.com"], ["example.net", "example.com"], OK),  # the end of its aliases
        (["*.example.com"], ["a.example.com"], OK),
        (["example.com"], ["a.example.com"], UNNAMED),
        (["example.com"], [], UNNAMED),
        ([HOST], ["example.com"], OK),  # the TLSA base domain: then nothing else is asked
    ],
)
def test_the_mail_domain_may_be_named(names: list[str], next_hops: list[str], results: tuple[Result, ...]) -> None:
    """One result serves all domains of an MX host, and each asks for its own names."""
    dane = judge([ISSUER], (leaf(WORLD.middle, names=names).der, WORLD.middle.der), HOST, NOW)
    assert dane.results(next_hops) == results
    assert dane.unnamed == (None if HOST in names else frozenset(names))


def test_names_do_not_count_for_the_leaf_itself() -> None:
    """With DANE-EE(3) they are not even kept (RFC 7672 §3.1.1)."""
    dane = judge([tlsa(3, 1, 1, WORLD.elsewhere), ISSUER], (WORLD.elsewhere.der, WORLD.middle.der), HOST, NOW)
    assert (dane.unnamed, dane.certificate) == (None, ())


def test_a_wildcard_is_no_common_name_of_a_certificate_with_names() -> None:
    """The common name counts only where there are no DNS names (RFC 7672 §3.2.3)."""
    dane = judge([ISSUER], (WORLD.elsewhere.der, WORLD.middle.der), HOST, NOW)
    assert WORLD.elsewhere.certificate.subject == WORLD.common_name.certificate.subject
    assert dane.results() == UNNAMED


def test_the_last_second_of_a_period() -> None:
    """It still belongs to it (RFC 5280 §4.1.2.5)."""
    last = WORLD.leaf.certificate.not_valid_after_utc
    assert judge([tlsa(2, 1, 1, WORLD.middle)], CHAIN, HOST, last).results() == OK
    late = judge([tlsa(2, 1, 1, WORLD.middle)], CHAIN, HOST, last + timedelta(seconds=1))
    assert late.results() == (Result.EXPIRED,)


def test_leaves_that_cannot_be_read() -> None:
    """A leaf is itself whatever it is; and nobody can say whom it is below."""
    nothing = b"\x30\x03\x02\x01\x01"
    ee = Tlsa(3, 0, 1, sha256(nothing).digest())
    assert judge([ee], (nothing,), HOST, NOW).results() == OK
    assert judge([ISSUER], (nothing, WORLD.middle.der), HOST, NOW).results() == INVALID
    ta = Tlsa(2, 0, 1, sha256(nothing).digest())
    assert judge([ta], (WORLD.leaf.der, nothing), HOST, NOW).results() == INVALID


def test_records_of_dnspython() -> None:
    """As an answer has them."""
    records = [
        dns.rdata.from_text("IN", "TLSA", "3 1 1 " + "ab" * 32),
        dns.rdata.from_text("IN", "CNAME", "a.example."),
    ]
    assert tlsas_of(records) == (Tlsa(3, 1, 1, b"\xab" * 32),)


def test_a_record_that_the_dns_library_refuses() -> None:
    """Its data are not as long as its digest is: it is there, and cannot be used."""
    wrong = dns.rdata.GenericRdata(RdataClass.IN, RdataType.TLSA, b"\3\1\1" + b"\xab" * 20)
    assert tlsas_of([wrong]) == (Tlsa(3, 1, 1, b"\xab" * 20),)
    assert [record.unusable for record in usability(tlsas_of([wrong]))] == [Unusable.DATA]


def test_a_crowd_of_records() -> None:
    """As many as fit into an answer, each with a key that must be tried, take less than a second or two."""
    data = [tlsa(2, 1, FULL, made).data for made in (WORLD.other, WORLD.root, WORLD.other_root, WORLD.alone)]
    records = [Tlsa(2, KEY, FULL, data[number % 4]) for number in range(700)]
    assert judge(records, (WORLD.leaf.der,), HOST, NOW).results() == INVALID


OCTET = st.integers(0, 255) | st.integers(0, 3)
SOME: list[Made] = [WORLD.leaf, WORLD.middle, WORLD.root, WORLD.other]
DATA = st.binary(max_size=70) | st.sampled_from(
    [tlsa(3, s, m, each).data for each in SOME for s in (0, 1) for m in (0, 1, 2)]
)


@given(
    st.lists(st.builds(Tlsa, OCTET, OCTET, OCTET, DATA), max_size=4),
    st.lists(st.sampled_from([each.der for each in SOME]) | st.binary(max_size=40), max_size=4),
)
def test_any_records_and_any_chain(records: list[Tlsa], chain: list[bytes]) -> None:
    """There is always a result, and it never says more than was seen."""
    dane = judge(records, tuple(chain), HOST, NOW)
    assert isinstance(dane, Dane)
    if dane.usable and not chain:
        assert dane.results() == OK
    if chain and not any(each.matched for each in dane.records):
        assert dane.results() == INVALID


def test_a_broken_digest_is_another() -> None:
    """The matrix breaks what it means to."""
    assert broken(ISSUER).data[:-1] == ISSUER.data[:-1]
    assert broken(ISSUER) != ISSUER


def test_whole_records_are_looked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The records of a host are judged anew for each endpoint: 32 keys and 3,200 endpoints took 3.5 s, each domain."""
    monkeypatch.setattr("scanner.mail_policy.dane._WHOLE", seen := Cache[bool](10))
    key = rsa_key(2048).public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    records = [Tlsa(3, KEY, FULL, key), Tlsa(3, CERTIFICATE, FULL, key), Tlsa(3, KEY, FULL, b"x")]
    for _ in range(3):
        assert [each.unusable for each in usability(records)] == [None, Unusable.DATA, Unusable.DATA]
    assert seen.made == 3
