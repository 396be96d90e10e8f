"""Options of the panel "Pace": how much at once and a second."""

from typing import Annotated

import typer

from scanner.dealing import ONE_IS_ENOUGH
from scanner.options.values import check_finite

PANEL = "Pace (0 is no limit)"

Processes = Annotated[
    int | None,
    typer.Option(
        min=1,
        metavar="N",
        help="Processes that scan, each with its share of the limits; networks are dealt among them. Without it, as"
        f" many as there are cores, but one where fewer than {ONE_IS_ENOUGH:,} endpoints are known to come.",
        show_default=False,
        rich_help_panel=PANEL,
    ),
]
DnsQueries = Annotated[
    int,
    typer.Option(min=0, metavar="N", help="Questions in flight to each name server.", rich_help_panel=PANEL),
]
DnsRate = Annotated[
    float,
    typer.Option(
        callback=check_finite,
        min=0,
        metavar="R",
        help="Questions a second to each name server.",
        rich_help_panel=PANEL,
    ),
]
Endpoints = Annotated[int, typer.Option(min=0, metavar="N", help="Endpoints in flight.", rich_help_panel=PANEL)]
Connections = Annotated[int, typer.Option(min=0, metavar="N", help="Connections in flight.", rich_help_panel=PANEL)]
Rate = Annotated[
    float,
    typer.Option(callback=check_finite, min=0, metavar="R", help="New connections a second.", rich_help_panel=PANEL),
]
PerAddress = Annotated[
    int, typer.Option(min=0, metavar="N", help="Connections in flight to one address.", rich_help_panel=PANEL)
]
PerAddressRate = Annotated[
    float,
    typer.Option(
        callback=check_finite,
        min=0,
        metavar="R",
        help="New connections a second to one address.",
        rich_help_panel=PANEL,
    ),
]
PerNetworkRate = Annotated[
    float,
    typer.Option(
        callback=check_finite,
        min=0,
        metavar="R",
        help="New connections a second to one network (see --network-prefixes).",
        rich_help_panel=PANEL,
    ),
]
NetworkPrefixes = Annotated[
    str,
    typer.Option(
        metavar="N,M",
        help="What is one network: addresses that share so many bits, in IPv4 and in IPv6.",
        rich_help_panel=PANEL,
    ),
]
Deferred = Annotated[
    int,
    typer.Option(
        min=0,
        metavar="N",
        help="Endpoints that may wait for a later look; 0 for as many as there are. Beyond it an endpoint is not"
        " looked at again: it is recorded at once, flagged deferred_dropped.",
        rich_help_panel=PANEL,
    ),
]
