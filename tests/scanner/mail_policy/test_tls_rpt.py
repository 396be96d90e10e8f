"""TLS-RPT: where reports are wanted (RFC 8460 §3)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scanner.mail_policy.result import Result
from scanner.mail_policy.text_record import RecordError
from scanner.mail_policy.tls_rpt import TlsRpt, read_tls_rpt

MAIL, WEB = "mailto:reports@example.com", "https://reporting.example.com/v1/tlsrpt"


@pytest.mark.parametrize(
    ("text", "addresses"),
    [
        ("v=TLSRPTv1;rua=mailto:reports@example.com", (MAIL,)),  # the examples of §3.1
        ("v=TLSRPTv1; rua=https://reporting.example.com/v1/tlsrpt", (WEB,)),
        ("v=TLSRPTv1; rua=mailto:reports@example.com,https://reporting.example.com/v1/tlsrpt;", (MAIL, WEB)),
        (f"v=TLSRPTv1 ; rua={MAIL} \t, {WEB}", (MAIL, WEB)),
        (f"v=TLSRPTv1; rua={MAIL}; rua={WEB}", (MAIL, WEB)),
        (f"v=TLSRPTv1; ext=1; rua={MAIL}", (MAIL,)),
        ("v=TLSRPTv1; rua=mailto:a%2Cb%21c%3b@example.com", ("mailto:a%2Cb%21c%3b@example.com",)),
        ("v=TLSRPTv1; rua=MAILTO:a@example.com?subject=x", ("MAILTO:a@example.com?subject=x",)),
        ("v=TLSRPTv1; rua=https://[2001:db8::1]:8443?a=b", ("https://[2001:db8::1]:8443?a=b",)),
        (f"v=TLSRPTv1; rua=ftp://example.com/x,{MAIL}", ("ftp://example.com/x", MAIL)),
    ],
)
def test_records(text: str, addresses: tuple[str, ...]) -> None:
    """All addresses, as they stand there."""
    found = read_tls_rpt([b"v=spf1 -all", text.encode()])
    assert found == TlsRpt(addresses)
    assert found.results == ()


@pytest.mark.parametrize(
    ("texts", "error"),
    [
        (["v=TLSRPTv1"], RecordError.SYNTAX),
        (["v=TLSRPTv1;"], RecordError.SYNTAX),
        ([f"v=TLSRPTv1 rua={MAIL}"], RecordError.SYNTAX),
        ([f"v=TLSRPTv1; rua={MAIL}", f"v=TLSRPTv1; rua={MAIL}"], RecordError.SEVERAL),
        ([f"v=TLSRPTv1; rua = {MAIL}"], RecordError.SYNTAX),
        ([f"v=TLSRPTv1; rua={MAIL},"], RecordError.SYNTAX),
        ([f"v=TLSRPTv1; rua={MAIL},,{WEB}"], RecordError.SYNTAX),
        ([f"v=TLSRPTv1; rua={MAIL} {WEB}"], RecordError.SYNTAX),
        ([f"v=TLSRPTv1; rua={MAIL}!10m"], RecordError.SYNTAX),
        (["v=TLSRPTv1; rua=reports@example.com"], RecordError.SYNTAX),
        (["v=TLSRPTv1; rua=mailto:a%2@example.com"], RecordError.SYNTAX),
        ([f"v=TLSRPTv1; rua={MAIL}; x=a b"], RecordError.SYNTAX),
        ([f"v=TLSRPTv1; ruf={MAIL}"], RecordError.MISSING_FIELD),
        ([f"v=TLSRPTv1; RUA={MAIL}"], RecordError.MISSING_FIELD),
        (["v=TLSRPTv1; rua=ftp://example.com/x"], RecordError.ADDRESS),
        (["v=TLSRPTv1; rua=http://example.com/x"], RecordError.ADDRESS),
        (["v=TLSRPTv1; rua=mailto:example.com"], RecordError.ADDRESS),
        (["v=TLSRPTv1; rua=https:///x"], RecordError.ADDRESS),
    ],
)
def test_records_that_are_wrong(texts: list[str], error: RecordError) -> None:
    """Why they do not count; then it is invalid, by a word of our own."""
    found = read_tls_rpt([text.encode() for text in texts])
    assert found == TlsRpt(error=error)
    assert found.results == (Result.RECORD_INVALID,)


@pytest.mark.parametrize("texts", [[], [b""], [b"v=tlsrptv1; rua=x"], [b"v=TLSRPTv2; rua=x"], [b"rua=x; v=TLSRPTv1"]])
def test_no_record(texts: list[bytes]) -> None:
    """What does not begin with the version is none."""
    assert read_tls_rpt(texts) is None


@given(
    st.lists(st.binary(max_size=60) | st.text("rua=mailto:@;, %2C!").map(lambda more: b"v=TLSRPTv1;" + more.encode()))
)
def test_any_texts(texts: list[bytes]) -> None:
    """Whatever stands there, there are addresses, an error, or no record."""
    found = read_tls_rpt(texts)
    assert found is None or bool(found.addresses) is (found.error is None)
