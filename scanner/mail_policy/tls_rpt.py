"""TLS-RPT: where a domain wants to be told of failures (RFC 8460 §3). Pure: the TXT records are asked for elsewhere."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from scanner.mail_policy.result import Result
from scanner.mail_policy.text_record import WSP, RecordError, is_extension_value, read_fields

VERSION = "TLSRPTv1"

# A comma, an exclamation point and a semicolon are percent-encoded in a URI of a record (RFC 8460 §3); all other
# characters are those of RFC 3986 §2.
_CHARACTER = r"(?:[A-Za-z0-9._~:/?#@$&'()*+=\[\]-]|%[0-9A-Fa-f]{2})"
_URI = re.compile(rf"[A-Za-z][A-Za-z0-9+.-]*:{_CHARACTER}+")
# The two schemes that reports are sent by (RFC 8460 §3): RFC 6068 §2 (a local part, a domain, and perhaps header
# fields), RFC 9110 §4.2.2 (a host).
_SENDABLE = re.compile(r"(?i:mailto):[^@?#/]+@[^@?#/]+(?:\?[^#]*)?|(?i:https)://[^/?#@]+(?:[/?][^#]*)?")


@dataclass(frozen=True, slots=True)
class TlsRpt:
    """The addresses (URIs, percent-encoding kept); none where the record does not count."""

    addresses: tuple[str, ...] = ()
    error: RecordError | None = None

    @property
    def results(self) -> tuple[Result, ...]:
        """What is wrong with it."""
        return (Result.RECORD_INVALID,) if self.error else ()


def read_tls_rpt(texts: Iterable[bytes]) -> TlsRpt | None:
    """What the TXT records of `_smtp._tls.<domain>` say; None where there is no TLS-RPT record. Never raises.

    An address of an unknown scheme is passed over by senders; the record counts while it has one that is known.
    """
    found = read_fields(texts, VERSION)
    if found is None:
        return None
    if found.error:
        return TlsRpt(error=found.error)
    written = [address.strip(WSP) for value in found.all("rua") for address in value.split(",")]
    if not written:
        return TlsRpt(error=RecordError.MISSING_FIELD)
    extensions = (value for name, value in found.fields if name != "rua")
    if not all(map(_URI.fullmatch, written)) or not all(map(is_extension_value, extensions)):
        return TlsRpt(error=RecordError.SYNTAX)
    sendable = tuple(address for address in written if _SENDABLE.fullmatch(address))
    return TlsRpt(tuple(written)) if sendable else TlsRpt(error=RecordError.ADDRESS)
