r"""LMTP (RFC 2033): SMTP's grammar, replies and STARTTLS (RFC 3207) with a greeting of its own.

    S: 220 greeting ──▶ C: LHLO ──▶ S: 250 capabilities ──▶ [C: RSET ──▶ …] ──▶ C: STARTTLS ──▶ S: 220 ──▶ TLS
                              └ 500, 502 ──▶ it is SMTP that is spoken here

A server of LMTP answers EHLO and HELO with 500 (§4.1), so there is nothing to fall back to; a server of SMTP does the
same with LHLO, and is told by that, for the two greet alike.
"""

import re

from scanner.dialogue import Script
from scanner.outcome import Verdict
from scanner.starttls.result import StartTls
from scanner.starttls.smtp import Reply, Smtp, SmtpInside

_GREETING = re.compile(rb"(?!20[01])[2-5]\d\d(?:[ -]|$)")  # 200 and 201 are how NNTP greets
_LHLO_UNKNOWN = {500, 502}


class Lmtp(Smtp):
    """From the greeting to the go-ahead."""

    protocol = "lmtp"
    hello = "LHLO"

    def hello_refused(self, reply: Reply) -> Script[StartTls]:
        """Who has no LHLO does not speak LMTP (RFC 2033 §4.1)."""
        yield from ()  # there is nothing more to say
        if reply.code in _LHLO_UNKNOWN:
            return self.result(Verdict.PROTOCOL_MISMATCH, hint="smtp")
        return self.result(self.session_refusal(reply))

    def guess(self, data: bytes) -> str | None:
        """Half a greeting is as much LMTP's as SMTP's."""
        return self.protocol if _GREETING.match(data) else super().guess(data)


class LmtpInside(SmtpInside):
    """LHLO again, inside TLS."""

    protocol = "lmtp"
    hello = "LHLO"
