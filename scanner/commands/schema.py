"""`tlsweep schema`: what the records hold, for programs."""

from importlib.resources import files

import typer


def schema() -> None:
    """Print the JSON Schema of the records."""
    typer.echo(files("scanner").joinpath("schema.json").read_text("utf-8"), nl=False)
