r"""MySQL and MariaDB ("Connection Phase" in the documentation of the MySQL server's source).

    S: Handshake (version 10, capabilities) ──▶ C: SSLRequest ──▶ TLS
                     │       └ without CLIENT_SSL ──▶ not_offered
                     └ ERR (too many connections, host blocked) ──▶ refused

Nobody answers the SSLRequest: the server's next bytes are TLS.

What a scan costs: nobody can say goodbye before a login, and we try none. A connection that ends here is an
interrupted one to the server, and `max_connect_errors` of them in a row (100 by default), without a login between,
make it block our address (error 1129) until `FLUSH HOSTS`. So: few connections, and no retries without need.
"""

from scanner.dialogue import LimitExceeded, Script, Send, Violation
from scanner.outcome import Stage, Verdict
from scanner.starttls.binary import BinaryUpgrade
from scanner.starttls.result import Capabilities, StartTls
from scanner.starttls.words import speaks_of_too_many
from scanner.wire_text import printable

CLIENT_SSL = 0x0000_0800
CLIENT_PLUGIN_AUTH = 0x0008_0000
OUR_CAPABILITIES = 0x007F_AE85  # what mysql(1) and `openssl s_client` send
MAX_PACKET_BYTES = 16_384  # a handshake has about a hundred
MAX_ALLOWED_PACKET = 0x0100_0000
UTF8 = 0x21

_VERSIONS = (9, 10)  # of the protocol; 9 is that of MySQL 3.20, without TLS
_ERR = 0xFF
# Numbers of the server's error messages (mysqld_error.h), those that are there before anybody has logged in.
_TOO_MANY = {1040, 1129, 1203, 1226}  # connections; failed ones of this host; of this user; per hour
_DOWN = {1037, 1041, 1053, 1135, 1927}  # out of memory (both), shutdown, no thread, killed


class Mysql(BinaryUpgrade):
    """From the handshake packet to the SSLRequest."""

    protocol = "mysql"

    def script(self) -> Script[StartTls]:
        """See the diagram at the head of the module."""
        packet = yield from self._read_packet()
        if packet[0] == _ERR:
            return self.result(self._refusal(packet))
        offered = self._learn(packet)
        if not offered & CLIENT_SSL:
            return self.result(Verdict.NOT_OFFERED)
        self.stage = Stage.REPLY
        yield Send(ssl_request(offered))  # what is there already was said in plaintext, and is left over
        return self.result(Verdict.OK)

    def _read_packet(self) -> Script[bytes]:
        """The payload of the first packet: three bytes of length, number 0, and what it is."""
        header = yield from self.peek(5)
        length = int.from_bytes(header[:3], "little")
        if not length or header[3] or header[4] not in (*_VERSIONS, _ERR):
            yield from self.reject("not a handshake")
        if length > MAX_PACKET_BYTES:
            self.text = printable(header)  # and not what else has come by now
            raise LimitExceeded
        return (yield from self.read_exactly(4 + length))[4:]

    def _learn(self, packet: bytes) -> int:
        """The capabilities of a handshake packet, of which old servers end anywhere behind the first half."""
        version, end, rest = packet[1:].partition(b"\0")
        low = rest[13:15]  # behind the thread's number, eight bytes of challenge and a NUL
        if not end or (packet[0] == 10 and len(low) < 2):
            raise Violation("not a handshake", packet)
        self.text = printable(version)
        offered = int.from_bytes(low + rest[18:20], "little") if packet[0] == 10 else 0
        self.advertised = bool(offered & CLIENT_SSL)
        behind = 31 + max(13, int.from_bytes(rest[20:21], "little") - 8)  # the second part of the challenge
        plugin = rest[behind:].partition(b"\0")[0] if offered & CLIENT_PLUGIN_AUTH else b""
        self.before = Capabilities(("CLIENT_SSL",) * self.advertised, (printable(plugin),) if plugin else ())
        return offered

    def _refusal(self, packet: bytes) -> Verdict:
        """An ERR packet: number, then `#` and an SQLSTATE from servers that know that we understand it, then text."""
        if len(packet) < 3:
            raise Violation("not an error packet", packet)
        number = int.from_bytes(packet[1:3], "little")
        text = packet[9:] if packet[3:4] == b"#" else packet[3:]
        self.remember(str(number), text)
        if number in _TOO_MANY or speaks_of_too_many(text):
            return Verdict.RATE_LIMITED
        return Verdict.UNAVAILABLE if number in _DOWN else Verdict.REFUSED_SESSION


def ssl_request(offered: int) -> bytes:
    """What the server can do and we know of, with CLIENT_SSL; it is the second packet of the connection."""
    flags = offered & OUR_CAPABILITIES | CLIENT_SSL
    payload = flags.to_bytes(4, "little") + MAX_ALLOWED_PACKET.to_bytes(4, "little") + bytes([UTF8]) + bytes(23)
    return len(payload).to_bytes(3, "little") + b"\x01" + payload
