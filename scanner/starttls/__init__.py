"""The registry of protocols that have a dialogue before TLS, or inside it. A protocol is one file and one line here."""

from collections.abc import Callable
from dataclasses import dataclass

from scanner.starttls import imap, pop3, smtp
from scanner.starttls.result import Upgrade, Within


@dataclass(frozen=True, slots=True)
class Spoken:
    """How a protocol is spoken. Both take the name that we give ourselves in EHLO; most have no use for it."""

    upgrade: Callable[[str], Upgrade]
    within: Callable[[str, bool], Within]  # the flag: does the server greet inside TLS (implicit mode)?
    farewell: bytes


SPOKEN: dict[str, Spoken] = {
    "smtp": Spoken(smtp.Smtp, lambda name, greeting: smtp.SmtpInside(name, greeting=greeting), smtp.FAREWELL),
    "imap": Spoken(lambda _: imap.Imap(), lambda _, greeting: imap.ImapInside(greeting=greeting), imap.FAREWELL),
    "pop3": Spoken(lambda _: pop3.Pop3(), lambda _, greeting: pop3.Pop3Inside(greeting=greeting), pop3.FAREWELL),
}
