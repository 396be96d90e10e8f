"""A raw hello that is read on behind the ServerHello: the chain of a server that no handshake can be completed with.

    C: ClientHello ──▶ S: ServerHello ▶ Certificate ▶ … ▶ ServerHelloDone

Up to TLS 1.2 all of it stands in plaintext, and none of it needs a key, nor a cipher that our library still has.
"""

from dataclasses import dataclass, replace

from scanner.dialogue import Script, Stop
from scanner.tls.exchange import HelloAnswer, TlsExchange
from scanner.tls.flight import ClientCertificate, chain_in
from scanner.tls.hello import TLS1_3, Shape, client_hello, offered_suites
from scanner.tls.names import Version
from scanner.tls.suites import has_certificate, suite_name
from scanner.tls.wire import HandshakeType

MAX_BYTES = 262_144
MAX_MESSAGES = 16  # five are usual
_NAMED_CURVE = 3  # RFC 8422 §5.4


@dataclass(frozen=True, slots=True)
class FirstFlight:
    """What stood in it: certificates in DER, leaf first; the curve of the key exchange, by its number; and whether one
    of the client's certificates is asked for, where seen.
    """

    hello: HelloAnswer
    chain: tuple[bytes, ...] = ()
    curve: int | None = None
    client_certificate: ClientCertificate | None = None


def shows_certificates(hello: HelloAnswer) -> bool:
    """Is this the ServerHello of a flight in plaintext, by a suite that comes with a certificate?"""
    if hello.version is None or hello.cipher is None or not Version.SSLV3.code <= hello.version < TLS1_3:
        return False
    return has_certificate(hello.cipher)


def has_curve(hello: HelloAnswer) -> bool:
    """Is this a ServerHello of TLS 1.2 or older, by a suite for which the server chooses a curve?"""
    return hello.cipher is not None and suite_name(hello.cipher).startswith(("TLS_ECDHE_", "TLS_ECDH_anon_"))


class FirstFlightExchange(TlsExchange):
    """One hello, and all that is said to it, as far as that is in plaintext."""

    def __init__(
        self,
        version: Version,
        server_name: str | None,
        entropy: bytes,
        *,
        after_upgrade: bool,
        shape: Shape = Shape.PLAIN,
        alpn: tuple[bytes, ...] = (),
    ) -> None:
        hello = client_hello(version, server_name, entropy, shape, alpn)
        super().__init__(hello, version, offered_suites(version, shape), after_upgrade=after_upgrade)
        self._budget = self.max_message_bytes = MAX_BYTES
        self.seen: FirstFlight | None = None

    def script(self) -> Script[HelloAnswer]:
        """What is seen is in `seen`; the answer is the ServerHello's."""
        answer = yield from super().script()
        self.seen = FirstFlight(answer)
        if answer.is_hello and (answer.version or TLS1_3) < TLS1_3:
            for _ in range(MAX_MESSAGES):
                message = yield from self.read_message()
                if isinstance(message, HelloAnswer) or self._read(*message):  # an alert, or the end
                    break
        return answer

    def stopped(self, stop: Stop) -> HelloAnswer:
        """Behind a ServerHello, what was cut short takes nothing away."""
        return self.seen.hello if self.seen else super().stopped(stop)

    def _read(self, kind: int, body: bytes) -> bool:
        """Take a message; was it the last?"""
        assert self.seen is not None
        if kind == HandshakeType.CERTIFICATE and not self.seen.chain:
            self.seen = replace(self.seen, chain=chain_in(body))
        elif kind == HandshakeType.SERVER_KEY_EXCHANGE and has_curve(self.seen.hello):
            named = len(body) >= 3 and body[0] == _NAMED_CURVE
            self.seen = replace(self.seen, curve=int.from_bytes(body[1:3], "big") if named else None)
        elif kind == HandshakeType.CERTIFICATE_REQUEST:
            self.seen = replace(self.seen, client_certificate=ClientCertificate.REQUESTED)
        elif kind == HandshakeType.SERVER_HELLO_DONE:
            asked = self.seen.client_certificate or ClientCertificate.NONE
            self.seen = replace(self.seen, client_certificate=asked)
            return True
        return False
