"""The `tlsweep` command: which commands there are. The module of one is imported when it is asked for."""

import errno
import gc
import signal
import sys
from collections import UserDict
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from scanner import __version__
from scanner.exit_code import ExitCode
from scanner.standard_error import leave_errors, leave_output, open_errors, print_errors

# In the order of `--help`; each is a module of scanner/commands/.
COMMANDS = ("scan", "merge", "services", "findings", "schema", "about")

_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO}


class _Loaded(UserDict[str, Any]):
    """Commands by name. What a scan imports takes half a second, which no other command need wait for."""

    def __getitem__(self, name: str) -> TyperCommand:
        if self.data[name] is None:
            self.data[name] = _load(name)
        command: TyperCommand = self.data[name]
        return command


class _Commands(TyperGroup):
    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.commands = _Loaded(dict.fromkeys(COMMANDS))


def _load(name: str) -> TyperCommand:
    gc.disable()  # what is imported stays: to search it for cycles would take a tenth of the time
    module = import_module(f"scanner.commands.{name}")
    gc.enable()
    alone = typer.Typer(rich_markup_mode="rich", add_completion=False)
    alone.command(name)(getattr(module, name))
    command = typer.main.get_command(alone)
    assert isinstance(command, TyperCommand)
    return command


app = typer.Typer(
    cls=_Commands,
    help="An async concurrent mass scanner for TLS and STARTTLS: streams one JSON line an endpoint.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
)


def main() -> None:
    """The entry point of the `tlsweep` command.

    A scan answers SIGUSR1 while it runs; whoever sends it a moment too early or too late does not end the process.
    """
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    open_errors()
    try:
        app()
    except OSError as error:  # a scan has told its own by now
        if error.errno not in _NO_ROOM:
            raise
        print_errors(f"tlsweep: standard output cannot be written to: {error.strerror}\n")
        leave_output()
        sys.exit(ExitCode.STOPPED)
    finally:
        leave_errors()


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"tlsweep {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and leave.")
    ] = False,
) -> None:
    """An async concurrent mass scanner for TLS and STARTTLS: streams one JSON line an endpoint."""
