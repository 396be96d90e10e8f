"""What a requested question says on one connection, once TLS may begin: any dialogue that begins with a ClientHello."""

import os
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

from scanner.tls.dialogue import TlsDialogue
from scanner.tls.hello import ENTROPY_BYTES
from scanner.tls.offer import Offer, OfferExchange


@dataclass(frozen=True, slots=True)
class Whom:
    """The server at the other end."""

    name: str | None  # for SNI
    upgraded: bool  # does TLS begin behind a go-ahead?


@dataclass(frozen=True, slots=True)
class Manner:
    """How the hello of a full handshake has to be, to be answered."""

    named: bool = True  # with SNI, where there is a name
    alpn: tuple[bytes, ...] = ()
    short: bool = False  # as long as a packet: without the key share of a hybrid group
    small: bool = False  # under 256 bytes, up to TLS 1.2


USUAL = Manner()


class Talk(ABC):
    """One connection's worth of talk. A frozen dataclass, so that talks can be compared."""

    __slots__ = ()

    @abstractmethod
    def begin(self, whom: Whom) -> TlsDialogue[Any]:
        """The dialogue. What it comes to is the talk's finding."""


@dataclass(frozen=True, slots=True)
class SayHello(Talk):
    """One raw hello; what it comes to is a HelloAnswer."""

    offer: Offer

    def begin(self, whom: Whom) -> OfferExchange:
        """The exchange."""
        return OfferExchange(self.offer, whom.name, os.urandom(ENTROPY_BYTES), after_upgrade=whom.upgraded)
