"""What is said of a command line that cannot be used."""

from typing import NoReturn

import typer

from scanner.exit_code import ExitCode


def refuse(why: str) -> NoReturn:
    """End the command, with a sentence to act on."""
    typer.secho(f"tlsweep: {why}", err=True, fg="red")
    raise typer.Exit(ExitCode.UNUSABLE)
