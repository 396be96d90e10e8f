"""Which services are asked on which port: what the user selected, and what a target names itself."""

from targets.services import SERVICES, Service
from targets.target import TargetError

Asked = tuple[tuple[Service, int], ...]


class Selection:
    """The services of `--services`, and the rules for a target that leaves its service or its port open.

    Without a port, every selected service is asked on its default port; one that has none (`tls`) then only
    counts for targets that name a port. With a port and no service, in this order:

    1. the selected services whose default port it is;
    2. the selected service, if there is only one;
    3. `tls`, if it is selected;
    4. the services of the table whose default port it is.
    """

    def __init__(self, services: tuple[Service, ...]) -> None:
        self.services = services
        self._by_default: Asked = tuple((each, each.port) for each in services if each.port is not None)
        self._on_port: dict[int, Asked] = {}

    def asked(self, service: Service | None, port: int | None) -> Asked:
        """What to ask for a target with this service and port. Raises TargetError where nothing follows from them."""
        if service is not None:
            return _one(service, port)
        if port is not None:
            return self._asked_on(port)
        if not self._by_default:
            raise TargetError(f"no port is named, and {self._names()} has none by default: write HOST:PORT")
        return self._by_default

    def _asked_on(self, port: int) -> Asked:
        if (known := self._on_port.get(port)) is None:
            known = self._on_port[port] = tuple((service, port) for service in self._services_on(port))
        return known

    def _services_on(self, port: int) -> tuple[Service, ...]:
        if own := _with_default(self.services, port):
            return own
        if len(self.services) == 1:
            return self.services
        if SERVICES["tls"] in self.services:
            return (SERVICES["tls"],)
        if usual := _with_default(tuple(SERVICES.values()), port):
            return usual
        raise TargetError(f"which service is on port {port}? write tls://host:{port}, or name one with --services")

    def _names(self) -> str:
        return " and ".join(service.name for service in self.services)


def service_named(name: str) -> Service:
    """The service called so, in any case. Raises TargetError with those that there are."""
    try:
        return SERVICES[name.lower()]
    except KeyError:
        raise TargetError(f"no service is called {name[:40]!r}; there are: {', '.join(SERVICES)}") from None


def port_number(written: str) -> int:
    """A port from its digits. Raises TargetError."""
    if written.isascii() and written.isdigit() and len(written) <= 5 and 1 <= int(written) <= 65535:
        return int(written)
    if not written:
        raise TargetError("the port after ':' is missing")
    raise TargetError(f"{written[:40]!r} is not a port; ports are numbers from 1 to 65535")


def _one(service: Service, port: int | None) -> Asked:
    port = service.port if port is None else port
    if port is None:
        raise TargetError(f"{service.name} has no default port: write {service.name}://HOST:PORT")
    return ((service, port),)


def _with_default(services: tuple[Service, ...], port: int) -> tuple[Service, ...]:
    return tuple(service for service in services if service.port == port)
