"""Options of the panel "Further questions": one for each probe, which says itself what it is for."""

from typing import Annotated

import typer

from scanner.probes import PROBES

PANEL = "Further questions"

Groups = Annotated[bool, typer.Option("--groups", help=PROBES["groups"].help, rich_help_panel=PANEL)]
Ciphers = Annotated[bool, typer.Option("--ciphers", help=PROBES["ciphers"].help, rich_help_panel=PANEL)]
Alpn = Annotated[bool, typer.Option("--alpn", help=PROBES["alpn"].help, rich_help_panel=PANEL)]
Resumption = Annotated[bool, typer.Option("--resumption", help=PROBES["resumption"].help, rich_help_panel=PANEL)]
FallbackScsv = Annotated[
    bool, typer.Option("--fallback-scsv", help=PROBES["fallback_scsv"].help, rich_help_panel=PANEL)
]
Renegotiation = Annotated[
    bool, typer.Option("--renegotiation", help=PROBES["renegotiation"].help, rich_help_panel=PANEL)
]
Compression = Annotated[bool, typer.Option("--compression", help=PROBES["compression"].help, rich_help_panel=PANEL)]
Fingerprints = Annotated[bool, typer.Option("--fingerprint", help=PROBES["fingerprints"].help, rich_help_panel=PANEL)]
