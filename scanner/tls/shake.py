"""Handshakes that are made to measure one thing, by contexts of OpenSSL's that are made for it."""

import contextlib
from dataclasses import dataclass

from OpenSSL import SSL

from scanner.dialogue import Script, Send
from scanner.tls.handshake import Handshake, HandshakeDialogue, outgoing
from scanner.tls.talk import Talk, Whom

_LEGACY_SERVER_CONNECT = 0x4  # SSL_OP_LEGACY_SERVER_CONNECT
_PADDING = 0x10  # SSL_OP_TLSEXT_PADDING


def bare_context(ciphers: bytes = b"ALL:COMPLEMENTOFALL:@SECLEVEL=0", options: int = 0) -> SSL.Context:
    """Nothing is verified, and old servers are let in, as in `measuring_context`."""
    context = SSL.Context(SSL.TLS_CLIENT_METHOD)
    context.set_cipher_list(ciphers)
    context.set_options(_LEGACY_SERVER_CONNECT | _PADDING | options)
    context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
    context.set_verify(SSL.VERIFY_NONE)
    return context


class ShakeDialogue(HandshakeDialogue):
    """A handshake; with a context of its own where one is given."""

    def __init__(self, whom: Whom, context: SSL.Context | None = None) -> None:
        super().__init__(whom.name, after_upgrade=whom.upgraded)
        self._complete = False
        if context is not None:
            self.tls = SSL.Connection(context, None)
            self.tls.set_connect_state()
            if whom.name is not None:
                self.tls.set_tlsext_host_name(whom.name.encode("ascii"))

    def is_complete(self) -> bool:
        """Is the handshake over, with all that we had to say in it?"""
        return self._complete

    def script(self) -> Script[Handshake]:
        """The handshake, what is to be measured behind it, and a goodbye."""
        handshake = yield from super().script()
        if handshake.failure is not None:
            return handshake
        self._complete = True
        return (yield from self.measure(handshake))

    def measure(self, handshake: Handshake) -> Script[Handshake]:
        """What comes of a handshake that was completed."""
        yield from self.farewell()
        return handshake

    def farewell(self) -> Script[None]:
        """A close_notify."""
        with contextlib.suppress(SSL.Error):
            self.tls.shutdown()
        yield Send(outgoing(self.tls))


@dataclass(frozen=True, slots=True)
class ShakeHands(Talk):
    """A handshake with these names in ALPN."""

    alpn: tuple[bytes, ...]

    def begin(self, whom: Whom) -> ShakeDialogue:
        """The handshake. The names belong to the connection: there is no end of sets of them to keep contexts for."""
        dialogue = ShakeDialogue(whom)
        dialogue.tls.set_alpn_protos(list(self.alpn))
        return dialogue
