"""`tlsweep merge`: the outputs of several machines, each of which scanned a share, as one."""

from typing import Annotated

import structlog
import typer

from scanner.config import STDOUT
from scanner.exit_code import ExitCode
from scanner.log import LogFormat, configure_log
from scanner.merge import Merge
from scanner.merge import merge as join
from scanner.options import streams
from scanner.output import OutputClosed
from scanner.refusal import refuse
from scanner.shards import MergeError

log = structlog.get_logger()


def merge(
    outputs: Annotated[
        list[str],
        typer.Argument(
            metavar="OUTPUT",
            help="What the scans wrote with --shard: plain, .gz or .zst; of those that were rotated, the first file."
            " With --certificates, their files of certificates too.",
            show_default=False,
        ),
    ],
    output: Annotated[
        str, typer.Option("--output", "-o", metavar="FILE|-", help="Where all records go; packed by its name.")
    ] = STDOUT,
    certificates: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Where the certificates of all go, each once.", show_default=False),
    ] = None,
    incomplete: Annotated[
        bool,
        typer.Option(
            "--incomplete", help="Join what there is, though shards are missing, or their runs did not come to an end."
        ),
    ] = False,
    log_format: streams.LogLook = LogFormat.CONSOLE,
) -> None:
    """Join the OUTPUTs of all shards of a scan, as if it had been one.

    They have to be of the same settings, seed and input, each shard once and
    complete. Mail domains whose MX hosts are in several shards are completed.

    Exit status: 0 joined; 2 they cannot be joined, and nothing was written;
    3 the output took no more.
    """
    configure_log(log_format)
    try:
        end = join(Merge(tuple(outputs), output, certificates, incomplete))
    except MergeError as error:
        refuse(str(error))
    except OutputClosed as closed:
        log.error(str(closed))
        raise typer.Exit(ExitCode.STOPPED) from closed
    log.info(
        "joined",
        endpoints=end["endpoints"]["recorded"],
        domains=end["domains"]["recorded"],
        rejected=sum(end["rejected"].values()),
        certificates=end["certificates"],
    )
