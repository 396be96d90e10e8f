"""The command line: arguments → a frozen Config; exit codes."""

import logging
import os
import stat
import sys
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, NoReturn

import anyio
import structlog
import typer
from rich.console import Console
from rich.table import Table

from scanner import __version__
from scanner.config import STDOUT, Config
from scanner.connection import Timeouts
from scanner.domain_findings import DOMAIN_FINDINGS
from scanner.findings import FINDINGS
from scanner.limits import Limits
from scanner.looks import RETRIES
from scanner.options import (
    FURTHER,
    MAX_SEED,
    PACE,
    PATIENCE,
    SAFETY,
    WHAT,
    LogFormat,
    check_finite,
    check_hello_name,
    complete_services,
    complete_versions,
    parse_network,
    parse_prefixes,
    parse_resolver,
    parse_services,
    parse_size,
    parse_versions,
    requested_probes,
)
from scanner.output_files import OutputError, Outputs, open_outputs
from scanner.probes import PROBES
from scanner.progress import is_terminal
from scanner.question import Wanted
from scanner.resume import ResumeError
from scanner.run import ExitCode, Run
from scanner.trust import TrustStore
from scanner.trust_store import TrustStoreError, read_store, system_store
from targets.exclude import BlockListError, block_list
from targets.lines import STDIN, InputError, check_readable
from targets.parse import Parser
from targets.resolving.limits import DnsLimits
from targets.rules import Format, Rules
from targets.services import GROUPS, SERVICES
from targets.target import IPNetwork, Rejection

app = typer.Typer(
    help="An async concurrent mass scanner for TLS and STARTTLS: streams one JSON line an endpoint.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
)

_LIMITS, _DNS_LIMITS, _TIMEOUTS = Limits(), DnsLimits(), Timeouts()

log = structlog.get_logger()


def main() -> None:
    """The entry point of the `tlsweep` command."""
    app()


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


@app.command()
def scan(
    targets: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="TARGET",
            help="host, host:port, address, \\[v6]:port, network/len, service://host\\[:port] or mx:domain\\[:port].",
            show_default=False,
        ),
    ] = None,
    inputs: Annotated[
        list[str] | None,
        typer.Option(
            "--input",
            "-i",
            metavar="FILE|-",
            help="Targets, one a line, or in another form (see --format); plain, .gz or .zst. Repeatable; - is standard"
            " input, and is scanned as it comes.",
            show_default=False,
        ),
    ] = None,
    input_format: Annotated[
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
    ] = None,
    output: Annotated[
        str,
        typer.Option(
            "--output", "-o", metavar="FILE|-", help="Where the JSON lines go; FILE.gz and FILE.zst are packed so."
        ),
    ] = STDOUT,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume",
            help="Go on with the run that the --output holds, if it holds any: what is recorded there is not scanned"
            " again, and a torn end is cut off. Settings that decide what is asked or written have to be the same."
            " Begin with it, too: a stopped run then leaves unfinished mail domains to the next.",
        ),
    ] = False,
    rotate: Annotated[
        str | None,
        typer.Option(
            metavar="SIZE",
            help="Begin another file when the output would grow beyond this (such as 500M, 1G): survey.jsonl,"
            " survey.1.jsonl, survey.2.jsonl ... The file of --certificates likewise.",
            show_default=False,
        ),
    ] = None,
    services: Annotated[
        str,
        typer.Option(
            metavar="LIST",
            help="What to ask where the target does not say it: services (see [b]tlsweep services[/b]), or their"
            " groups mail, directory, chat, database, all.",
            rich_help_panel=WHAT,
            autocompletion=complete_services,
        ),
    ] = "mail",
    mx: Annotated[
        bool,
        typer.Option(
            "--mx",
            help="Take plain names (without service, port and address) for mail domains: ask their MX hosts.",
            rich_help_panel=WHAT,
        ),
    ] = False,
    srv: Annotated[
        bool,
        typer.Option(
            "--srv",
            help="Take plain names for mail domains, and ask the hosts that the SRV records of mail domains name for"
            " clients; beside --mx, and for mx:domain, the MX hosts too.",
            rich_help_panel=WHAT,
        ),
    ] = False,
    seed: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=MAX_SEED,
            metavar="N",
            help="Walk through networks in the order of an earlier run, whose seed is in its run record; without it,"
            " in one of chance.",
            rich_help_panel=WHAT,
            show_default=False,
        ),
    ] = None,
    ipv6_most: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            help="Of an IPv6 network that is wider than /112, take this many addresses, in the order of the seed;"
            " without it, such a network is rejected.",
            rich_help_panel=WHAT,
            show_default=False,
        ),
    ] = None,
    versions: Annotated[
        str,
        typer.Option(
            metavar="LIST",
            help="Protocol versions to ask for: SSLv2, SSLv3, TLSv1.0, TLSv1.1, TLSv1.2, TLSv1.3 or all.",
            rich_help_panel=WHAT,
            autocompletion=complete_versions,
        ),
    ] = "all",
    economical: Annotated[
        bool,
        typer.Option(
            "--economical",
            help="Decide all versions by the least connections, 4 instead of 7 where TLS 1.2 and 1.3 are spoken: one"
            " answer tells of several versions, and the handshake stands for TLS 1.3.",
            rich_help_panel=WHAT,
        ),
    ] = False,
    der: Annotated[
        bool, typer.Option("--der", help="Keep every certificate in base64 (DER).", rich_help_panel=WHAT)
    ] = False,
    certificates: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Write every distinct certificate of all chains to this file, once: a JSON line with all that it says"
            " and itself in base64 (DER). Endpoint records refer to it by its SHA-256.",
            rich_help_panel=WHAT,
            show_default=False,
        ),
    ] = None,
    trust: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Trust the certificates (PEM) of this file, and not those that the system trusts.",
            rich_help_panel=WHAT,
            show_default=False,
        ),
    ] = None,
    no_policy: Annotated[
        bool,
        typer.Option(
            "--no-policy",
            help="Do not ask mail domains for what they promise: neither DANE, nor MTA-STS, nor TLS-RPT.",
            rich_help_panel=WHAT,
        ),
    ] = False,
    groups: Annotated[bool, typer.Option("--groups", help=PROBES["groups"].help, rich_help_panel=FURTHER)] = False,
    ciphers: Annotated[bool, typer.Option("--ciphers", help=PROBES["ciphers"].help, rich_help_panel=FURTHER)] = False,
    alpn: Annotated[bool, typer.Option("--alpn", help=PROBES["alpn"].help, rich_help_panel=FURTHER)] = False,
    resumption: Annotated[
        bool, typer.Option("--resumption", help=PROBES["resumption"].help, rich_help_panel=FURTHER)
    ] = False,
    fallback_scsv: Annotated[
        bool, typer.Option("--fallback-scsv", help=PROBES["fallback_scsv"].help, rich_help_panel=FURTHER)
    ] = False,
    renegotiation: Annotated[
        bool, typer.Option("--renegotiation", help=PROBES["renegotiation"].help, rich_help_panel=FURTHER)
    ] = False,
    compression: Annotated[
        bool, typer.Option("--compression", help=PROBES["compression"].help, rich_help_panel=FURTHER)
    ] = False,
    fingerprint: Annotated[
        bool, typer.Option("--fingerprint", help=PROBES["fingerprints"].help, rich_help_panel=FURTHER)
    ] = False,
    test_injection: Annotated[
        bool,
        typer.Option(
            "--test-injection",
            help="Test smtp, submission, imap, pop3 and sieve for command injection (CVE-2011-0411), on one more"
            " connection: behind STARTTLS a harmless command (NOOP; in POP3, CAPA) is sent in the same segment, which"
            " breaks the protocol's rules, and inside TLS come EHLO and QUIT (IMAP: CAPABILITY, LOGOUT; POP3: STAT,"
            " QUIT; Sieve: NOOP, CAPABILITY, LOGOUT). No login, no mail.",
            rich_help_panel=WHAT,
        ),
    ] = False,
    allow: Annotated[
        list[str] | None,
        typer.Option(
            metavar="CIDR",
            help="Scan this special-purpose range too (loopback, private, ...). Repeatable.",
            rich_help_panel=SAFETY,
            show_default=False,
        ),
    ] = None,
    exclude: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE",
            help="Never connect to these: a ZMap block list, one CIDR a line, # for comments. Repeatable.",
            rich_help_panel=SAFETY,
            show_default=False,
        ),
    ] = None,
    hello_name: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Our name in EHLO. Give one that resolves to this machine and back; without it, the address literal.",
            rich_help_panel=SAFETY,
            callback=check_hello_name,
            show_default=False,
        ),
    ] = None,
    resolver: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ADDRESS[:PORT]",
            help="Ask this name server instead of the system's. Repeatable: several share the questions.",
            rich_help_panel=SAFETY,
            show_default=False,
        ),
    ] = None,
    trust_ad: Annotated[
        bool,
        typer.Option(
            "--trust-ad",
            help="Believe resolvers on other machines that they validated (DNSSEC); those on this one are believed.",
            rich_help_panel=SAFETY,
        ),
    ] = False,
    dns_queries: Annotated[
        int,
        typer.Option(min=0, metavar="N", help="Questions in flight to each name server.", rich_help_panel=PACE),
    ] = _DNS_LIMITS.queries,
    dns_rate: Annotated[
        float,
        typer.Option(
            callback=check_finite,
            min=0,
            metavar="R",
            help="Questions a second to each name server.",
            rich_help_panel=PACE,
        ),
    ] = _DNS_LIMITS.rate,
    endpoints: Annotated[
        int, typer.Option(min=0, metavar="N", help="Endpoints in flight.", rich_help_panel=PACE)
    ] = _LIMITS.endpoints,
    connections: Annotated[
        int, typer.Option(min=0, metavar="N", help="Connections in flight.", rich_help_panel=PACE)
    ] = _LIMITS.connections,
    rate: Annotated[
        float,
        typer.Option(callback=check_finite, min=0, metavar="R", help="New connections a second.", rich_help_panel=PACE),
    ] = _LIMITS.rate,
    per_address: Annotated[
        int, typer.Option(min=0, metavar="N", help="Connections in flight to one address.", rich_help_panel=PACE)
    ] = _LIMITS.per_address,
    per_address_rate: Annotated[
        float,
        typer.Option(
            callback=check_finite,
            min=0,
            metavar="R",
            help="New connections a second to one address.",
            rich_help_panel=PACE,
        ),
    ] = _LIMITS.per_address_rate,
    per_network_rate: Annotated[
        float,
        typer.Option(
            callback=check_finite,
            min=0,
            metavar="R",
            help="New connections a second to one network (see --network-prefixes).",
            rich_help_panel=PACE,
        ),
    ] = _LIMITS.per_network_rate,
    network_prefixes: Annotated[
        str,
        typer.Option(
            metavar="N,M",
            help="What is one network: addresses that share so many bits, in IPv4 and in IPv6.",
            rich_help_panel=PACE,
        ),
    ] = "24,48",
    deferred: Annotated[
        int,
        typer.Option(
            min=0,
            metavar="N",
            help="Endpoints that may wait for a later look; 0 for as many as there are. Beyond it an endpoint is not"
            " looked at again: it is recorded at once, flagged deferred_dropped.",
            rich_help_panel=PACE,
        ),
    ] = _LIMITS.deferred,
    retries: Annotated[
        int,
        typer.Option(
            min=0,
            metavar="N",
            help="Later looks at an endpoint whose answer may only be of the moment: too many connections, temporary"
            " errors, silence (once). The first comes a minute after words of load or of a passing fault, half a minute"
            " after silence, ten seconds after a limit of our own; each further pause is twice as long, and none is"
            " shorter than the server asks for. 0 takes the first look for the last.",
            rich_help_panel=PATIENCE,
        ),
    ] = RETRIES,
    timeout_connect: Annotated[
        float,
        typer.Option(
            callback=check_finite,
            min=0.001,
            metavar="S",
            help="Seconds for the TCP connection.",
            rich_help_panel=PATIENCE,
        ),
    ] = _TIMEOUTS.connect_s,
    timeout_greeting: Annotated[
        float,
        typer.Option(
            callback=check_finite,
            min=0.001,
            metavar="S",
            help="Seconds for the greeting; some servers hold it back.",
            rich_help_panel=PATIENCE,
        ),
    ] = _TIMEOUTS.greeting_s,
    timeout_reply: Annotated[
        float,
        typer.Option(
            callback=check_finite, min=0.001, metavar="S", help="Seconds for any other reply.", rich_help_panel=PATIENCE
        ),
    ] = _TIMEOUTS.reply_s,
    timeout_tls: Annotated[
        float,
        typer.Option(
            callback=check_finite,
            min=0.001,
            metavar="S",
            help="Seconds for each wait in a TLS handshake.",
            rich_help_panel=PATIENCE,
        ),
    ] = _TIMEOUTS.tls_s,
    deadline: Annotated[
        float,
        typer.Option(
            callback=check_finite,
            min=0.001,
            metavar="S",
            help="Seconds for one connection from its first SYN to its close.",
            rich_help_panel=PATIENCE,
        ),
    ] = _TIMEOUTS.deadline_s,
    progress: Annotated[bool, typer.Option(help="Show progress on standard error.")] = True,
    log_format: Annotated[LogFormat, typer.Option(help="How the log on standard error looks.")] = LogFormat.CONSOLE,
) -> None:
    """Scan TARGETs, and those of --input, and write one JSON line for each endpoint.

    The defaults are polite: one connection at a time and one a second to an
    address, and no address of a special-purpose range.

    Exit status: 0 complete; 2 the command line or an input cannot be used;
    3 stopped early.
    """
    _configure_log(log_format)
    config = Config(
        targets=tuple(targets or ()),
        inputs=tuple(inputs or ()),
        rules=Rules(input_format, mx=mx, srv=srv, ipv6_most=ipv6_most),
        seed=seed,
        output=output,
        resume=resume,
        rotate_bytes=parse_size(rotate) if rotate is not None else None,
        certificates=certificates,
        services=parse_services(services),
        wanted=Wanted(
            parse_versions(versions),
            test_injection=test_injection,
            probes=requested_probes(
                groups=groups,
                ciphers=ciphers,
                alpn=alpn,
                resumption=resumption,
                fallback_scsv=fallback_scsv,
                renegotiation=renegotiation,
                compression=compression,
                fingerprints=fingerprint,
            ),
            economical=economical,
        ),
        allow=tuple(map(parse_network, allow or ())),
        exclude=tuple(map(str, exclude or ())),
        block=tuple(network for path in exclude or () for network in _block_list(path)),
        resolvers=tuple(map(parse_resolver, resolver or ())),
        trust_ad=trust_ad,
        dns_limits=DnsLimits(dns_queries, dns_rate),
        limits=Limits(endpoints, connections, rate, per_address, per_address_rate, per_network_rate, deferred),
        prefixes=parse_prefixes(network_prefixes),
        timeouts=Timeouts(timeout_connect, timeout_greeting, timeout_reply, timeout_tls, deadline),
        retries=retries,
        hello_name=hello_name,
        trust=str(trust) if trust is not None else None,
        der=der,
        with_policies=not no_policy,
        progress=progress,
    )
    _check_inputs(config)
    _check_outputs(config)
    raise typer.Exit(_scan(config))


def _scan(config: Config) -> ExitCode:
    trust = _trust_store(config.trust)
    outputs = _open_outputs(config)
    run = Run(config, outputs.records, trust, outputs.certificates, outputs.recorded)
    code = anyio.run(run.scan, backend="trio")
    if config.progress and is_terminal():
        Console(stderr=True).print(run.summary.tables())
    return code


def _open_outputs(config: Config) -> Outputs:
    try:
        outputs = open_outputs(config)
    except (OutputError, ResumeError) as error:
        _refuse(str(error))
    if outputs.recorded:
        log.info("going on with an earlier run", **outputs.recorded.counts)
    return outputs


def _check_inputs(config: Config) -> None:
    if not config.targets and not config.inputs:
        _refuse("nothing to scan: name a TARGET, or --input FILE (- is standard input)")
    if config.inputs.count(STDIN) > 1:
        _refuse("standard input can be read only once")
    parser = Parser(config.services, config.rules)
    for target in config.targets:
        match parser.parse(os.fsencode(target)):
            case Rejection(origin=origin, detail=detail):
                _refuse(f"{origin.input}: {detail}")
            case None:
                _refuse(f"{target!r} names nothing to scan")
    try:
        check_readable(config.inputs)
    except InputError as error:
        _refuse(str(error))


def _check_outputs(config: Config) -> None:
    """Refuse to overwrite what is read, or to write two things to one place."""
    for path in filter(None, (*config.inputs, *config.exclude, config.trust)):
        if path != STDIN and config.output != STDOUT and _are_the_same(path, config.output):
            _refuse(f"{config.output}: the output would overwrite {path}")
        if path != STDIN and config.certificates is not None and _are_the_same(path, config.certificates):
            _refuse(f"{config.certificates}: the certificates would overwrite {path}")
    for option, is_given in (("--resume", config.resume), ("--rotate", config.rotate_bytes is not None)):
        if is_given and not _is_a_file(config.output):
            _refuse(f"{option} needs a file: name one with --output")
        if is_given and config.certificates is not None and not _is_a_file(config.certificates):
            _refuse(f"{option} needs a file: {config.certificates} is none")
    if config.certificates == STDOUT:
        _refuse("--certificates needs a file: standard output is for the records")
    if config.certificates is not None and _is_the_output(config.certificates, config.output):
        _refuse(f"{config.certificates}: the certificates and the records need a file each")


def _is_a_file(path: str) -> bool:
    """Or will it be one?"""
    return path != STDOUT and (not os.path.exists(path) or stat.S_ISREG(os.stat(path).st_mode))


def _is_the_output(path: str, output: str) -> bool:
    """Is it the same file, or the same pipe? A device, such as /dev/null, may be named twice."""
    if output != STDOUT and os.path.realpath(path) == os.path.realpath(output):
        return not os.path.exists(path) or not stat.S_ISCHR(os.stat(path).st_mode)
    if not os.path.exists(path) or (output != STDOUT and not os.path.exists(output)):
        return False
    if output == STDOUT and sys.stdout is None:
        return False
    ours, theirs = os.stat(path), os.fstat(sys.stdout.fileno()) if output == STDOUT else os.stat(output)
    return os.path.samestat(ours, theirs) and not stat.S_ISCHR(ours.st_mode)


def _are_the_same(path: str, output: str) -> bool:
    return os.path.exists(output) and stat.S_ISREG(os.stat(output).st_mode) and os.path.samefile(path, output)


def _block_list(path: Path) -> list[IPNetwork]:
    try:
        with path.open("rb") as lines:
            return block_list(lines, str(path))
    except BlockListError as error:
        _refuse(str(error))
    except OSError as error:
        _refuse(f"{path}: {error.strerror}")


def _trust_store(path: str | None) -> TrustStore | None:
    if path is None:
        store = system_store()
        if store is None:
            log.warning("no trust store found, so nobody can tell what is trusted: name one with --trust")
        return store
    try:
        return read_store(path)
    except TrustStoreError as error:
        _refuse(str(error))


def _refuse(why: str) -> NoReturn:
    typer.secho(f"tlsweep: {why}", err=True, fg="red")
    raise typer.Exit(ExitCode.UNUSABLE)


def _configure_log(log_format: LogFormat) -> None:
    """structlog to standard error. The stream is looked up for each line: a live progress display takes its place."""
    processors: list[Any] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    if log_format is LogFormat.JSON:
        processors += [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    else:
        traceback = structlog.dev.plain_traceback  # the prettier ones show what the variables hold: bytes from the wire
        processors.append(structlog.dev.ConsoleRenderer(colors=is_terminal(), exception_formatter=traceback))
    structlog.configure(
        processors=processors,
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),
    )


@app.command("services")
def print_services() -> None:
    """Print the table of services: what is spoken, how TLS begins, and on which port."""
    table = Table()
    for column in ("service", "protocol", "TLS begins", "port", "in groups"):
        table.add_column(column)
    for service in SERVICES.values():
        groups = ", ".join(name for name, members in GROUPS.items() if service.name in members)
        table.add_row(service.name, service.protocol, service.mode, str(service.port or "to be named"), groups)
    Console().print(table)


@app.command("findings")
def print_findings() -> None:
    """Print the table of findings: how bad each is, what it means and what to do."""
    table = Table(show_lines=True)
    table.add_column("finding", no_wrap=True)
    table.add_column("severity", no_wrap=True)
    table.add_column("what it means, and what to do")
    for row in (*FINDINGS.values(), *DOMAIN_FINDINGS.values()):
        table.add_row(row.id, row.severity, f"{row.meaning} [b]{row.remedy}[/b]\n{row.reference}")
    Console().print(table)


@app.command("schema")
def print_schema() -> None:
    """Print the JSON Schema of the records."""
    typer.echo(files("scanner").joinpath("schema.json").read_text("utf-8"), nl=False)
