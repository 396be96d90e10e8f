"""The command line: what is refused and why, what is printed, and that no option is without its help."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
import trio
import typer.main
from typer.testing import CliRunner

from scanner import __version__, cli
from scanner.config import Config
from scanner.domain_findings import DOMAIN_FINDINGS
from scanner.exit_code import ExitCode
from scanner.findings import FINDINGS
from scanner.limits import Limits
from scanner.tls.names import Version
from targets.prefixes import Prefixes
from targets.resolving.limits import DnsLimits
from targets.rules import Format, Rules
from targets.services import SERVICES
from tests.conftest import SCHEMA
from tests.peers.command import TLSWEEP, tlsweep

TARGET = "192.0.2.1"


@pytest.fixture(autouse=True)
def fresh_log() -> Iterator[None]:
    """The command sets up the log for its process; here there are others."""
    yield
    structlog.reset_defaults()


def refused(*arguments: str) -> str:
    """Run a command that is refused before anything is scanned; what it says, on one line."""
    result = CliRunner().invoke(cli.app, arguments, env={"COLUMNS": "400", "NO_COLOR": "1"})
    assert result.exit_code == ExitCode.UNUSABLE, result.output
    assert not result.stdout
    return " ".join(result.stderr.replace("│", " ").split())


BAD_VALUES = [
    (("--services", "gopher"), "no service is called 'gopher'; there are: smtp,"),
    (("--services", ","), "no service is named"),
    (("--versions", "TLSv1.4"), "no version is called 'TLSv1.4'; there are: SSLv2,"),
    (("--versions", ""), "no version is named"),
    (("--allow", "300.0.0.0/8"), "'300.0.0.0/8' is neither a CIDR nor an address"),
    (("--hello-name", "two words"), "a domain name, or an address literal"),
    (("--hello-name", "a\r\nMAIL FROM:<>"), "a domain name, or an address literal"),
    (("--hello-name", "x" * 256), "a domain name, or an address literal"),
    (("--resolver", "dns.example.test"), "'dns.example.test' is not an ADDRESS[:PORT]"),
    (("--resolver", "192.0.2.1:0"), "'192.0.2.1:0' is not an ADDRESS[:PORT]"),
    (("--resolver", "192.0.2.1:65536"), "is not an ADDRESS[:PORT]"),
    (("--connections", "-1"), "Invalid value for '--connections': Input should be greater than or equal to 0"),
    (("--connections", "many"), "Input should be a valid integer"),
    (("--rate", "-0.1"), "Invalid value for '--rate': Input should be greater than or equal to 0"),
    (("--rate", "nan"), "Input should be greater than or equal to 0"),
    (("--per-address-rate", "inf"), "inf is not a number that can be waited for"),
    (("--per-network-rate", "-1"), "Input should be greater than or equal to 0"),
    (
        ("--network-prefixes", "24"),
        "'24' is not two numbers such as 24,48: from 1 to 32 for IPv4, and from 1 to 128 for",
    ),
    (("--network-prefixes", "33,48"), "'33,48' is not two numbers such as 24,48"),
    (("--network-prefixes", "24,0"), "'24,0' is not two numbers such as 24,48"),
    (("--timeout-connect", "0"), "Input should be greater than or equal to 0.001"),
    (("--timeout-greeting", "nan"), "Input should be greater than or equal to 0.001"),
    (("--timeout-reply", "soon"), "Input should be a valid number"),
    (("--deadline", "inf"), "inf is not a number that can be waited for"),
    (("--format", "excel"), "'excel' is not one of 'text', 'csv', 'jsonl', 'tranco', 'zmap',"),
    (("--seed", "-1"), "Input should be greater than or equal to 0"),
    (("--seed", str(2**63)), "Input should be less than or equal to 9223372036854775807"),
    (("--ipv6-most", "0"), "Input should be greater than or equal to 1"),
    (("--log-format", "xml"), "'xml' is not one of"),
    (("--no-such-option",), "No such option: --no-such-option"),
]


@pytest.mark.parametrize(("arguments", "why"), BAD_VALUES)
def test_bad_values(arguments: tuple[str, ...], why: str) -> None:
    """A value that makes no sense is refused with its reason."""
    assert why in refused("scan", *arguments, TARGET)


def test_nothing_to_scan() -> None:
    """Without a target there is nothing to do, and it is said how to name one."""
    assert refused("scan") == "tlsweep: nothing to scan: name a TARGET, or --input FILE (- is standard input)"


def test_standard_input_twice() -> None:
    """Standard input has one end."""
    assert refused("scan", "-i", "-", "--input", "-") == "tlsweep: standard input can be read only once"


def test_files_that_are_none(tmp_path: Path) -> None:
    """A file that is missing, a directory, or no text is refused by its name."""
    missing, compressed = tmp_path / "missing.txt", tmp_path / "targets.gz"
    compressed.write_bytes(b"BZh9")
    assert refused("scan", "-i", str(missing)) == f"tlsweep: {missing}: no such file or directory"
    assert refused("scan", "-i", str(tmp_path)) == f"tlsweep: {tmp_path}: it is a directory"
    assert "it is packed (bzip2); unpack it first" in refused("scan", "-i", str(compressed))
    assert refused("scan", TARGET, "-o", str(tmp_path)) == f"tlsweep: {tmp_path}: Is a directory"
    nowhere = tmp_path / "no" / "out.jsonl"
    assert refused("scan", TARGET, "-o", str(nowhere)) == f"tlsweep: {nowhere}: No such file or directory"


def test_the_output_is_not_the_input(tmp_path: Path) -> None:
    """An output that would overwrite an input, the block list or the trust store is refused: it is as it was."""
    path, other = tmp_path / "targets.txt", tmp_path / "other.txt"
    path.write_text("127.0.0.1\n")
    other.symlink_to(path)
    for arguments in (("-i", str(path)), ("-i", "-", "--exclude", str(path)), (TARGET, "--trust", str(path))):
        assert refused("scan", *arguments, "-o", str(other)) == f"tlsweep: {other}: the output would overwrite {path}"
    assert path.read_text() == "127.0.0.1\n"


def test_block_lists_that_are_none(tmp_path: Path) -> None:
    """A block list is read whole or not at all: a bad line is named with its number."""
    path = tmp_path / "block.txt"
    path.write_text("10.0.0.0/8\n# comment\nexample.test\n192.0.2.0/24\n")
    expected = f"tlsweep: {path}:3: 'example.test' is neither a CIDR nor an address"
    assert refused("scan", TARGET, "--exclude", str(path)) == expected
    missing = tmp_path / "missing.txt"
    assert refused("scan", TARGET, "--exclude", str(missing)) == f"tlsweep: {missing}: No such file or directory"
    assert refused("scan", TARGET, "--exclude", str(tmp_path)) == f"tlsweep: {tmp_path}: Is a directory"


def test_trust_that_is_none(tmp_path: Path) -> None:
    """Whom to trust is known before anything is scanned, and before the output is touched."""
    missing, empty, garbage = (tmp_path / name for name in ("missing.pem", "empty.pem", "garbage.pem"))
    empty.touch()
    garbage.write_bytes(b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    output = tmp_path / "out.jsonl"
    for path, why in (
        (missing, "No such file or directory"),
        (tmp_path, "Is a directory"),
        (empty, "there is no certificate in it (PEM)"),
        (garbage, "certificate 1 in it cannot be parsed"),
    ):
        assert refused("scan", TARGET, "-o", str(output), "--trust", str(path)) == f"tlsweep: {path}: {why}"
    assert not output.exists()


async def test_a_file_that_may_not_be_read(tmp_path: Path) -> None:
    """A file without permission is refused as such."""
    path = tmp_path / "secret.txt"
    path.write_text("127.0.0.1\n")
    path.chmod(0)
    shell = "true"
    if os.geteuid() == 0:
        if not shutil.which("setpriv"):
            pytest.skip("root may read everything, and there is no setpriv to change that")
        drop = "-dac_override,-dac_read_search"
        shell = f'set -- setpriv --bounding-set={drop} --inh-caps={drop} "$@"'
    done = await tlsweep("scan", "-i", str(path), shell=shell)
    assert (done.code, done.errors.strip()) == (2, f"tlsweep: {path}: permission denied")


async def test_a_closed_standard_output() -> None:
    """Without a standard output there must be a file."""
    done = await tlsweep("scan", TARGET, shell="exec >&-")
    assert (done.code, done.errors.strip()) == (2, "tlsweep: standard output is closed; name a file with --output")


async def test_a_closed_standard_input() -> None:
    """Without a standard input it cannot be read."""
    done = await tlsweep("scan", "-i", "-", shell="exec <&-")
    assert (done.code, done.errors.strip()) == (2, "tlsweep: standard input: bad file descriptor")


async def test_version_and_no_arguments() -> None:
    """The version is that of the package; without a command there is help."""
    done = await tlsweep("--version")
    assert (done.code, done.output.decode().strip()) == (0, f"tlsweep {__version__}")
    done = await tlsweep()
    assert done.code == 2
    assert "Usage: tlsweep" in done.output.decode() + done.errors


def test_help_names_every_option() -> None:
    """Every option is in the help with a text of its own, and so are its panels."""
    result = CliRunner().invoke(cli.app, ["scan", "--help"], env={"COLUMNS": "200", "NO_COLOR": "1"})
    assert result.exit_code == 0
    command = typer.main.get_command(cli.app).commands["scan"]  # type: ignore[attr-defined]
    for parameter in command.params:
        for name in (*parameter.opts, *parameter.secondary_opts):
            if parameter.param_type_name == "option":
                assert name in result.output
        assert parameter.help, parameter.name
    for panel in ("What to ask", "Safety and conduct", "Pace (0 is no limit)", "Patience"):
        assert panel in result.output
    assert "Exit status: 0 complete" in result.output


async def test_only_a_scan_imports_what_a_scan_needs() -> None:
    """Other commands start at once: TLS, DNS and the engine are not imported for them."""
    show = "import sys, atexit; from scanner.cli import main; atexit.register(lambda: print(*sys.modules)); main()"
    for command in ("--version", "services", "schema"):
        done = await trio.run_process([sys.executable, "-c", show, command], capture_stdout=True)
        modules = set(done.stdout.decode().splitlines()[-1].split())
        assert "scanner.cli" in modules
        assert not modules & {"OpenSSL", "cryptography", "dns", "trio", "httpcore", "structlog"}, command


def test_a_command_that_is_none() -> None:
    """What is near is named, whether it was imported or not."""
    assert "No such command 'scna'. Did you mean 'scan', 'schema'?" in refused("scna")


def test_services() -> None:
    """The table has every service, with its port and its groups."""
    result = CliRunner().invoke(cli.app, ["services"], env={"COLUMNS": "200"})
    assert result.exit_code == 0
    rows = {line.split()[1]: line for line in result.output.splitlines() if line.startswith("│")}
    assert set(rows) == set(SERVICES)
    assert "587" in rows["submission"]
    assert "mail" in rows["submission"]
    assert "to be named" in rows["tls"]


@pytest.mark.parametrize("command", ["services", "findings"])
def test_tables_at_80_columns(command: str) -> None:
    """Nothing that a script may look for is cut or broken, at 80 columns, and in a pipe, which has as many."""
    for environment in ({"COLUMNS": "80"}, {"COLUMNS": None}):
        result = CliRunner().invoke(cli.app, [command], env=environment)
        lines = result.output.splitlines()
        assert environment["COLUMNS"] is None or max(map(len, lines)) <= 80
        assert "…" not in result.output
        cells = [[cell.strip() for cell in line.split("│")[1:-1]] for line in lines]
        first = {row[0]: row for row in cells if row}
        if command == "services":
            assert [*first] == [*SERVICES]
            for service in SERVICES.values():
                assert first[service.name][1:4] == [service.protocol, service.mode, str(service.port or "to be named")]
        else:
            rows = [*FINDINGS.values(), *DOMAIN_FINDINGS.values()]
            assert {name: row[1] for name, row in first.items() if name} == {row.id: row.severity.value for row in rows}
            assert {row.reference for row in rows} <= {row[2] for row in cells if row}


def test_schema() -> None:
    """The schema is printed as it is, as JSON."""
    result = CliRunner().invoke(cli.app, ["schema"])
    assert result.exit_code == 0
    assert json.loads(result.stdout) == SCHEMA


def config_of(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> Config:
    """What a command line comes to."""
    seen: list[Config] = []

    def start(config: Config) -> ExitCode:
        seen.append(config)
        return ExitCode.COMPLETE

    monkeypatch.setattr("scanner.commands.scan.start", start)
    result = CliRunner().invoke(cli.app, ["scan", *arguments])
    assert result.exit_code == 0, result.output
    return seen[0]


def test_defaults_are_those_of_the_config(monkeypatch: pytest.MonkeyPatch) -> None:
    """The command line adds no defaults of its own; they are the polite ones."""
    config = config_of(monkeypatch, TARGET)
    assert config == Config(targets=(TARGET,), processes=None)  # in a process of our own, nobody starts others
    assert (config.limits.per_address, config.limits.per_address_rate, config.limits.per_network_rate) == (1, 1, 20)
    assert config.prefixes == Prefixes(24, 48)
    assert (config.allow, config.der, config.wanted.test_injection) == ((), False, False)
    assert not config.wanted.economical


def test_every_option_arrives(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Every option ends up in its place."""
    block = tmp_path / "block.txt"
    block.write_text("192.0.2.0/24\n2001:db8::1\n")
    config = config_of(
        monkeypatch,
        *("a.example", "b.example", "-i", "/dev/null", "--output", "out.jsonl", "--services", "https,imap"),
        *("--versions", "1.3,ssl2", "--der", "--allow", "127.0.0.1/8", "--allow", "::1", "--exclude", str(block)),
        *("--hello-name", "[192.0.2.9]", "--resolver", "[::1]:5353", "--resolver", "192.0.2.3", "--no-progress"),
        *("--endpoints", "1", "--connections", "2", "--rate", "3.5", "--per-address", "4", "--per-address-rate", "5"),
        *("--per-network-rate", "6.5", "--deferred", "7", "--network-prefixes", "20,56"),
        *("--timeout-connect", "6", "--timeout-greeting", "7", "--timeout-reply", "8", "--timeout-tls", "9"),
        *("--deadline", "10", "--trust", "ca.pem", "--test-injection", "--economical"),
        *("--certificates", "certificates.jsonl"),
        *("--trust-ad", "--dns-queries", "11", "--dns-rate", "12.5"),
    )
    assert config.wanted.economical
    assert (config.trust_ad, config.dns_limits) == (True, DnsLimits(11, 12.5))
    assert config.targets == ("a.example", "b.example")
    assert (config.inputs, config.output, config.der, config.progress) == (("/dev/null",), "out.jsonl", True, False)
    assert config.certificates == "certificates.jsonl"
    assert [service.name for service in config.services] == ["https", "imap"]
    assert config.wanted.versions == (Version.SSLV2, Version.TLS1_3)
    assert list(map(str, config.allow)) == ["127.0.0.0/8", "::1/128"]
    assert (config.exclude, list(map(str, config.block))) == ((str(block),), ["192.0.2.0/24", "2001:db8::1/128"])
    assert (config.hello_name, config.trust, config.wanted.test_injection) == ("[192.0.2.9]", "ca.pem", True)
    assert [(str(address), port) for address, port in config.resolvers] == [("::1", 5353), ("192.0.2.3", 53)]
    assert config.limits == Limits(1, 2, 3.5, 4, 5, 6.5, 7)
    assert config.prefixes == Prefixes(20, 56)
    timeouts = config.timeouts
    assert (timeouts.connect_s, timeouts.greeting_s, timeouts.reply_s, timeouts.tls_s, timeouts.deadline_s) == (
        *(6, 7, 8, 9),
        10,
    )


def test_how_inputs_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """Options that are about what the inputs say, and in which order networks are walked through."""
    assert config_of(monkeypatch, TARGET).rules == Rules()
    assert config_of(monkeypatch, TARGET).seed is None
    config = config_of(
        monkeypatch, TARGET, "--format", "tranco", "--mx", "--srv", "--ipv6-most", "9", "--seed", "7", "--input", "-"
    )
    assert config.rules == Rules(Format.TRANCO, mx=True, srv=True, ipv6_most=9)
    assert config.seed == 7


@pytest.mark.parametrize(
    ("options", "probes"),
    [
        ((), ()),
        (("--alpn",), ("alpn",)),
        (("--resumption",), ("resumption",)),
        (("--fallback-scsv",), ("fallback_scsv",)),
        (("--renegotiation",), ("renegotiation",)),
        (("--compression",), ("compression",)),
        (("--compression", "--alpn", "--resumption"), ("alpn", "resumption", "compression")),
    ],
)
def test_requested_questions(
    monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...], probes: tuple[str, ...]
) -> None:
    """They are asked in the order of the list, whatever the order of the options."""
    assert config_of(monkeypatch, TARGET, *options).wanted.probes == probes


@pytest.mark.parametrize("arguments", [["services"], ["schema"], ["scan", "--dry-run", "127.0.0.1"]])
def test_a_full_disk_behind_standard_output(arguments: list[str]) -> None:
    """It is said in one line, and by the exit code."""
    with Path("/dev/full").open("wb") as full:
        command = [TLSWEEP, *arguments]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 3
    assert done.stderr == "tlsweep: standard output cannot be written to: No space left on device\n"
