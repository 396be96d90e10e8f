"""Stapled OCSP responses: of every status, of several certificates, with timestamps, and broken."""

from datetime import UTC, datetime, timedelta
from functools import cache

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from cryptography.x509.oid import NameOID
from hypothesis import given, settings
from hypothesis import strategies as st

from scanner.cache import Cache
from scanner.certificate_parts import ocsp_part, scts_part
from scanner.tls import ocsp as ours
from scanner.tls.certificate import read_certificate
from scanner.tls.ocsp import Staple, read_staple
from scanner.tls.scts import Sct
from tests.conftest import SCHEMA
from tests.scanner.tls.test_certificate import element
from tests.scanner.tls.test_scts import GOOD, listed, sct

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
KEY = ec.generate_private_key(ec.SECP256R1())


@cache
def certificate(serial: int) -> x509.Certificate:
    """A certificate with this serial number, by itself."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "mx.example.org")])
    builder = x509.CertificateBuilder(
        issuer_name=name,
        subject_name=name,
        public_key=KEY.public_key(),
        serial_number=serial,
        not_valid_before=NOW - HOUR,
        not_valid_after=NOW + 24 * HOUR,
    )
    return builder.sign(KEY, hashes.SHA256())


LEAF = read_certificate(certificate(0x0A1B).public_bytes(Encoding.DER))


def response(
    status: ocsp.OCSPCertStatus = ocsp.OCSPCertStatus.GOOD,
    *,
    serial: int = 0x0A1B,
    next_update: datetime | None = NOW + HOUR,
) -> bytes:
    """A successful response about one certificate."""
    revoked = NOW - 2 * HOUR if status is ocsp.OCSPCertStatus.REVOKED else None
    builder = ocsp.OCSPResponseBuilder().add_response(
        cert=certificate(serial),
        issuer=certificate(1),
        algorithm=hashes.SHA1(),
        cert_status=status,
        this_update=NOW - HOUR,
        next_update=next_update,
        revocation_time=revoked,
        revocation_reason=None,
    )
    signed = builder.responder_id(ocsp.OCSPResponderEncoding.HASH, certificate(1)).sign(KEY, hashes.SHA256())
    return signed.public_bytes(Encoding.DER)


# In DER, for what the library does not make: an OCSPResponse of these SingleResponses (RFC 6960 §4.2.1)


def single(serial: bytes = b"\x0a\x1b", extensions: bytes = b"") -> bytes:
    """A SingleResponse: good, since ten o'clock, and without a nextUpdate."""
    hashed = element(0x30, bytes.fromhex("06052b0e03021a 0500")) + element(0x04, bytes(20)) * 2
    said = element(0x30, hashed + element(0x02, serial)) + bytes.fromhex("8000") + element(0x18, b"20261124100000Z")
    return element(0x30, said + (element(0xA1, element(0x30, extensions)) if extensions else b""))


def made_of(*singles: bytes) -> bytes:
    """A response with a signature that is none."""
    responder = element(0xA2, element(0x04, bytes(20)))
    tbs = element(0x30, responder + element(0x18, b"20261124100000Z") + element(0x30, b"".join(singles)))
    basic = tbs + element(0x30, bytes.fromhex("06082a8648ce3d040302")) + element(0x03, b"\0")
    kind = bytes.fromhex("06092b0601050507300101")
    return element(
        0x30, bytes.fromhex("0a0100") + element(0xA0, element(0x30, kind + element(0x04, element(0x30, basic))))
    )


def with_scts(value: bytes) -> bytes:
    """A response with the extension of RFC 6962 §3.3."""
    oid = bytes.fromhex("060a2b06010401d679020405")
    return made_of(single(extensions=element(0x30, oid + element(0x04, value))))


def part(der: bytes | None) -> dict[str, object] | None:
    """As it stands in a record of this leaf, now."""
    return ocsp_part(der, LEAF, NOW)


NOTHING = dict.fromkeys(SCHEMA["$defs"]["ocsp"]["required"]) | {"present": False}
SOME = {
    **NOTHING,
    "present": True,
    "response_status": "successful",
    "certificate_status": "good",
    "this_update": "2026-11-24T11:00:00Z",
    "next_update": "2026-11-24T13:00:00Z",
    "serial_matches": True,
    "expired": False,
}


def test_no_handshake() -> None:
    """Nothing is known without a handshake; with one, that there was nothing."""
    assert part(None) is None
    assert part(b"") == NOTHING


@pytest.mark.parametrize(
    ("der", "expected"),
    [
        (response(), SOME),
        (response(ocsp.OCSPCertStatus.UNKNOWN), SOME | {"certificate_status": "unknown"}),
        (
            response(ocsp.OCSPCertStatus.REVOKED),
            SOME | {"certificate_status": "revoked", "revocation_time": "2026-11-24T10:00:00Z"},
        ),
        (response(serial=7), SOME | {"serial_matches": False}),
        (response(next_update=None), SOME | {"next_update": None, "expired": None}),
        (
            response(next_update=NOW - timedelta(seconds=1)),
            SOME | {"next_update": "2026-11-24T11:59:59Z", "expired": True},
        ),
    ],
    ids=["good", "unknown", "revoked", "another's", "no next update", "expired"],
)
def test_one_certificate(der: bytes, expected: dict[str, object]) -> None:
    """What the authority says, of whom, and whether that still holds."""
    assert part(der) == expected


@pytest.mark.parametrize(
    "status", [each for each in ocsp.OCSPResponseStatus if each is not ocsp.OCSPResponseStatus.SUCCESSFUL]
)
def test_failures(status: ocsp.OCSPResponseStatus) -> None:
    """A responder that could not answer says so, and nothing else."""
    der = ocsp.OCSPResponseBuilder.build_unsuccessful(status).public_bytes(Encoding.DER)
    assert part(der) == NOTHING | {"present": True, "response_status": status.name.lower()}
    assert status.name.lower() in SCHEMA["$defs"]["ocsp"]["properties"]["response_status"]["enum"]


def test_several_certificates() -> None:
    """The statement about the leaf counts, wherever it stands; and else the first, which is about another."""
    common = {"this_update": "2026-11-24T10:00:00Z", "next_update": None, "expired": None}
    assert part(made_of(single(b"\x07"), single())) == SOME | common
    assert part(made_of(single(b"\x07"), single(b"\x08"))) == SOME | common | {"serial_matches": False}
    assert part(made_of()) == NOTHING | {"present": True, "response_status": "successful"}
    assert len(read_staple(made_of(*[single(b"\x07")] * 500)).statements) == ours.MAX_RESPONSES


def test_a_serial_that_nobody_has() -> None:
    """Of a number beyond all bounds nothing is kept, and it is nobody's."""
    assert part(made_of(single(b"\x7f" * 2_000)))["serial_matches"] is None  # type: ignore[index]


def test_timestamps() -> None:
    """Those of a staple, beside those of the certificate and of TLS, each with its source."""
    der = with_scts(element(0x04, listed(sct())))
    assert read_staple(der).scts == (GOOD,)
    assert scts_part(LEAF, der, listed(sct(version=1))) == [
        {"source": "ocsp", "version": 1, "log_id": GOOD.log_id, "timestamp": "2026-11-24T04:00:00.123Z"},
        {"source": "tls", "version": 2, "log_id": None, "timestamp": None},
    ]
    assert scts_part(LEAF, response(), b"") == scts_part(LEAF, b"", b"") == scts_part(LEAF, None, b"") == []
    assert scts_part(None, None, b"") is None


def test_many_timestamps() -> None:
    """A long list is read as far as it may be."""
    assert read_staple(with_scts(element(0x04, listed(*[sct()] * 20)))).scts == (GOOD,) * 20


@pytest.mark.parametrize("value", [b"", b"\x01\x02", element(0x04, b"\xff\xff\x00")])
def test_broken_timestamps(value: bytes) -> None:
    """They take nothing else with them, and the reason is kept."""
    staple = read_staple(with_scts(value))
    assert [each.status for each in staple.statements] == ["good"]
    assert staple.parse_error or staple.scts in ((), (Sct(),))


@pytest.mark.parametrize("der", [b"\x30", b"garbage", response()[:-1], response() + b"\0"])
def test_no_response(der: bytes) -> None:
    """What is no response is there all the same, and says why it was not read."""
    shown = part(der)
    assert shown is not None
    assert shown["parse_error"]
    assert shown == NOTHING | {"present": True, "parse_error": shown["parse_error"]}


def test_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """One staple on many endpoints is read once."""
    monkeypatch.setattr(ours, "READ", fresh := Cache[Staple](ours.MAX_CACHED_BYTES))
    ders = [response(), response(serial=7), b"garbage"]
    for der in ders * 100:
        read_staple(bytes(bytearray(der)))
    assert fresh.made == 3


SUBJECTS = [response(), response(ocsp.OCSPCertStatus.REVOKED), with_scts(element(0x04, listed(sct())))]


@given(
    der=st.sampled_from(SUBJECTS),
    changes=st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), min_size=1, max_size=3),
)
@settings(max_examples=500, deadline=None, derandomize=True)
def test_any_bytes_changed(der: bytes, changes: list[tuple[int, int]]) -> None:
    """A response with any bytes changed is read as far as it can be, without an exception."""
    altered = bytearray(der)
    for at, to in changes:
        altered[at % len(altered)] = to
    shown = part(bytes(altered))
    assert shown is not None
    assert shown["response_status"] or shown["parse_error"]
    assert str(shown["parse_error"]).isprintable()
