"""`tlsweep services`: the table of services, for people."""

from rich.console import Console
from rich.table import Table

from targets.services import GROUPS, SERVICES


def services() -> None:
    """Print the table of services: what is spoken, how TLS begins, and on which port."""
    table = Table()
    for column in ("service", "protocol", "TLS begins", "port", "in groups"):
        table.add_column(column)
    for service in SERVICES.values():
        groups = ", ".join(name for name, members in GROUPS.items() if service.name in members)
        table.add_row(service.name, service.protocol, service.mode, str(service.port or "to be named"), groups)
    Console().print(table)
