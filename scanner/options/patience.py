"""Options of the panel "Patience": how long to wait, and how often to come back."""

from typing import Annotated

import typer

from scanner.options.values import check_finite

PANEL = "Patience"

Retries = Annotated[
    int,
    typer.Option(
        min=0,
        metavar="N",
        help="Later looks at an endpoint whose answer may only be of the moment: too many connections, temporary"
        " errors, silence (once). The first comes a minute after words of load or of a passing fault, half a minute"
        " after silence, ten seconds after a limit of our own; each further pause is twice as long, and none is"
        " shorter than the server asks for. 0 takes the first look for the last.",
        rich_help_panel=PANEL,
    ),
]
TimeoutConnect = Annotated[
    float,
    typer.Option(
        callback=check_finite,
        min=0.001,
        metavar="S",
        help="Seconds for the TCP connection.",
        rich_help_panel=PANEL,
    ),
]
TimeoutGreeting = Annotated[
    float,
    typer.Option(
        callback=check_finite,
        min=0.001,
        metavar="S",
        help="Seconds for the greeting; some servers hold it back.",
        rich_help_panel=PANEL,
    ),
]
TimeoutReply = Annotated[
    float,
    typer.Option(
        callback=check_finite, min=0.001, metavar="S", help="Seconds for any other reply.", rich_help_panel=PANEL
    ),
]
TimeoutTls = Annotated[
    float,
    typer.Option(
        callback=check_finite,
        min=0.001,
        metavar="S",
        help="Seconds for each wait in a TLS handshake.",
        rich_help_panel=PANEL,
    ),
]
Deadline = Annotated[
    float,
    typer.Option(
        callback=check_finite,
        min=0.001,
        metavar="S",
        help="Seconds for one connection from its first SYN to its close.",
        rich_help_panel=PANEL,
    ),
]
