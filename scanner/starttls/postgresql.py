r"""PostgreSQL (its documentation, "Message Flow", §"SSL Session Encryption").

    C: SSLRequest ──▶ S: "S" ──▶ TLS
                   ├ "N" ──▶ not_offered
                   └ "E" ErrorResponse ──▶ refused (a pooler, a full server, one older than SSL)

The answer is one byte, and one byte is read: what stands behind `S` was said in plaintext and is not TLS
(CVE-2021-23222). An error is not authenticated (CVE-2024-10977): evidence, never more.
"""

import re

from scanner.dialogue import MAX_LINE_BYTES, LimitExceeded, Script, Violation
from scanner.hint import hint_of
from scanner.outcome import Stage, Verdict
from scanner.starttls.binary import BinaryUpgrade
from scanner.starttls.result import StartTls
from scanner.starttls.words import speaks_of_too_many
from scanner.wire_text import printable

SSL_REQUEST = b"\x00\x00\x00\x08\x04\xd2\x16\x2f"
MAX_ERROR_BYTES = 30_000  # libpq takes no longer one either

_FIELDS = re.compile(rb"(?:[A-Za-z][^\0]*\0)+\0?")
_FIELD = re.compile(rb"([A-Za-z])([^\0]*)\0")
_TOO_MANY_CONNECTIONS = "53300"
_CANNOT_CONNECT_NOW = "57P03"
_POOLER_IS_FULL = b"no more connections allowed"  # PgBouncer, under the SQLSTATE 08P01


class Postgresql(BinaryUpgrade):
    """From the SSLRequest to its one byte."""

    protocol = "postgresql"
    stage = Stage.REPLY

    def script(self) -> Script[StartTls]:
        """See the diagram at the head of the module."""
        yield from self.say(SSL_REQUEST)
        if (yield from self.peek(1)) not in (b"S", b"N", b"E"):
            yield from self.reject("not S, N or E")
        answer = yield from self.read_exactly(1)
        if answer == b"E":
            return self.result((yield from self._error()))
        self.remember(answer.decode(), answer)
        self.advertised = answer == b"S"
        return self.result(Verdict.OK if self.advertised else Verdict.NOT_OFFERED)

    def misheard(self) -> str | None:
        """`SSH-2.0`, `NOTICE AUTH` and `ERROR :closing link` begin with an answer of ours."""
        if self.code not in ("S", "N", None):
            return None
        hint = hint_of((self.code or "E").encode() + self.trailing_data)
        return hint if hint != self.protocol else None

    def _error(self) -> Script[Verdict]:
        """An error by its fields; before PostgreSQL 7.4 (protocol 2.0) it was a text and a NUL."""
        if (yield from self.peek(1)) != b"\0":
            text = yield from self._read_string()
            self.remember("E", text.strip())
            return self._verdict("E", text)
        size = yield from self.peek(4)
        length = int.from_bytes(size, "big")
        if length > MAX_ERROR_BYTES:
            raise LimitExceeded
        if length < 4:
            raise Violation("not an error response", b"E" + size)
        body = (yield from self.read_exactly(length))[4:]
        if not _FIELDS.fullmatch(body):
            raise Violation("not an error response", b"E" + size + body)
        fields = {match[1]: match[2] for match in _FIELD.finditer(body)}
        code, text = printable(fields.get(b"C", b"E")), fields.get(b"M", b"")
        self.remember(code, text)
        return self._verdict(code, text)

    def _read_string(self) -> Script[bytes]:
        while (end := self._buffer.find(b"\0", self._searched)) < 0:
            self._searched = len(self._buffer)
            if self._searched > MAX_LINE_BYTES:
                break
            yield from self.more()
        if not 0 <= end <= MAX_LINE_BYTES:
            raise LimitExceeded
        return self._take(end + 1)[:-1]

    @staticmethod
    def _verdict(code: str, text: bytes) -> Verdict:
        if code == _TOO_MANY_CONNECTIONS or speaks_of_too_many(text) or _POOLER_IS_FULL in text:
            return Verdict.RATE_LIMITED
        return Verdict.UNAVAILABLE if code == _CANNOT_CONNECT_NOW else Verdict.REFUSED_PERMANENT
