"""Handshakes that are made to measure one thing, by contexts of OpenSSL's that are made for it."""

import contextlib
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric import ec
from OpenSSL import SSL

from scanner.dialogue import Script, Send
from scanner.tls.handshake import TLS13_CIPHERSUITES, Handshake, HandshakeDialogue, outgoing
from scanner.tls.names import Version
from scanner.tls.talk import USUAL, Manner, Talk, Whom

_LEGACY_SERVER_CONNECT = 0x4  # SSL_OP_LEGACY_SERVER_CONNECT
_PADDING = 0x10  # SSL_OP_TLSEXT_PADDING
# One of each kind of key exchange and of key, as in the small hello of `hello.py`; but none in finite fields, for
# which nothing may be left to keep us from a group that is too large (`renegotiation.py`).
_FEW_CIPHERS = (
    b"ECDHE-RSA-AES128-GCM-SHA256:ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-AES128-GCM-SHA256"
    b":ECDHE-ECDSA-AES256-GCM-SHA384:AES128-GCM-SHA256:ECDHE-RSA-AES128-SHA:ECDHE-RSA-AES256-SHA"
    b":ECDHE-ECDSA-AES128-SHA:AES128-SHA:AES256-SHA:@SECLEVEL=0"
)


def bare_context(
    ciphers: bytes = b"ALL:COMPLEMENTOFALL:@SECLEVEL=0", options: int = 0, manner: Manner = USUAL
) -> SSL.Context:
    """Nothing is verified, and old servers are let in, as in `measuring_context`."""
    context = SSL.Context(SSL.TLS_CLIENT_METHOD)
    context.set_cipher_list(_FEW_CIPHERS if manner.small else ciphers)
    context.set_tls13_ciphersuites(TLS13_CIPHERSUITES)
    context.set_options(_LEGACY_SERVER_CONNECT | (0 if manner.small else _PADDING) | options)
    if manner.short:
        context.set_tmp_ecdh(ec.SECP256R1())
    context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
    context.set_verify(SSL.VERIFY_NONE)
    return context


class ShakeDialogue(HandshakeDialogue):
    """A handshake; with a context of its own where one is given."""

    def __init__(self, whom: Whom, context: SSL.Context | None = None, manner: Manner = USUAL) -> None:
        name, newest = whom.name if manner.named else None, Version.TLS1_3 if manner.short else None
        super().__init__(name, after_upgrade=whom.upgraded, newest=newest)
        self._complete = False
        if context is not None:
            self.tls = SSL.Connection(context, None)
            self.tls.set_connect_state()
            if name is not None:
                self.tls.set_tlsext_host_name(name.encode("ascii"))
        if manner.alpn:
            self.tls.set_alpn_protos(list(manner.alpn))

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
    manner: Manner = USUAL

    def begin(self, whom: Whom) -> ShakeDialogue:
        """The handshake. The names belong to the connection: there is no end of sets of them to keep contexts for."""
        dialogue = ShakeDialogue(whom, manner=self.manner)
        dialogue.tls.set_alpn_protos(list(self.alpn))
        return dialogue
