"""The registry of protocols that have a dialogue before TLS, or inside it. A protocol is one file and one line here."""

from collections.abc import Callable
from dataclasses import dataclass

from scanner.starttls import imap, pop3, smtp
from scanner.starttls.result import Names, Upgrade, Within

WithinMaker = Callable[[Names, bool], Within]  # the flag: does the server greet inside TLS (implicit mode)?


@dataclass(frozen=True, slots=True)
class Spoken:
    """How a protocol is spoken. `within` is None where nothing is to be asked inside TLS."""

    upgrade: Callable[[Names], Upgrade]
    within: WithinMaker | None = None
    farewell: bytes = b""


SPOKEN: dict[str, Spoken] = {
    "smtp": Spoken(
        lambda names: smtp.Smtp(names.ours),
        lambda names, greeting: smtp.SmtpInside(names.ours, greeting=greeting),
        smtp.FAREWELL,
    ),
    "imap": Spoken(lambda _: imap.Imap(), lambda _, greeting: imap.ImapInside(greeting=greeting), imap.FAREWELL),
    "pop3": Spoken(lambda _: pop3.Pop3(), lambda _, greeting: pop3.Pop3Inside(greeting=greeting), pop3.FAREWELL),
}
