"""`tlsweep about`: what to publish before a scan."""

import typer

from scanner.about import DESCRIPTION, Attribution, advice, probing_txt
from scanner.engine import wall_clock
from scanner.options import attribution
from scanner.options.attribution import contact_uri
from scanner.refusal import refuse
from scanner.wires import source_addresses

_DAY_S = 86_400


def about(
    host: attribution.Host = None,
    contacts: attribution.Contacts = None,
    description: attribution.Description = DESCRIPTION,
    languages: attribution.Languages = "en",
    days: attribution.Days = 180,
    file: attribution.FileAlone = False,
) -> None:
    """Print what to publish before a scan, so that others know whose it is (RFC 9511), and what it does to them."""
    who = Attribution(
        host=host.lower() if host is not None else None,
        contacts=tuple(map(contact_uri, contacts or ())),
        description=description,
        languages=languages,
        expires=wall_clock() + days * _DAY_S,
        addresses=tuple(source_addresses()),
    )
    if not file:
        typer.echo(advice(who), nl=False)
    elif who.is_whole:
        typer.echo(probing_txt(who), nl=False)
    else:
        refuse("--file needs a --host and a --contact: examples are not to be published")
