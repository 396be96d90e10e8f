"""The one table of services: what is spoken, how TLS begins, and on which port by default.

Port numbers are IANA's; 465 is `submissions` again since RFC 8314 §7.3.
"""

from dataclasses import dataclass
from enum import StrEnum


class Protocol(StrEnum):
    """What is spoken under, or before, TLS. `tls` is TLS with nothing known inside."""

    SMTP = "smtp"
    IMAP = "imap"
    POP3 = "pop3"
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
        Service("https", Protocol.HTTP, Mode.IMPLICIT, 443),
        Service("tls", Protocol.TLS, Mode.IMPLICIT, None),
    )
}

GROUPS: dict[str, tuple[str, ...]] = {
    "mail": ("smtp", "submission", "submissions", "imap", "imaps", "pop3", "pop3s"),
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
