"""Options of the panel "Safety and conduct": whom not to disturb, who we are, whom we ask."""

from typing import Annotated

import typer

from scanner.options.values import check_hello_name

PANEL = "Safety and conduct"

Allow = Annotated[
    list[str] | None,
    typer.Option(
        metavar="CIDR",
        help="Scan this special-purpose range too (loopback, private, ...). Repeatable.",
        rich_help_panel=PANEL,
        show_default=False,
    ),
]
Exclude = Annotated[
    list[str] | None,
    typer.Option(
        metavar="FILE",
        help="Never connect to these: a ZMap block list, one CIDR a line, # for comments. Repeatable.",
        rich_help_panel=PANEL,
        show_default=False,
    ),
]
HelloName = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Our name in EHLO. Give one that resolves to this machine and back; without it, the address literal.",
        rich_help_panel=PANEL,
        callback=check_hello_name,
        show_default=False,
    ),
]
Resolvers = Annotated[
    list[str] | None,
    typer.Option(
        metavar="ADDRESS[:PORT]",
        help="Ask this name server instead of the system's. Repeatable: several share the questions.",
        rich_help_panel=PANEL,
        show_default=False,
    ),
]
TrustAd = Annotated[
    bool,
    typer.Option(
        "--trust-ad",
        help="Believe resolvers on other machines that they validated (DNSSEC); those on this one are believed.",
        rich_help_panel=PANEL,
    ),
]
