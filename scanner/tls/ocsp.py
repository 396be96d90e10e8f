"""A stapled OCSP response (RFC 6960, RFC 6066 §8): what the authority says of a certificate, by the server's own mouth.

These are facts as they stand there. Nobody checks who signed it: that is the business of a client that relies on it.
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import islice
from typing import TypeVar

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.x509 import ocsp

from scanner.cache import Cache
from scanner.tls.certificate import Certificate, cache_weight, hexadecimal, sha256
from scanner.tls.scts import Sct, read_scts
from scanner.wire_text import printable

T = TypeVar("T")

MAX_RESPONSES = 64  # of one staple; a server needs one
MAX_CACHED_BYTES = 4_194_304  # of DER: 1,000 ordinary staples


@dataclass(frozen=True, slots=True)
class Statement:
    """What a response says of one certificate."""

    serial: str | None
    status: str | None  # good, revoked, unknown
    this_update: datetime | None
    next_update: datetime | None
    revocation_time: datetime | None


@dataclass(frozen=True, slots=True)
class Staple:
    """The facts of a response; those that its parser refused are None, and `parse_error` says why."""

    response_status: str | None = None  # RFC 6960 §4.2.1: successful, try_later, ...
    statements: tuple[Statement, ...] = ()
    scts: tuple[Sct, ...] = ()
    parse_error: str | None = None

    def about(self, leaf: Certificate) -> Statement | None:
        """The statement about this certificate; else the first one, which is about another."""
        own = (each for each in self.statements if each.serial is not None and each.serial == leaf.serial)
        return next(own, next(iter(self.statements), None))


def read_staple(der: bytes) -> Staple:
    """The facts of an OCSPResponse. Never raises: see `parse_error`."""
    return READ.get(sha256(der), lambda: _read(der), cache_weight(der))


READ = Cache[Staple](MAX_CACHED_BYTES)


def _read(der: bytes) -> Staple:
    with warnings.catch_warnings(action="ignore"):  # the library's, about what it will refuse one day
        try:
            response = ocsp.load_der_ocsp_response(der)
        except (ValueError, NotImplementedError) as error:
            return Staple(parse_error=_shown(error))
        status = response.response_status
        staple = Staple(response_status=status.name.lower())
        if status is not ocsp.OCSPResponseStatus.SUCCESSFUL:
            return staple  # without anything in it
        return _with_scts(_with_statements(staple, response), response)


def _with_statements(staple: Staple, response: ocsp.OCSPResponse) -> Staple:
    try:
        return replace(staple, statements=tuple(map(_statement, islice(response.responses, MAX_RESPONSES))))
    except _UNREADABLE as error:
        return replace(staple, parse_error=_shown(error))


def _with_scts(staple: Staple, response: ocsp.OCSPResponse) -> Staple:
    """Those of RFC 6962 §3.3; the library has them for a response about one certificate alone."""
    if len(staple.statements) != 1:
        return staple
    try:
        found = response.single_extensions.get_extension_for_class(x509.SignedCertificateTimestamps)
    except x509.ExtensionNotFound:
        return staple
    except _UNREADABLE as error:
        return replace(staple, parse_error=_shown(error))
    return replace(staple, scts=read_scts(_unwrapped(found.value.public_bytes())))


def _unwrapped(der: bytes) -> bytes:
    """The content of an OCTET STRING that the library has written."""
    return der[2:] if der[1] < 0x80 else der[2 + der[1] - 0x80 :]


def _statement(single: ocsp.OCSPSingleResponse) -> Statement:
    return Statement(
        serial=_or_none(lambda: hexadecimal(single.serial_number)),
        status=single.certificate_status.name.lower(),
        this_update=_or_none(lambda: single.this_update_utc),
        next_update=_or_none(lambda: single.next_update_utc),
        revocation_time=_or_none(lambda: single.revocation_time_utc),
    )


def _or_none(read: Callable[[], T]) -> T | None:
    try:
        return read()
    except _UNREADABLE:
        return None


_UNREADABLE = (
    *(ValueError, TypeError, NotImplementedError, UnsupportedAlgorithm),
    *(x509.DuplicateExtension, x509.UnsupportedGeneralNameType, x509.InvalidVersion),
)


def _shown(error: Exception) -> str:
    return printable(f"{type(error).__name__}: {error}".encode("utf-8", "backslashreplace"))
