"""The registry of protocols that have a dialogue before TLS, or inside it. A protocol is one file and one line here."""

from collections.abc import Callable
from dataclasses import dataclass

from scanner.dialogue import Send
from scanner.starttls import (
    amqp,
    ftp,
    imap,
    irc,
    ldap,
    lmtp,
    mssql,
    mysql,
    nntp,
    pop3,
    postgresql,
    rdp,
    sieve,
    smtp,
    telnet,
    xmpp,
)
from scanner.starttls.injection import Proof
from scanner.starttls.result import Names, Upgrade, Within

WithinMaker = Callable[[Names, bool], Within]  # the flag: does the server greet inside TLS (implicit mode)?


@dataclass(frozen=True, slots=True)
class InjectionTest:
    """How a protocol is tested for command injection: what goes out behind the upgrade command, and what proves it."""

    injected: bytes
    proof: Callable[[Names], Proof]


@dataclass(frozen=True, slots=True)
class Spoken:
    """How a protocol is spoken. `within` is None where nothing is to be asked inside TLS."""

    upgrade: Callable[[Names], Upgrade]
    within: WithinMaker | None = None
    farewell: bytes = b""
    framing: type[mssql.Framing] | None = None  # where a TLS handshake is not bare on the wire
    injection: InjectionTest | None = None

    @property
    def client_begins(self) -> bool:
        """Is nothing to be heard before the client has spoken?"""
        return isinstance(self.upgrade(Names("client", "server")).next_action(), Send)


SPOKEN: dict[str, Spoken] = {
    "smtp": Spoken(
        lambda names: smtp.Smtp(names.ours),
        lambda names, greeting: smtp.SmtpInside(names.ours, greeting=greeting),
        smtp.FAREWELL,
        injection=InjectionTest(smtp.INJECTED, lambda names: smtp.SmtpProof(names.ours)),
    ),
    "imap": Spoken(
        lambda _: imap.Imap(),
        lambda _, greeting: imap.ImapInside(greeting=greeting),
        imap.FAREWELL,
        injection=InjectionTest(imap.INJECTED, lambda _: imap.ImapProof()),
    ),
    "pop3": Spoken(
        lambda _: pop3.Pop3(),
        lambda _, greeting: pop3.Pop3Inside(greeting=greeting),
        pop3.FAREWELL,
        injection=InjectionTest(pop3.INJECTED, lambda _: pop3.Pop3Proof()),
    ),
    "lmtp": Spoken(
        lambda names: lmtp.Lmtp(names.ours),
        lambda names, greeting: lmtp.LmtpInside(names.ours, greeting=greeting),
        smtp.FAREWELL,
    ),
    "sieve": Spoken(
        lambda _: sieve.Sieve(),
        lambda _, greeting: sieve.SieveInside(),
        sieve.FAREWELL,
        injection=InjectionTest(sieve.INJECTED, lambda _: sieve.SieveProof()),
    ),
    "ftp": Spoken(lambda _: ftp.Ftp(), lambda _, greeting: ftp.FtpInside(greeting=greeting), ftp.FAREWELL),
    "nntp": Spoken(lambda _: nntp.Nntp(), lambda _, greeting: nntp.NntpInside(greeting=greeting), nntp.FAREWELL),
    "rdp": Spoken(lambda _: rdp.Rdp()),
    "mssql": Spoken(lambda _: mssql.Mssql(), framing=mssql.Framing),
    "ldap": Spoken(lambda _: ldap.Ldap(), lambda *_: ldap.LdapInside(), ldap.FAREWELL),
    "postgresql": Spoken(lambda _: postgresql.Postgresql()),
    "mysql": Spoken(lambda _: mysql.Mysql()),
    "amqp": Spoken(lambda _: amqp.Amqp()),
    "xmpp-client": Spoken(
        lambda names: xmpp.Xmpp(names.theirs, "client"),
        lambda names, _: xmpp.XmppInside(names.theirs, "client"),
        xmpp.FAREWELL,
    ),
    "xmpp-server": Spoken(
        lambda names: xmpp.Xmpp(names.theirs, "server"),
        lambda names, _: xmpp.XmppInside(names.theirs, "server"),
        xmpp.FAREWELL,
    ),
    "irc": Spoken(lambda _: irc.Irc(), lambda *_: irc.IrcInside(), irc.FAREWELL),
    "telnet": Spoken(lambda _: telnet.Telnet()),
}
