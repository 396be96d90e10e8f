"""What every dialogue that speaks TLS begins with: the first byte that comes back is TLS, or it is not.

Behind a go-ahead, whatever somebody has put in front of TLS is passed over: a reply of a mail server, half a line, a
message in BER. TLS is told from it by how an answer to a ClientHello begins.
"""

import re
from abc import ABC
from typing import Generic, TypeVar

from scanner.dialogue import Dialogue, Script, Stop, Violation, WireEnded
from scanner.hint import hint_of
from scanner.outcome import Stage
from scanner.tls.wire import is_text, starts_record

T = TypeVar("T")

MAX_EARLY_BYTES = 4_096  # more of it is read, and not kept


def _beginning(*parts: bytes) -> bytes:
    """A pattern of bytes in a row, of which the last may not have come yet; its group tells that all have."""
    pattern = parts[-1] + rb"()"
    for part in reversed(parts[:-1]):
        pattern = part + rb"(?:\Z|" + pattern + rb")"
    return pattern


_MINOR = rb"[\x00-\x04]"
_SSLV2_HELLO = (rb"\x04", rb"[\x00\x01]", rb"[\x00\x01]", rb"\x00", rb"\x02")  # type, session, certificate, version
_ANSWER = re.compile(
    rb"|".join(
        (
            rb"(?:\A|(?<=\n))" + _beginning(rb"[\x14-\x17]", rb"\x03", _MINOR),  # where TLS is due, any record is one
            _beginning(rb"\x16", rb"\x03", _MINOR, rb"[\x00-\x48]", rb".", rb"[\x00\x02]"),  # ServerHello, HelloRequest
            _beginning(rb"\x15", rb"\x03", _MINOR, rb"\x00", rb"\x02", rb"[\x01\x02]"),  # an alert
            _beginning(rb"[\x80-\xff]", rb".", *_SSLV2_HELLO),
            _beginning(rb"[\x00-\x3f]", rb".", rb".", *_SSLV2_HELLO),  # the header that tells of padding
            _beginning(rb"\x80", rb"\x03", rb"\x00", rb"\x00", rb"[\x01-\x06]"),  # an ERROR of SSLv2
        )
    ),
    re.DOTALL,
)


class TlsDialogue(Dialogue[T], ABC, Generic[T]):
    """Keeps aside what a server sends behind its go-ahead and before TLS: it never reaches TLS."""

    stage = Stage.TLS

    def __init__(self, max_bytes: int, *, after_upgrade: bool) -> None:
        super().__init__(max_bytes)
        self.after_upgrade = after_upgrade
        self.early = b""
        self.began = False  # has the first byte of TLS come?

    def skip_text(self) -> Script[None]:
        """Wait for the first byte of TLS or SSL; raises Violation for text that nothing excuses."""
        if self.after_upgrade:
            yield from self._pass_over()
            return
        if not self._buffer:
            yield from self.more()
        self.began = starts_record(self._buffer)
        if not self.began and is_text(self._buffer[:1]):
            yield from self._rest_of_line()
            raise Violation("text", self.trailing_data)
        if self.began and len(self._buffer) == 1:
            yield from self.more()
            self.began = starts_record(self._buffer)

    def _pass_over(self) -> Script[None]:
        """All up to the beginning of an answer. Without one it is what came in place of TLS, and stays where it is."""
        while not (found := _ANSWER.search(self._buffer, self._searched)) or found.lastindex is None:
            self._searched = found.start() if found else len(self._buffer)
            yield from self.more()
            self.began = starts_record(self._buffer)
        self.early = self._take(found.start())[:MAX_EARLY_BYTES]
        self.began = starts_record(self._buffer)

    def not_tls(self, stop: Stop) -> bytes:
        """What came instead of TLS when the dialogue was stopped; empty when TLS had begun, or nothing came.

        Of text without end it is the beginning that tells who speaks, not where our cap fell.
        """
        if isinstance(stop, Violation) and stop.data:
            return b"" if starts_record(stop.data) else stop.data
        return b"" if self.began else self.trailing_data

    @staticmethod
    def hint(data: bytes, sent: bytes = b"") -> str | None:
        """Whose words these are, in place of TLS. SSLv2 in answer to a newer hello is not another protocol."""
        hint = hint_of(data, sent)
        return None if hint == "tls" else hint

    def _rest_of_line(self) -> Script[None]:
        """Text where TLS is due: one line of it tells what speaks here."""
        while b"\n" not in self._buffer and len(self._buffer) < 256:
            try:
                yield from self.more()
            except WireEnded:
                return
