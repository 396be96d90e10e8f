"""Options of the panel "What to ask": of whom, which questions, and what is kept of the answers."""

from typing import Annotated

import typer

from scanner.options.values import MAX_SEED, complete_services, complete_versions

PANEL = "What to ask"

Services = Annotated[
    str,
    typer.Option(
        metavar="LIST",
        help="What to ask where the target does not say it: services (see [b]tlsweep services[/b]), or their"
        " groups mail, directory, chat, database, all.",
        rich_help_panel=PANEL,
        autocompletion=complete_services,
    ),
]
Mx = Annotated[
    bool,
    typer.Option(
        "--mx",
        help="Take plain names (without service, port and address) for mail domains: ask their MX hosts.",
        rich_help_panel=PANEL,
    ),
]
Srv = Annotated[
    bool,
    typer.Option(
        "--srv",
        help="Take plain names for mail domains, and ask the hosts that the SRV records of mail domains name for"
        " clients; beside --mx, and for mx:domain, the MX hosts too.",
        rich_help_panel=PANEL,
    ),
]
Seed = Annotated[
    int | None,
    typer.Option(
        min=0,
        max=MAX_SEED,
        metavar="N",
        help="Walk through networks in the order of an earlier run, whose seed is in its run record; without it,"
        " in one of chance.",
        rich_help_panel=PANEL,
        show_default=False,
    ),
]
Shard = Annotated[
    str | None,
    typer.Option(
        metavar="I/N",
        help="Scan the I-th of N shares of the endpoints, dealt by network: every machine gets the same input and"
        " options, and an I of its own; [b]tlsweep merge[/b] joins the outputs. Without --seed, that is 0.",
        rich_help_panel=PANEL,
        show_default=False,
    ),
]
MOST_OF_IPV6 = 2**32  # as many as IPv4 has

Ipv6Most = Annotated[
    int | None,
    typer.Option(
        min=1,
        max=MOST_OF_IPV6,
        metavar="N",
        help="Of an IPv6 network that is wider than /112, take this many addresses, in the order of the seed;"
        " without it, such a network is rejected.",
        rich_help_panel=PANEL,
        show_default=False,
    ),
]
Versions = Annotated[
    str,
    typer.Option(
        metavar="LIST",
        help="Protocol versions to ask for: SSLv2, SSLv3, TLSv1.0, TLSv1.1, TLSv1.2, TLSv1.3 or all.",
        rich_help_panel=PANEL,
        autocompletion=complete_versions,
    ),
]
Economical = Annotated[
    bool,
    typer.Option(
        "--economical",
        help="Decide all versions by the least connections, 4 instead of 7 where TLS 1.2 and 1.3 are spoken: one"
        " answer tells of several versions, and the handshake stands for TLS 1.3.",
        rich_help_panel=PANEL,
    ),
]
Der = Annotated[bool, typer.Option("--der", help="Keep every certificate in base64 (DER).", rich_help_panel=PANEL)]
Certificates = Annotated[
    str | None,
    typer.Option(
        metavar="FILE",
        help="Write every distinct certificate of all chains to this file, once: a JSON line with all that it says"
        " and itself in base64 (DER). Endpoint records refer to it by its SHA-256.",
        rich_help_panel=PANEL,
        show_default=False,
    ),
]
Trust = Annotated[
    str | None,
    typer.Option(
        metavar="FILE",
        help="Trust the certificates (PEM) of this file, and not those that the system trusts.",
        rich_help_panel=PANEL,
        show_default=False,
    ),
]
NoPolicy = Annotated[
    bool,
    typer.Option(
        "--no-policy",
        help="Do not ask mail domains for what they promise: neither DANE, nor MTA-STS, nor TLS-RPT.",
        rich_help_panel=PANEL,
    ),
]
TestInjection = Annotated[
    bool,
    typer.Option(
        "--test-injection",
        help="Test smtp, submission, imap, pop3 and sieve for command injection (CVE-2011-0411), on one more"
        " connection: behind STARTTLS a harmless command (NOOP; in POP3, CAPA) is sent in the same segment, which"
        " breaks the protocol's rules, and inside TLS come EHLO and QUIT (IMAP: CAPABILITY, LOGOUT; POP3: STAT,"
        " QUIT; Sieve: NOOP, CAPABILITY, LOGOUT). No login, no mail.",
        rich_help_panel=PANEL,
    ),
]
