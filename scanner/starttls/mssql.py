"""Microsoft SQL Server: TDS 7 (MS-TDS), whose TLS handshake goes inside PRELOGIN packets.

    C: PRELOGIN, ENCRYPT_ON ──▶ S: PRELOGIN (in a table response) ──▶ TLS, in PRELOGIN packets ──▶ TLS, bare
                                  └ an ERROR token: who are too many, or not wanted, are told so (§2.2.7.10)

ENCRYPT_ON is what a client says that wants encryption: a server answers ON where it would let others go without, REQ
where it would not, NOT_SUP where it has none, and OFF where no more than the login is to be encrypted: TLS follows all
the same (§2.2.6.5). A login is never sent.
"""

import re

from scanner.dialogue import LimitExceeded, Script, Violation
from scanner.outcome import Flag, Stage, Verdict
from scanner.starttls.binary import BinaryUpgrade
from scanner.starttls.result import StartTls
from scanner.starttls.words import speaks_of_too_many

MAX_ANSWER_BYTES = 32_768
MAX_PACKETS = 8_192  # of a handshake
MAX_EARLY_BYTES = 4_096  # in front of it
MIN_PACKET_BYTES, MAX_PACKET_BYTES = 8, 32_767  # §2.2.3.1.3; the header counts
SENT_PACKET_BYTES = 4_096  # the size before a login has settled another
_TABLE_RESPONSE, _PRELOGIN = 0x04, 0x12  # §2.2.3.1.1
_END_OF_MESSAGE = 0x01

_VERSION, _ENCRYPTION, _INSTANCE, _THREAD, _MARS, _TERMINATOR = 0, 1, 2, 3, 4, 0xFF  # §2.2.6.5
_OPTION_BYTES = 5  # token, offset and length
_OFF, _ON, _NOT_SUPPORTED, _REQUIRED = range(4)
_ENCRYPTION_NAMES = ("ENCRYPT_OFF", "ENCRYPT_ON", "ENCRYPT_NOT_SUP", "ENCRYPT_REQ")

_ERROR = 0xAA
_ERROR_BYTES = 11  # before its text
_TOO_MANY = {10928, 10929, 17809}  # sessions of a database, of an Azure server; user connections
_TRANSIENT = {6005, 17142, 18401, 18461, 40197, 40501, 40613, 49918, 49919, 49920}  # going down, paused, busy

# Where it is due, any packet of the type is one; behind something else, one that holds a record of TLS.
_BEGINNING_BYTES = MIN_PACKET_BYTES + 2
_FIRST_PACKET = re.compile(rb"\A\x12|\x12[\x00\x01](?:\x00[\x09-\xff]|[\x01-\x7f].)...\x00[\x14-\x17]\x03", re.DOTALL)


def packets(kind: int, data: bytes) -> bytes:
    """A message of this type: packets that fit, the last of them marked. Nothing at all for no data."""
    room = SENT_PACKET_BYTES - MIN_PACKET_BYTES
    parts = [data[at : at + room] for at in range(0, len(data), room)]
    return b"".join(
        bytes([kind, _END_OF_MESSAGE if number == len(parts) else 0])
        + (MIN_PACKET_BYTES + len(part)).to_bytes(2, "big")
        + bytes([0, 0, number % 256, 0])
        + part
        for number, part in enumerate(parts, 1)
    )


def _prelogin(options: dict[int, bytes]) -> bytes:
    """A table of where each option stands, and then the options."""
    table, data = b"", b""
    begin = _OPTION_BYTES * len(options) + 1
    for token, value in options.items():
        table += bytes([token]) + (begin + len(data)).to_bytes(2, "big") + len(value).to_bytes(2, "big")
        data += value
    return table + bytes([_TERMINATOR]) + data


_REQUEST = packets(
    _PRELOGIN,
    _prelogin(
        {
            _VERSION: b"\x0f\x00\x00\x00\x00\x00",  # of the client
            _ENCRYPTION: bytes([_ON]),
            _INSTANCE: b"\x00",
            _THREAD: bytes(4),
            _MARS: b"\x00",
        }
    ),
)


class Mssql(BinaryUpgrade):
    """From our PRELOGIN to the server's."""

    protocol = "mssql"
    stage = Stage.REPLY

    def script(self) -> Script[StartTls]:
        """See the diagram at the head of the module."""
        yield from self.say(_REQUEST)
        if (yield from self.peek(1))[0] not in (_TABLE_RESPONSE, _PRELOGIN):
            yield from self.reject("not a packet of TDS")
        message = yield from self._read_message()
        if message == _REQUEST[MIN_PACKET_BYTES:]:
            raise Violation("our own words", _REQUEST)
        if message[:1] == bytes([_ERROR]):
            return self.result(self._refusal(message))
        return self.result(self._verdict(_encryption(message)))

    def _read_message(self) -> Script[bytes]:
        """What is in one packet or many, up to the one that is marked as the last."""
        message = bytearray()
        status = kind = 0
        while not status & _END_OF_MESSAGE:
            header = yield from self.read_exactly(MIN_PACKET_BYTES)
            if header[0] != (kind or header[0]):
                raise Violation("the type changes within a message", header)
            kind, status = header[:2]
            message += yield from self.read_exactly(_payload_bytes(header))
            if len(message) > MAX_ANSWER_BYTES:
                raise LimitExceeded
        return bytes(message)

    def _verdict(self, encryption: int) -> Verdict:
        if encryption >= len(_ENCRYPTION_NAMES):
            self.remember(str(encryption), b"ENCRYPTION %d" % encryption)
            return Verdict.VIOLATION
        self.remember(str(encryption), _ENCRYPTION_NAMES[encryption].encode())
        self.advertised = encryption != _NOT_SUPPORTED
        if encryption == _OFF:
            self.flags.add(Flag.LOGIN_ONLY_ENCRYPTION)
            self.required = False
        elif encryption == _REQUIRED:
            self.required = True
        return Verdict.OK if self.advertised else Verdict.NOT_OFFERED

    def _refusal(self, message: bytes) -> Verdict:
        """An error by its number; its text is of two bytes a letter, and its length counts letters."""
        text_bytes = 2 * int.from_bytes(message[9:_ERROR_BYTES], "little")
        if len(message) < _ERROR_BYTES + text_bytes:
            raise Violation("an error that is cut short", message)
        number = int.from_bytes(message[3:7], "little")
        text = message[_ERROR_BYTES : _ERROR_BYTES + text_bytes].decode("utf-16-le", "replace").encode()
        self.remember(str(number), text)
        if number in _TOO_MANY or speaks_of_too_many(text):
            return Verdict.RATE_LIMITED
        return Verdict.UNAVAILABLE if number in _TRANSIENT else Verdict.REFUSED_SESSION


class Framing:
    """The packets around a TLS handshake, without I/O: `wrap` what we say, `feed` what comes.

    What stands in front of the first packet is kept in `early`. What breaks the framing is in `stopped`, and what came
    before it has been handed out.
    """

    def __init__(self) -> None:
        self.stopped: Violation | LimitExceeded | None = None
        self.early = b""
        self._foreign = bytearray()  # what came, and has no packet behind it yet
        self._began = False  # has the first packet come?
        self._header = b""  # as far as it has come
        self._left = 0  # of the payload of the packet that we are in
        self._count = 0

    def wrap(self, data: bytes) -> bytes:
        """Our bytes as a PRELOGIN message."""
        return packets(_PRELOGIN, data)

    def feed(self, data: bytes) -> bytes:
        """The payload in what came, as far as it goes."""
        if not self._began and self.stopped is None:
            data = self._pass_over(data)
        payload = []
        at = 0
        while at < len(data) and self.stopped is None:
            if not self._left:
                taken = data[at : at + MIN_PACKET_BYTES - len(self._header)]
                self._header += taken
                self._begin_packet()
            else:
                taken = data[at : at + self._left]
                payload.append(taken)
                self._left -= len(taken)
            at += len(taken)
        return b"".join(payload)

    def end(self) -> Violation | None:
        """The wire has ended: what never became a packet was none."""
        foreign = self._header if self._began else bytes(self._foreign)
        if foreign and foreign[0] != _PRELOGIN:
            return Violation("not a PRELOGIN packet", foreign)
        return None

    def _pass_over(self, data: bytes) -> bytes:
        """What there is from the first packet on."""
        searched = max(0, len(self._foreign) - _BEGINNING_BYTES + 1)
        self._foreign += data
        found = _FIRST_PACKET.search(self._foreign, searched)
        if found and found.start() <= MAX_EARLY_BYTES:
            self._began = True
            self.early = bytes(self._foreign[: found.start()])
            return bytes(self._foreign[found.start() :])
        if len(self._foreign) >= MAX_EARLY_BYTES + _BEGINNING_BYTES:
            self.stopped = Violation("not a PRELOGIN packet", bytes(self._foreign[:MAX_EARLY_BYTES]))
        return b""

    def _begin_packet(self) -> None:
        if len(self._header) < MIN_PACKET_BYTES:
            return
        header, self._header = self._header, b""
        self._count += 1
        try:
            if header[0] != _PRELOGIN:
                raise Violation("not a PRELOGIN packet", header)
            self._left = _payload_bytes(header)
            if self._count > MAX_PACKETS:
                raise LimitExceeded
        except (Violation, LimitExceeded) as stop:
            self.stopped = stop


def _payload_bytes(header: bytes) -> int:
    length = int.from_bytes(header[2:4], "big")
    if not MIN_PACKET_BYTES <= length <= MAX_PACKET_BYTES:
        raise Violation("a length that no packet has", header)
    return length - MIN_PACKET_BYTES


def _encryption(message: bytes) -> int:
    """The ENCRYPTION option of a PRELOGIN, which every server has to send. Offsets count from its beginning."""
    for at in range(0, len(message), _OPTION_BYTES):
        token, entry = message[at], message[at + 1 : at + _OPTION_BYTES]
        if token == _TERMINATOR:
            break
        begin, length = int.from_bytes(entry[:2], "big"), int.from_bytes(entry[2:], "big")
        if len(entry) < _OPTION_BYTES - 1 or begin + length > len(message):
            raise Violation("an option beyond the end", message)
        if token == _ENCRYPTION:
            if length != 1:
                raise Violation("ENCRYPTION is one byte", message)
            return message[begin]
    raise Violation("no ENCRYPTION", message)
