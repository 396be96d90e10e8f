"""AMQP 1.0 with its TLS layer (OASIS AMQP 1.0 part 5 §5.2; the header: part 2 §2.2).

C: AMQP 2 1.0.0 ──▶ S: AMQP 2 1.0.0 ──▶ TLS
                └ another header (what the server would rather speak, AMQP 0-9-1 §4.2.2 too) ──▶ not_offered

Nobody greets; the client speaks first. A server that does not like the header writes its own and closes.
"""

from scanner.dialogue import Script, Violation
from scanner.outcome import Stage, Verdict
from scanner.starttls.binary import BinaryUpgrade
from scanner.starttls.result import StartTls

TLS_HEADER = b"AMQP\x02\x01\x00\x00"  # the protocol's number is 2, its version 1.0.0
_PROTOCOLS = (0, 1, 2, 3)  # AMQP, the AMQP of before 0-9-1, TLS, SASL


class Amqp(BinaryUpgrade):
    """One header each way."""

    protocol = "amqp"
    stage = Stage.REPLY

    def script(self) -> Script[StartTls]:
        """See the diagram at the head of the module."""
        yield from self.say(TLS_HEADER)
        for count in range(1, 5):
            if not TLS_HEADER.startswith((yield from self.peek(count))):
                yield from self.reject("not a protocol header")
        header = yield from self.read_exactly(len(TLS_HEADER))
        if header[4] not in _PROTOCOLS:
            raise Violation("not a protocol header", header)
        self.remember(str(header[4]), header)  # by the number of the protocol that the server wants
        self.advertised = header == TLS_HEADER
        return self.result(Verdict.OK if self.advertised else Verdict.NOT_OFFERED)
