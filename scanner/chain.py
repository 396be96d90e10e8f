"""Which chain an endpoint showed, and which of its certificates are new to the run.

The chain of a handshake that was completed is what a client gets. Where none was, what stood in plaintext is the best
that there is: nobody has proved to have the key.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from scanner.interview import Interview
from scanner.tls.certificate import sha256
from scanner.tls.flight import ClientCertificate
from scanner.versions import negotiation
from targets.seen import KeySet


class From(StrEnum):
    """Where a chain was seen."""

    HANDSHAKE = "handshake"
    MESSAGE = "message"  # a Certificate message in plaintext, up to TLS 1.2


@dataclass(frozen=True, slots=True)
class Chain:
    """Certificates in DER, leaf first, as they were sent; none where none were seen."""

    certificates: tuple[bytes, ...] = ()
    seen_in: From | None = None


def chain_of(interview: Interview) -> Chain:
    """The chain that stands in the record: of a handshake that was completed, or else of what failed or was not tried.

    Where no handshake was asked for, there is none.
    """
    negotiated = negotiation(interview.answers)
    if negotiated is None:
        return Chain()
    made = negotiated.handshake
    if made and (made.failure is None or made.version):  # in TLS 1.3 it may have failed behind its end
        return Chain(made.chain, From.HANDSHAKE) if made.chain else Chain()
    return next((Chain(each, From.MESSAGE) for each in _in_plaintext(interview) if each), Chain())


def _in_plaintext(interview: Interview) -> Iterator[tuple[bytes, ...]]:
    yield from (answer.handshake.chain for answer in interview.answers if answer.handshake)
    yield from (answer.first_flight.chain for answer in interview.asides if answer.first_flight)
    of_sslv2 = (answer.hello.certificate for answer in interview.answers if answer.hello)
    yield from ((der,) for der in of_sslv2 if der)


def client_certificate_of(interview: Interview) -> ClientCertificate | None:
    """Does the server ask for one of the client's? None where nobody saw."""
    negotiated = negotiation(interview.answers)
    if negotiated and negotiated.handshake and negotiated.handshake.client_certificate:
        return negotiated.handshake.client_certificate
    seen = (answer.first_flight.client_certificate for answer in interview.asides if answer.first_flight)
    return next(filter(None, seen), None)


def timestamps_of(interview: Interview) -> bytes:
    """The list of SCTs that a ServerHello had; empty where none had any."""
    return next((answer.hello.scts for answer in interview.answers if answer.hello and answer.hello.scts), b"")


class Unseen:
    """Tells the certificates that are new: 12 to 24 bytes each, by keyed hashes of 64 bits (see `targets/seen.py`)."""

    def __init__(self) -> None:
        self._seen = KeySet()

    def new_ones(self, certificates: Iterable[bytes]) -> list[bytes]:
        """Those that were not asked for before."""
        return [der for der in certificates if self._seen.add(sha256(der).encode())]

    def note(self, fingerprint: str) -> bool:
        """Take one for seen, by its SHA-256 in hexadecimal. Was it new?"""
        return self._seen.add(fingerprint.encode())
