"""What a run has found so far, counted for people: the progress line and the tables at its end."""

from collections import Counter
from collections.abc import Iterable
from typing import Any

from rich.console import Group
from rich.table import Table

from scanner.conclusion import Status
from scanner.findings import FINDINGS
from scanner.tls.names import Version

_STYLES = {"tls": "green", "no_tls": "red", "tls_failed": "red", "error": "bold red", "mismatch": "yellow"}
_VERDICTS = {"yes": "yes", "no": "no", "unknown": "cannot tell"}


class Summary:
    """Counts of what the records say."""

    def __init__(self) -> None:
        self.statuses: Counter[str] = Counter()
        self.rejected: Counter[str] = Counter()
        self._by_service: Counter[tuple[str, str]] = Counter()
        self._versions: Counter[tuple[str, str]] = Counter()
        self._findings: Counter[str] = Counter()

    def note_endpoint(self, record: dict[str, Any]) -> None:
        """Count an endpoint's record."""
        self.statuses[str(record["status"])] += 1
        self._by_service[record["service"], record["status"]] += 1
        for version, entry in (record["versions"] or {}).items():
            self._versions[version, entry["verdict"]] += 1
        for finding in record["findings"] or ():
            self._findings[finding["id"]] += 1

    def tables(self) -> Group:
        """Endpoints by service and status, by version, and by finding; what nobody has is left out."""
        return Group(
            *filter(lambda table: table.row_count, (self._of_services(), self._of_versions(), self._of_findings()))
        )

    def _of_services(self) -> Table:
        statuses = [status for status in Status if self.statuses[status]]
        table = _table("Endpoints", "service", statuses)
        for service in sorted({service for service, _ in self._by_service}):
            table.add_row(service, *(_count(self._by_service[service, status]) for status in statuses))
        return table

    def _of_versions(self) -> Table:
        table = _table("Versions", "version", _VERDICTS.values())
        for version in Version:
            counts = [self._versions[version, verdict] for verdict in _VERDICTS]
            if any(counts):
                table.add_row(version, *map(_count, counts))
        return table

    def _of_findings(self) -> Table:
        table = _table("Findings", "finding", ("severity", "endpoints"))
        for finding in FINDINGS.values():
            if count := self._findings[finding.id]:
                table.add_row(finding.id, finding.severity, str(count))
        return table


def _table(title: str, first: str, columns: Iterable[str]) -> Table:
    table = Table(title=title, title_justify="left")
    table.add_column(first, no_wrap=True)
    for column in columns:
        table.add_column(column, justify="right", overflow="fold", style=_STYLES.get(column))
    return table


def _count(number: int) -> str:
    return str(number or "")
