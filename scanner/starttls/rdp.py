"""Remote Desktop: the security negotiation of MS-RDPBCGR §2.2.1.1 and §2.2.1.2, in TPKT (RFC 1006) and X.224.

    C: Connection Request, RDP_NEG_REQ ──▶ S: Connection Confirm, RDP_NEG_RSP ──▶ TLS
                                             ├ RDP_NEG_FAILURE, or nothing about security
                                             └ Disconnect Request

SSL, HYBRID and HYBRID_EX (network level authentication: CredSSP inside TLS) are asked for at once: a server takes the
best that it has, TLS begins alike in each, and after a failure it closes (§3.3.5.3.2), so that to ask for one at a time
would cost a connection more. So a server never has to say HYBRID_REQUIRED. What was not asked for is a violation.
"""

from scanner.dialogue import LimitExceeded, Script, Violation
from scanner.outcome import Stage, Verdict
from scanner.starttls.binary import BinaryUpgrade
from scanner.starttls.result import StartTls
from scanner.wire_text import printable

MAX_ANSWER_BYTES = 512  # a length indicator of one byte allows 259
_TPKT = b"\x03"
_CONNECTION_CONFIRM, _DISCONNECT_REQUEST = 0xD0, 0x80  # X.224 §13.4, §13.5
_ANSWER_BYTES = 11  # of either, at least: TPKT, length indicator, code, two references, and class or reason
_RESPONSE, _FAILURE = 2, 3

_PROTOCOLS = {0: "PROTOCOL_RDP", 1: "PROTOCOL_SSL", 2: "PROTOCOL_HYBRID", 4: "PROTOCOL_RDSTLS", 8: "PROTOCOL_HYBRID_EX"}
_ASKED = (1, 2, 8)
_REQUEST = bytes.fromhex("03000013 0e e0 0000 0000 00 01 00 0800") + sum(_ASKED).to_bytes(4, "little")

_FAILURES = {  # MS-RDPBCGR §2.2.1.2.2
    1: ("SSL_REQUIRED_BY_SERVER", Verdict.VIOLATION),  # we asked for it
    2: ("SSL_NOT_ALLOWED_BY_SERVER", Verdict.NOT_OFFERED),
    3: ("SSL_CERT_NOT_ON_SERVER", Verdict.REFUSED_SERVER_ERROR),
    4: ("INCONSISTENT_FLAGS", Verdict.VIOLATION),
    5: ("HYBRID_REQUIRED_BY_SERVER", Verdict.VIOLATION),  # the same
    6: ("SSL_WITH_USER_AUTH_REQUIRED_BY_SERVER", Verdict.REFUSED_POLICY),  # TLS, for those with a certificate
}
_CONGESTION = (1, 129)  # X.224 §13.5.3: of the transport service, at its address or at connect time


class Rdp(BinaryUpgrade):
    """From our request to the security protocol that the server selects."""

    protocol = "rdp"
    stage = Stage.REPLY

    def script(self) -> Script[StartTls]:
        """See the diagram at the head of the module."""
        yield from self.say(_REQUEST)
        packet = yield from self._read_packet()
        kind = packet[5] & 0xF0
        if kind == _CONNECTION_CONFIRM:
            return self.result(self._verdict(packet))
        if kind != _DISCONNECT_REQUEST:
            raise Violation("neither a confirmation nor a refusal", packet)
        reason = packet[10]
        self.remember(f"DR/{reason}", b"disconnect request, reason %d" % reason)
        return self.result(Verdict.UNAVAILABLE if reason in _CONGESTION else Verdict.REFUSED_SESSION)

    def _read_packet(self) -> Script[bytes]:
        """A TPKT packet and the X.224 unit in it, whose length indicator does not count itself."""
        if (yield from self.peek(1)) != _TPKT:
            yield from self.reject("not TPKT")
        length = int.from_bytes((yield from self.peek(4))[2:], "big")
        if length > MAX_ANSWER_BYTES:
            raise LimitExceeded
        if length < _ANSWER_BYTES:
            self.text = printable((yield from self.peek(4)))  # it is TPKT, and nobody else's first bytes
            yield from self.reject("too short for an answer")
        packet = yield from self.read_exactly(length)
        if packet[4] != length - 5:
            raise Violation("two lengths that differ", packet)
        return packet

    def _verdict(self, confirm: bytes) -> Verdict:
        """What the server says about security; before Windows Server 2003 SP1 it was nothing."""
        negotiation = confirm[_ANSWER_BYTES:]
        if not negotiation:
            self.remember("CC", b"no negotiation data")
            self.advertised = False
            return Verdict.NOT_OFFERED
        kind, value = negotiation[0], int.from_bytes(negotiation[4:], "little")
        if len(negotiation) != 8 or negotiation[2:4] != b"\x08\x00" or kind not in (_RESPONSE, _FAILURE):
            raise Violation("not negotiation data", confirm)
        if kind == _FAILURE:
            return self._failure(value)
        self.remember(f"{kind}/{value}", f"RDP_NEG_RSP {_PROTOCOLS.get(value, value)}".encode())
        self.advertised = value != 0
        if value == 0:
            return Verdict.NOT_OFFERED
        return Verdict.OK if value in _ASKED else Verdict.VIOLATION

    def _failure(self, value: int) -> Verdict:
        name, verdict = _FAILURES.get(value, (str(value), Verdict.VIOLATION))
        self.remember(f"{_FAILURE}/{value}", f"RDP_NEG_FAILURE {name}".encode())
        if verdict is Verdict.NOT_OFFERED:
            self.advertised = False
        elif verdict is Verdict.REFUSED_POLICY:
            self.advertised = self.required = True
        return verdict
