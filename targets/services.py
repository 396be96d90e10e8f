"""The one table of services: what is spoken, how TLS begins, and on which port by default.

Port numbers are IANA's; 465 is `submissions` again since RFC 8314 §7.3.
"""

from dataclasses import dataclass
from enum import StrEnum


class Protocol(StrEnum):
    """What is spoken under, or before, TLS. `tls` is TLS with nothing known inside."""

    SMTP = "smtp"
    LMTP = "lmtp"
    IMAP = "imap"
    POP3 = "pop3"
    SIEVE = "sieve"
    FTP = "ftp"
    NNTP = "nntp"
    XMPP_CLIENT = "xmpp-client"
    XMPP_SERVER = "xmpp-server"
    LDAP = "ldap"
    POSTGRESQL = "postgresql"
    MYSQL = "mysql"
    IRC = "irc"
    RDP = "rdp"
    TELNET = "telnet"
    MSSQL = "mssql"
    AMQP = "amqp"
    HTTP = "http"
    TLS = "tls"


class Mode(StrEnum):
    """How TLS begins: after a command in plaintext, or with the first byte."""

    STARTTLS = "starttls"
    IMPLICIT = "implicit"


@dataclass(frozen=True, slots=True)
class Service:
    """One row of the table. `port` is None where it has to be named."""

    name: str
    protocol: Protocol
    mode: Mode
    port: int | None


SERVICES: dict[str, Service] = {
    service.name: service
    for service in (
        Service("smtp", Protocol.SMTP, Mode.STARTTLS, 25),
        Service("submission", Protocol.SMTP, Mode.STARTTLS, 587),
        Service("submissions", Protocol.SMTP, Mode.IMPLICIT, 465),
        Service("imap", Protocol.IMAP, Mode.STARTTLS, 143),
        Service("imaps", Protocol.IMAP, Mode.IMPLICIT, 993),
        Service("pop3", Protocol.POP3, Mode.STARTTLS, 110),
        Service("pop3s", Protocol.POP3, Mode.IMPLICIT, 995),
        Service("lmtp", Protocol.LMTP, Mode.STARTTLS, 24),
        Service("sieve", Protocol.SIEVE, Mode.STARTTLS, 4190),
        Service("ftp", Protocol.FTP, Mode.STARTTLS, 21),
        Service("ftps", Protocol.FTP, Mode.IMPLICIT, 990),
        Service("nntp", Protocol.NNTP, Mode.STARTTLS, 119),
        Service("nntps", Protocol.NNTP, Mode.IMPLICIT, 563),
        Service("xmpp-client", Protocol.XMPP_CLIENT, Mode.STARTTLS, 5222),
        Service("xmpps-client", Protocol.XMPP_CLIENT, Mode.IMPLICIT, 5223),
        Service("xmpp-server", Protocol.XMPP_SERVER, Mode.STARTTLS, 5269),
        Service("xmpps-server", Protocol.XMPP_SERVER, Mode.IMPLICIT, 5270),
        Service("ldap", Protocol.LDAP, Mode.STARTTLS, 389),
        Service("ldaps", Protocol.LDAP, Mode.IMPLICIT, 636),
        Service("postgresql", Protocol.POSTGRESQL, Mode.STARTTLS, 5432),
        Service("postgresql-direct", Protocol.POSTGRESQL, Mode.IMPLICIT, 5432),
        Service("mysql", Protocol.MYSQL, Mode.STARTTLS, 3306),
        Service("irc", Protocol.IRC, Mode.STARTTLS, 6667),
        Service("ircs", Protocol.IRC, Mode.IMPLICIT, 6697),
        Service("rdp", Protocol.RDP, Mode.STARTTLS, 3389),
        Service("telnet", Protocol.TELNET, Mode.STARTTLS, 23),
        Service("telnets", Protocol.TELNET, Mode.IMPLICIT, 992),
        Service("mssql", Protocol.MSSQL, Mode.STARTTLS, 1433),
        Service("amqp", Protocol.AMQP, Mode.STARTTLS, 5672),
        Service("amqps", Protocol.AMQP, Mode.IMPLICIT, 5671),
        Service("https", Protocol.HTTP, Mode.IMPLICIT, 443),
        Service("tls", Protocol.TLS, Mode.IMPLICIT, None),
    )
}

GROUPS: dict[str, tuple[str, ...]] = {
    # Where mail and mail programs go. LMTP is for the inside of a house: who has it there names it.
    "mail": ("smtp", "submission", "submissions", "imap", "imaps", "pop3", "pop3s", "sieve"),
    "directory": ("ldap", "ldaps"),
    "chat": ("xmpp-client", "xmpps-client", "xmpp-server", "xmpps-server", "irc", "ircs"),
    "database": ("postgresql", "postgresql-direct", "mysql", "mssql"),
    "all": tuple(name for name, service in SERVICES.items() if service.port is not None),
}


def services_named(names: str) -> tuple[Service, ...]:
    """Services for a comma-separated list of service and group names, each once, in the order given.

    Raises ValueError with the name that is not in the table.
    """
    found: dict[str, Service] = {}
    for name in filter(None, (part.strip().lower() for part in names.split(","))):
        for member in GROUPS.get(name, (name,)):
            if member not in SERVICES:
                known = ", ".join([*SERVICES, *GROUPS])
                raise ValueError(f"no service is called {name!r}; there are: {known}")
            found[member] = SERVICES[member]
    if not found:
        raise ValueError("no service is named")
    return tuple(found.values())
