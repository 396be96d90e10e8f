"""The same real servers once more, by the least connections: the verdicts must be those of the usual way."""

import csv
import json
import subprocess
from collections.abc import Sequence
from pathlib import Path

from tests.live.scan import OPTIONS, SCAN_WITHIN_S, TLSWEEP
from tests.live.servers import VERSIONS, Listener, Truth

SAVED = 3  # connections, where TLS 1.2 and 1.3 are spoken and nothing else


def scan_economically(listeners: Sequence[Listener], directory: Path) -> dict[str, Truth]:
    """The record of each by its id, of one command for all of them."""
    targets = directory / "targets.csv"
    with targets.open("w", newline="") as file:
        lines = csv.writer(file)
        lines.writerow(["host", "address", "port", "service"])
        lines.writerows((each.host or "", each.address, each.port, each.service) for each in listeners)
    done = subprocess.run(
        [TLSWEEP, "scan", "--economical", "--input", targets, *OPTIONS],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=True,
        timeout=SCAN_WITHIN_S,
    )
    records = [json.loads(line) for line in done.stdout.splitlines()]
    return {record["id"]: record for record in records if record["type"] == "endpoint"}


def verdicts(record: Truth) -> dict[str, str]:
    """By version."""
    return {version: entry["verdict"] for version, entry in (record["versions"] or {}).items()}


def is_cut_short(record: Truth) -> bool:
    """Did the server turn us away before all was asked? Some do after so many connections, and then it is chance."""
    return any(entry["evidence"] == "not_reached" for entry in (record["versions"] or {}).values())


def agree(usual: Truth, economical: Truth) -> None:
    """The same verdicts, status and leaf certificate, for no more connections; and for fewer where that is the plan."""
    if is_cut_short(usual) or is_cut_short(economical):
        both = zip(verdicts(usual).values(), verdicts(economical).values(), strict=True)
        assert all("unknown" in pair or len(set(pair)) == 1 for pair in both)
        return
    assert verdicts(economical) == verdicts(usual), (economical["versions"], usual["versions"])
    for part in ("status", "flags"):
        assert economical[part] == usual[part]
    leaf, usual_leaf = (each["certificate"] and each["certificate"]["sha256"] for each in (economical, usual))
    assert leaf == usual_leaf
    assert economical["connections"] <= usual["connections"]
    refused = [(usual["versions"] or {}).get(version, {}) for version in ("SSLv3", "TLSv1.0", "TLSv1.1")]
    modern = list(verdicts(usual).values())[-2:] == ["yes", "yes"]
    again = usual["connections"] > len(VERSIONS) + 1  # something took more than one hello for each, and a handshake
    if modern and not again and all(entry.get("alert") == "protocol_version" for entry in refused[1:]):
        assert usual["connections"] - economical["connections"] == SAVED
