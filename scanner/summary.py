"""What a run has found so far, counted for people: the progress line and the table at its end."""

from collections import Counter
from collections.abc import Iterable
from typing import Any

from rich.table import Table

from scanner.conclusion import Status
from scanner.tls.names import Version

_STYLES = {"tls": "green", "no_tls": "red", "tls_failed": "red", "error": "bold red", "mismatch": "yellow"}


class Summary:
    """Counts of what the records say."""

    def __init__(self) -> None:
        self.statuses: Counter[str] = Counter()
        self.rejected: Counter[str] = Counter()
        self._by_service: Counter[tuple[str, str]] = Counter()
        self._versions: Counter[tuple[str, str, str]] = Counter()

    def note_endpoint(self, record: dict[str, Any]) -> None:
        """Count an endpoint's record."""
        service = record["service"]
        self.statuses[record["status"].value] += 1
        self._by_service[service, record["status"]] += 1
        for version, entry in (record["versions"] or {}).items():
            self._versions[service, version, entry["verdict"]] += 1

    def table(self) -> Table:
        """One row a service: its endpoints by status, and how many speak each version."""
        services = sorted({service for service, _ in self._by_service})
        statuses = [status for status in Status if self.statuses[status]]
        table = Table(title="What was found", caption="a version: yes / no / cannot tell", title_justify="left")
        table.add_column("service")
        for status in statuses:
            table.add_column(status, justify="right", style=_STYLES.get(status))
        versions = [version for version in Version if any(key[1] == version for key in self._versions)]
        for version in versions:
            table.add_column(version, justify="right")
        for service in services:
            counts = (str(self._by_service[service, status] or "") for status in statuses)
            table.add_row(service, *counts, *self._cells(service, versions))
        return table

    def _cells(self, service: str, versions: Iterable[Version]) -> list[str]:
        cells = []
        for version in versions:
            counts = [self._versions[service, version, verdict] for verdict in ("yes", "no", "unknown")]
            cells.append(" / ".join(map(str, counts)) if any(counts) else "")
        return cells
