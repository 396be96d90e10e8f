"""`tlsweep findings`: the table of findings, for people."""

from rich.console import Console
from rich.table import Table

from scanner.domain_findings import DOMAIN_FINDINGS
from scanner.findings import FINDINGS


def findings() -> None:
    """Print the table of findings: how bad each is, what it means and what to do."""
    table = Table(show_lines=True)
    table.add_column("finding", no_wrap=True)
    table.add_column("severity", no_wrap=True)
    table.add_column("what it means, and what to do")
    for row in (*FINDINGS.values(), *DOMAIN_FINDINGS.values()):
        table.add_row(row.id, row.severity, f"{row.meaning} [b]{row.remedy}[/b]\n{row.reference}")
    Console().print(table)
