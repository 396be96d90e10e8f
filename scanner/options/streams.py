"""Options without a panel: what is read, what is written, and what people see of it."""

from typing import Annotated

import typer

from scanner.log import LogFormat
from targets.rules import Format

Targets = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="TARGET",
        help="host, host:port, address, \\[v6]:port, network/len, service://host\\[:port] or mx:domain\\[:port].",
        show_default=False,
    ),
]
Inputs = Annotated[
    list[str] | None,
    typer.Option(
        "--input",
        "-i",
        metavar="FILE|-",
        help="Targets, one a line, or in another form (see --format); plain, .gz or .zst. Repeatable; - is standard"
        " input, and is scanned as it comes.",
        show_default=False,
    ),
]
InputFormat = Annotated[
    Format | None,
    typer.Option(
        "--format",
        metavar="NAME",
        help="The form of every input; without it, each is recognised by its first lines. text: one target a line;"
        " csv: a header with host, address, port, service, domain; jsonl: objects with these keys; tranco:"
        " rank,domain; zmap: addresses, or CSV with saddr; masscan: list or JSON; nmap: XML or grepable; zgrab2:"
        " ip,domain,tag.",
        show_default=False,
    ),
]
OutputFile = Annotated[
    str,
    typer.Option(
        "--output", "-o", metavar="FILE|-", help="Where the JSON lines go; FILE.gz and FILE.zst are packed so."
    ),
]
Resume = Annotated[
    bool,
    typer.Option(
        "--resume",
        help="Go on with the run that the --output holds, if it holds any: what is recorded there is not scanned"
        " again, and a torn end is cut off. Settings that decide what is asked or written have to be the same."
        " Begin with it, too: a stopped run then leaves unfinished mail domains to the next.",
    ),
]
DryRun = Annotated[
    bool,
    typer.Option(
        "--dry-run",
        help="Send nothing, not even to the DNS, and write no output: read all inputs, and tell how many endpoints and"
        " connections there would be, how long these limits take, and what is left out. For people on a terminal;"
        " elsewhere as one JSON object of type plan.",
    ),
]
Rotate = Annotated[
    str | None,
    typer.Option(
        metavar="SIZE",
        help="Begin another file when the output would grow beyond this (such as 500M, 1G): survey.jsonl,"
        " survey.1.jsonl, survey.2.jsonl ... The file of --certificates likewise.",
        show_default=False,
    ),
]
Progress = Annotated[bool, typer.Option(help="Show progress on standard error.")]
Metrics = Annotated[
    str | None,
    typer.Option(
        metavar="ADDRESS:PORT",
        help="Serve how the scan stands to Prometheus, at http://ADDRESS:PORT/metrics, until it is over. IPv6 in"
        " brackets; port 0 for any that is free.",
        show_default=False,
    ),
]
LogLook = Annotated[LogFormat, typer.Option(help="How the log on standard error looks.")]
