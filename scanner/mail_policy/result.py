"""The words for what is wrong with a promise."""

from collections.abc import Iterable
from enum import StrEnum


class Result(StrEnum):
    """The words of RFC 8460 §4.3 in its order, and one of our own for the record that asks for reports.

    Its `dane-required` is not among them: it is about what a sender was told, not about what a domain says.
    """

    STARTTLS_NOT_SUPPORTED = "starttls-not-supported"
    HOST_MISMATCH = "certificate-host-mismatch"
    EXPIRED = "certificate-expired"  # or not valid yet
    NOT_TRUSTED = "certificate-not-trusted"
    FAILURE = "validation-failure"
    TLSA_INVALID = "tlsa-invalid"
    DNSSEC_INVALID = "dnssec-invalid"
    STS_POLICY_FETCH_ERROR = "sts-policy-fetch-error"
    STS_POLICY_INVALID = "sts-policy-invalid"
    STS_WEBPKI_INVALID = "sts-webpki-invalid"
    RECORD_INVALID = "record-invalid"  # of TLS-RPT (RFC 8460 §3), which has no word for itself


_ORDER = {word: number for number, word in enumerate(Result)}


def each_once(words: Iterable[str]) -> tuple[Result, ...]:
    """Those words, each once, in the order of RFC 8460. Raises ValueError for any other."""
    return tuple(sorted({Result(word) for word in words}, key=_ORDER.__getitem__))
