"""A mail domain → its endpoints, each new once."""

from collections.abc import Mapping, Sequence
from ipaddress import ip_network

from targets.domain_expand import DomainExpander
from targets.domain_targets import DomainTargets
from targets.exclude import Exclusions
from targets.seen import Seen
from targets.services import SERVICES
from targets.target import MailDomain, Origin, Reason, Rejection
from tests.peers.answers import Answers, Said

TABLE: Mapping[str, Said] = {
    "example.org MX": ["10 mx1.test.", "20 mx2.test."],
    "other.test MX": ["5 mx2.test.", "10 192.0.2.1."],
    "192.0.2.1 A": ["1.1.1.9"],
    "mx1.test A": ["1.1.1.1"],
    "mx1.test AAAA": ["2a00::1"],
    "mx2.test A": ["1.1.1.1", "10.0.0.1"],
    "inside.test MX": ["10 mx.inside.test."],
    "mx.inside.test A": ["10.0.0.1", "10.0.0.2"],
    "_imaps._tcp.example.org SRV": ["0 1 993 mx1.test."],
    "_xmpp-client._tcp.example.org SRV": ["0 1 5222 mx1.test."],
    "_submission._tcp.example.org SRV": ["0 1 0 mx1.test."],
}


def expander(seen: Seen | None = None, block: Sequence[str] = ()) -> DomainExpander:
    return DomainExpander(Exclusions(block=map(ip_network, block)), seen or Seen(), Answers(TABLE))


async def expanded(
    own: DomainExpander, name: str = "example.org", *, port: int = 25, mx: bool = True, srv: bool = False
) -> tuple[list[Rejection], DomainTargets]:
    """What a domain stands for."""
    return own.expand(await own.ask(MailDomain(Origin(f"mx:{name}", 3), name, port, mx, srv)))


def ids(targets: DomainTargets) -> list[list[str]]:
    """The endpoints of each MX host."""
    return [[endpoint.id for endpoint in endpoints] for endpoints in targets.of_mx]


async def test_every_address_of_every_host() -> None:
    """Each is SMTP on the port of the domain, under the name of the MX host; two names with one address are two."""
    rejections, targets = await expanded(expander(), port=2525)
    assert ids(targets) == [
        ["smtp://mx1.test:2525@1.1.1.1", "smtp://mx1.test:2525@[2a00::1]"],
        ["smtp://mx2.test:2525@1.1.1.1"],
    ]
    assert list(targets.fresh) == targets.endpoints()
    assert [(each.reason, each.address, each.origin.line) for each in rejections] == [(Reason.BLOCKED, "10.0.0.1", 3)]
    assert targets.blocked == 1


async def test_what_is_shared_is_new_once() -> None:
    """The second domain refers to the endpoints of the first, and has nothing new to be scanned."""
    own = expander()
    _, first = await expanded(own)
    rejections, second = await expanded(own, "other.test")
    assert len(first.fresh) == 3
    assert (ids(second), second.fresh) == ([["smtp://mx2.test:25@1.1.1.1"], []], ())
    assert [each.address for each in rejections] == ["10.0.0.1"]


async def test_what_came_as_a_target_of_its_own() -> None:
    """An endpoint that a line named is not new."""
    seen = Seen()
    seen.add_named("mx1.test", "1.1.1.1", 25, "smtp")
    _, targets = await expanded(expander(seen))
    assert [endpoint.address for endpoint in targets.fresh] == ["2a00::1", "1.1.1.1"]
    assert len(targets.endpoints()) == 3


async def test_an_address_as_a_name_is_not_connected_to() -> None:
    """Not even where somebody has an address for that name."""
    _, targets = await expanded(expander(), "other.test")
    assert [mx.host.name for mx in targets.answer.hosts] == ["mx2.test", "192.0.2.1"]
    assert ids(targets)[1] == []


async def test_a_domain_that_is_blocked() -> None:
    """Each address is told once, and there is nothing to be scanned."""
    rejections, targets = await expanded(expander(), "inside.test")
    assert [each.address for each in rejections] == ["10.0.0.1", "10.0.0.2"]
    assert (ids(targets), targets.blocked) == ([[]], 2)


async def test_srv_targets() -> None:
    """Mail programs know a server by its name; in XMPP a certificate names the domain (RFC 6120 §13.7.2)."""
    _, targets = await expanded(expander(), mx=False, srv=True)
    assert targets.of_srv is not None
    found = {service.name: [each.id for one in ends for each in one] for service, ends in targets.of_srv.items()}
    assert {name: ends for name, ends in found.items() if ends} == {
        "imaps": ["imaps://mx1.test:993@1.1.1.1", "imaps://mx1.test:993@[2a00::1]"],
        "xmpp-client": ["xmpp-client://example.org:5222@1.1.1.1", "xmpp-client://example.org:5222@[2a00::1]"],
    }
    assert len(targets.of_srv[SERVICES["submission"]]) == 1


async def test_each_domain_once() -> None:
    """The same question of the same domain is a duplicate; another port, or other records, is another question."""
    own = expander()
    origin = Origin("x", 7)
    assert own.repeated(MailDomain(origin, "example.org")) is None
    again = own.repeated(MailDomain(origin, "example.org"))
    assert again == Rejection(origin, Reason.DUPLICATE, "the mail domain example.org is already in this run")
    assert own.repeated(MailDomain(origin, "example.org", 2525)) is None
    assert own.repeated(MailDomain(origin, "example.org", srv=True)) is None
    assert own.repeated(MailDomain(origin, "example.net")) is None
