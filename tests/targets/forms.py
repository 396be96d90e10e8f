"""Content of any form → what it names."""

from pathlib import Path

from targets.parse import Named
from targets.reader import Reader
from targets.rules import Rules
from targets.services import services_named
from targets.target import Host, MailDomain, Network, Rejection

SAMPLES = Path(__file__).parent / "samples"


def named(content: str | bytes, rules: Rules | None = None, services: str = "mail,tls") -> list[Named]:
    """An answer for each line."""
    reader = Reader(services_named(services), rules)
    return [*reader.feed(content.encode() if isinstance(content, str) else content), *reader.end()]


def told(answers: list[Named]) -> list[str | None]:
    """Each answer in a word or two."""
    return [_told(each) for each in answers]


def _told(answer: Named) -> str | None:
    match answer:
        case None:
            return None
        case Rejection(detail=detail):
            return detail
        case MailDomain(name=name, port=port):
            return f"mx:{name}:{port}" + " mx" * answer.mx + " srv" * answer.srv
        case Host(name=name, address=address):
            return f"{name}@{address} {_asked(answer)}"
        case Network(network=network):
            return f"{network} {_asked(answer)}"


def _asked(answer: Host | Network) -> str:
    return " ".join(f"{service.name}:{port}" for service, port in answer.services)
