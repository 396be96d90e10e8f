"""What a run has found so far, counted for people: the progress line and the tables at its end."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from rich.console import Group
from rich.table import Table

from scanner.conclusion import Status
from scanner.domain_findings import DOMAIN_FINDINGS
from scanner.domain_status import DomainStatus
from scanner.findings import FINDINGS, Finding
from scanner.tls.names import Version
from targets.answer import DnsStatus

STYLES = {"tls": "green", "no_tls": "red", "tls_failed": "red", "error": "bold red", "mismatch": "yellow"}
_VERDICTS = {"yes": "yes", "no": "no", "unknown": "cannot tell"}


class Summary:
    """Counts of what the records say."""

    def __init__(self) -> None:
        self.statuses: Counter[str] = Counter()
        self.rejected: Counter[str] = Counter()
        self.domains: Counter[str] = Counter()  # by status
        self._by_service: Counter[tuple[str, str]] = Counter()
        self._versions: Counter[tuple[str, str]] = Counter()
        self._findings: Counter[str] = Counter()
        self._domain_findings: Counter[str] = Counter()

    def note_endpoint(self, record: dict[str, Any]) -> None:
        """Count an endpoint's record."""
        self.statuses[str(record["status"])] += 1
        self._by_service[record["service"], record["status"]] += 1
        for version, entry in (record["versions"] or {}).items():
            self._versions[version, entry["verdict"]] += 1
        for finding in record["findings"] or ():
            self._findings[finding["id"]] += 1

    def note_domain(self, record: dict[str, Any]) -> None:
        """Count a mail domain's record."""
        self.domains[record["status"].value] += 1
        self._domain_findings.update(finding["id"] for finding in record["findings"] or ())

    def tables(self) -> Group:
        """Endpoints by service and status, by version, and by finding; then domains. What nobody has is left out."""
        tables = (
            *(self._of_services(), self._of_versions(), self._of_findings()),
            *(self._of_domains(), self._of_domain_findings()),
        )
        return Group(*filter(lambda table: table.row_count, tables))

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
        return _findings_table("Findings", "endpoints", FINDINGS, self._findings)

    def _of_domains(self) -> Table:
        table = _table("Mail domains", "status", ("domains",))
        for status in (*DomainStatus, *DnsStatus):
            if count := self.domains[status]:
                table.add_row(status, str(count))
        return table

    def _of_domain_findings(self) -> Table:
        return _findings_table("Findings of mail domains", "domains", DOMAIN_FINDINGS, self._domain_findings)


def _table(title: str, first: str, columns: Iterable[str]) -> Table:
    table = Table(title=title, title_justify="left")
    table.add_column(first, no_wrap=True)
    for column in columns:
        table.add_column(column, justify="right", overflow="fold", style=STYLES.get(column))
    return table


def _findings_table(title: str, counted: str, findings: Mapping[str, Finding], counts: Mapping[str, int]) -> Table:
    table = _table(title, "finding", ("severity", counted))
    for finding in findings.values():
        if count := counts[finding.id]:
            table.add_row(finding.id, finding.severity, str(count))
    return table


def _count(number: int) -> str:
    return str(number or "")
