"""Signed certificate timestamps: lists of them as they stand on the wire, whole, cut off and strange."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scanner.tls.scts import MAX_SCTS, Sct, read_scts

LOG = bytes(range(32))
WHEN = datetime(2026, 11, 24, 4, 0, 0, 123_000, tzinfo=UTC)


def sct(version: int = 0, log: bytes = LOG, milliseconds: int = round(WHEN.timestamp() * 1000)) -> bytes:
    """One SCT, with no extensions and a signature that is none (RFC 6962 §3.2)."""
    return bytes([version]) + log + milliseconds.to_bytes(8, "big") + bytes(2) + b"\x04\x03\x00\x02ab"


def listed(*scts: bytes) -> bytes:
    """A SignedCertificateTimestampList (RFC 6962 §3.3)."""
    body = b"".join(len(each).to_bytes(2, "big") + each for each in scts)
    return len(body).to_bytes(2, "big") + body


GOOD = Sct(1, LOG.hex(), WHEN)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (listed(sct()), (GOOD,)),
        (listed(sct(), sct(log=bytes(32))), (GOOD, Sct(1, "00" * 32, WHEN))),
        (listed(sct(version=1)), (Sct(version=2),)),
        (listed(sct(version=255), sct()), (Sct(version=256), GOOD)),
        (listed(sct(milliseconds=0)), (Sct(1, LOG.hex(), datetime(1970, 1, 1, tzinfo=UTC)),)),
        (listed(sct(milliseconds=2**64 - 1)), (Sct(1, LOG.hex(), None),)),
        (listed(sct()[:40]), (Sct(version=1),)),
        (listed(b"", sct()), (Sct(), GOOD)),
        (listed(sct(), sct())[:-3], (GOOD, Sct())),
        (listed(sct())[:3], (Sct(),)),
        (listed(), ()),
        (b"", ()),
        (b"\x00", ()),
        (b"\xff\xff", (Sct(),)),
        (listed(*[sct()] * 40), (GOOD,) * MAX_SCTS),
    ],
)
def test_lists(data: bytes, expected: tuple[Sct, ...]) -> None:
    """What can be read is read; what cannot is told as such, once, and is the last."""
    assert read_scts(data) == expected


@given(st.binary(max_size=300))
def test_any_bytes(data: bytes) -> None:
    """Whatever comes, there is a bounded list."""
    assert len(read_scts(data)) <= MAX_SCTS + 1
