"""`make demo`: a fleet of real TLS and STARTTLS servers on loopback addresses, scanned by the ordinary command.

The servers are good and bad ones: modern, outdated, without TLS, busy, refusing, in the wrong mode, and absent.
"""

import json
import ssl
import sys
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import trio
import trustme
from rich import box
from rich.console import Console
from rich.table import Table

from tests.peers.honest import Honest, context, serving

ROOT = Path(__file__).parents[1]
OUTPUT = ROOT / "demo.jsonl"
TLSWEEP = Path(sys.executable).with_name("tlsweep")

Row = tuple[str, str, Honest]  # host, service, server


def main() -> None:
    """Serve, scan, show."""
    code = trio.run(_demo)
    Console().print(_table(_endpoints()))
    print(f"The JSON lines are in {OUTPUT.relative_to(Path.cwd()) if OUTPUT.is_relative_to(Path.cwd()) else OUTPUT}")
    sys.exit(code)


async def _demo() -> int:
    with tempfile.TemporaryDirectory(prefix="tlsweep-demo-") as directory:
        rows = list(_fleet(Path(directory)))
        async with serving([server for _, _, server in rows]) as ports:
            targets = Path(directory) / "targets.csv"
            lines = [
                f"{host},{each.address},{port},{service}"
                for (host, service, each), port in zip(rows, ports, strict=True)
            ]
            absent = "gone.example,127.71.0.9,9,https"
            targets.write_text("\n".join(["host,address,port,service", *lines, absent]) + "\n")
            unlimited = ["--rate", "0", "--per-address", "0", "--per-address-rate", "0"]
            unlimited += ["--per-network-rate", "0", "--network-prefixes", "32,128", "--retries", "0"]
            trust = ["--trust", str(Path(directory) / "authority.pem")]
            files = ["--input", str(targets), "--output", str(OUTPUT)]
            command = ["scan", *files, "--allow", "127.0.0.0/8", *trust, *unlimited]
            print(f"$ tlsweep {' '.join(command)}", flush=True)
            return (await trio.run_process([str(TLSWEEP), *command], check=False)).returncode


def _fleet(directory: Path) -> Iterator[Row]:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(directory / "authority.pem")
    good = authority.issue_cert("modern.example", "newest.example", "broken.example", "confused.example")
    expired = authority.issue_cert("old.example", not_after=datetime.now(UTC) - timedelta(days=3))
    modern = _context(good, directory / "modern.pem", ssl.TLSVersion.TLSv1_2)
    old = _context(expired, directory / "old.pem", ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_2)
    newest = _context(good, directory / "newest.pem", ssl.TLSVersion.TLSv1_3)
    for service, protocol, implicit in (
        ("smtp", "smtp", False),
        ("submission", "smtp", False),
        ("submissions", "smtp", True),
        ("imap", "imap", False),
        ("imaps", "imap", True),
        ("pop3", "pop3", False),
        ("pop3s", "pop3", True),
        ("https", "http", True),
    ):
        yield "modern.example", service, Honest(protocol, "127.71.0.1", modern, implicit)
        yield "old.example", service, Honest(protocol, "127.71.0.2", old, implicit, auth_before_tls=True)
    yield "newest.example", "https", Honest("http", "127.71.0.3", newest, implicit=True)
    for service in ("smtp", "imap", "pop3"):
        yield "plain.example", service, Honest(service, "127.71.0.4", auth_before_tls=True)
    busy = "421 4.7.0 mail.example Error: too many connections from 127.0.0.1"
    yield "busy.example", "smtp", Honest("smtp", "127.71.0.5", greeting=busy)
    refusal = "454 4.7.0 TLS not available due to local problem"
    yield "broken.example", "smtp", Honest("smtp", "127.71.0.6", modern, refusal=refusal)
    yield "confused.example", "submissions", Honest("smtp", "127.71.0.7", modern)  # plaintext where TLS is due


def _context(
    leaf: trustme.LeafCert,
    path: Path,
    lowest: ssl.TLSVersion,
    highest: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3,
) -> ssl.SSLContext:
    return context(leaf.private_key_and_cert_chain_pem.bytes(), str(path), lowest, highest)


def _endpoints() -> list[dict[str, Any]]:
    records = [json.loads(line) for line in OUTPUT.read_bytes().splitlines()]
    return sorted(
        (each for each in records if each["type"] == "endpoint"), key=lambda each: (each["host"], each["line"])
    )


def _table(endpoints: list[dict[str, Any]]) -> Table:
    """One row an endpoint, narrow enough for 80 columns."""
    table = Table(title="The fleet, as it was seen", title_justify="left", box=box.SIMPLE, padding=(0, 1, 0, 0))
    for column in ("host", "service", "result", "versions", "clear login", "cert"):
        table.add_column(column, no_wrap=True, min_width=7)
    for record in endpoints:
        starttls = record["starttls"] or {}
        before = starttls.get("before") or {}
        spoken = [name for name, entry in (record["versions"] or {}).items() if entry["verdict"] == "yes"]
        table.add_row(
            record["host"].removesuffix(".example"),
            record["service"],
            _result(record),
            " ".join(spoken).replace("TLSv", ""),
            " ".join(before.get("auth", [])),
            _certificate(record["certificate"]),
        )
    return table


def _result(record: dict[str, Any]) -> str:
    """`tls`, or why not; the colour is that of the status."""
    if record["status"] == "tls":
        return "[green]tls[/green]"
    error = (record["tls"] or {}).get("error") or {}
    mismatch = f"speaks {error['hint']}" if error.get("hint") else None
    reason = (record["starttls"] or {}).get("verdict") or mismatch or error.get("cause")
    return f"[{'red' if record['status'] == 'no_tls' else 'yellow'}]{reason}[/]"


def _certificate(certificate: dict[str, Any] | None) -> str:
    if certificate is None:
        return ""
    failed = " ".join(result.removeprefix("certificate-") for result in certificate["results"])
    return f"[red]{failed}[/red]" if failed else "valid"


if __name__ == "__main__":
    main()
