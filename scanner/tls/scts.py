"""Signed certificate timestamps (RFC 6962 §3.2, §3.3): a log's promise to publish a certificate.

They come inside a certificate, inside a stapled OCSP response, or in an extension of TLS.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

MAX_SCTS = 32  # of one list
MAX_LIST_BYTES = 4_096  # so much of an answer is kept until it is recorded: 30 of 120 bytes each

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_V1 = 0
_LOG_ID_BYTES, _TIMESTAMP_BYTES = 32, 8
_FIXED_BYTES = 1 + _LOG_ID_BYTES + _TIMESTAMP_BYTES


@dataclass(frozen=True, slots=True)
class Sct:
    """One of them. Of a version that nobody knows, the number is all; where it cannot be read at all, nothing is."""

    version: int | None = None  # 1 for v1, which stands on the wire as 0
    log_id: str | None = None  # hexadecimal: SHA-256 of the log's key
    timestamp: datetime | None = None


def read_scts(data: bytes) -> tuple[Sct, ...]:
    """A SignedCertificateTimestampList. Never raises: what cannot be read is an Sct without facts, and the last."""
    end = 2 + int.from_bytes(data[:2], "big")
    at, found = 2, list[Sct]()
    while at < end and len(found) < MAX_SCTS:
        start = at + 2
        at = start + int.from_bytes(data[at:start], "big")
        if at > min(end, len(data)):
            return (*found, Sct())
        found.append(_read(data[start:at]))
    return tuple(found)


def _read(sct: bytes) -> Sct:
    if not sct:
        return Sct()
    if sct[0] != _V1:
        return Sct(version=sct[0] + 1)
    if len(sct) < _FIXED_BYTES:
        return Sct(version=1)
    log_id, milliseconds = sct[1 : 1 + _LOG_ID_BYTES], int.from_bytes(sct[1 + _LOG_ID_BYTES : _FIXED_BYTES], "big")
    return Sct(1, log_id.hex(), _moment(milliseconds))


def _moment(milliseconds: int) -> datetime | None:
    """None for what is behind the year 9999."""
    try:
        return _EPOCH + timedelta(milliseconds=milliseconds)
    except OverflowError:
        return None
