"""A mail domain → what the DNS says of it."""

from collections import Counter
from collections.abc import Mapping

import pytest
import trio
import trio.testing
from dns.rdatatype import RdataType

from targets.answer import DnsAnswer, Dnssec, DnsStatus
from targets.mail_answer import MAX_ADDRESSES, MAX_MX, MAX_SRV, MAX_TLSA, MAX_TLSA_BYTES, DomainAnswer, MailHost, Oddity
from targets.mail_domain import HOSTS_AT_ONCE, HOSTS_S, ask_domain, ask_host
from targets.resolver import NoNameServersError, Resolver
from targets.services import SERVICES
from targets.target import MailDomain, Origin
from tests.peers.answers import Answers, Said, answer

KEY = "3 1 1 " + "ab" * 32
SECURE, INSECURE, BOGUS, INDETERMINATE = Dnssec


async def asked(
    table: Mapping[str, Said],
    *,
    dnssec: Dnssec = INDETERMINATE,
    mx: bool = True,
    srv: bool = False,
    port: int = 25,
    with_policies: bool = True,
) -> tuple[DomainAnswer, Answers]:
    """What this DNS says of example.org."""
    resolver = Answers(table, dnssec=dnssec)
    domain = MailDomain(Origin("mx:example.org", 1), "example.org", port, mx, srv)
    return await ask_domain(resolver, domain, with_policies=with_policies), resolver


def hosts_of(found: DomainAnswer) -> list[tuple[int, str, DnsStatus, list[str]]]:
    """Its MX hosts in short."""
    return [(mx.preference, mx.host.name, mx.host.status, list(map(str, mx.host.addresses))) for mx in found.hosts]


async def test_mx_hosts_with_all_addresses() -> None:
    """Every MX host has its addresses of both families, IPv4 first."""
    found, _ = await asked(
        {
            "example.org MX": ["20 b.test.", "10 a.test."],
            "a.test A": ["1.1.1.2", "1.1.1.1"],
            "a.test AAAA": ["2a00::1"],
            "b.test A": ["1.1.1.3"],
        }
    )
    assert hosts_of(found) == [
        (10, "a.test", DnsStatus.OK, ["1.1.1.1", "1.1.1.2", "2a00::1"]),
        (20, "b.test", DnsStatus.OK, ["1.1.1.3"]),
    ]
    assert (found.is_final, found.is_implicit, found.is_null, found.oddities) == (True, False, False, frozenset())


@pytest.mark.parametrize(
    ("table", "hosts"),
    [
        ({"example.org A": ["1.1.1.1"]}, [(0, "example.org", DnsStatus.OK, ["1.1.1.1"])]),
        ({"example.org TXT": ["x"]}, []),
        ({"example.org MX": DnsStatus.NXDOMAIN, "example.org A": ["1.1.1.1"]}, []),
        ({"example.org MX": DnsStatus.SERVFAIL, "example.org A": ["1.1.1.1"]}, []),
        ({"example.org A": DnsStatus.SERVFAIL}, [(0, "example.org", DnsStatus.SERVFAIL, [])]),
        ({"example.org MX": ["0 ."], "example.org A": ["1.1.1.1"]}, []),
    ],
)
async def test_the_implicit_mx(table: Mapping[str, Said], hosts: list[object]) -> None:
    """A domain without MX records is its own MX host if it has addresses (RFC 5321 §5.1), and in no other case."""
    found, _ = await asked(table)
    assert hosts_of(found) == hosts
    assert found.is_implicit == bool(hosts)
    assert found.is_null == ("example.org MX" in table and table["example.org MX"] == ["0 ."])


async def test_nobody_is_asked_about_a_name_that_does_not_exist() -> None:
    """NXDOMAIN is of the whole name and of all below it (RFC 8020): one question is enough."""
    found, resolver = await asked({}, srv=True)
    assert (found.mx and found.mx.status, found.hosts, found.is_final) == (DnsStatus.NXDOMAIN, (), True)
    assert found.mta_sts is found.tls_rpt is found.mx
    assert found.srv is not None
    assert {each.answer.status for each in found.srv.values()} == {DnsStatus.NXDOMAIN}
    assert resolver.asked.total() == 1


async def test_odd_mx_hosts() -> None:
    """An alias is followed; an address as a name is looked up as the name that it is; each is flagged."""
    found, resolver = await asked(
        {
            "example.org MX": ["0 .", "10 alias.test.", "20 192.0.2.1.", "30 gone.test."],
            "alias.test A": answer("A", "1.1.1.1", canonical="real.test"),
            "alias.test AAAA": answer("AAAA", canonical="real.test"),
        }
    )
    assert [mx.host.oddities for mx in found.hosts] == [
        {Oddity.IS_ALIAS},
        {Oddity.IS_ADDRESS, Oddity.UNRESOLVED},
        {Oddity.UNRESOLVED},
    ]
    assert found.oddities == {Oddity.NULL_WITH_OTHERS}
    assert [mx.host.can_be_asked for mx in found.hosts] == [True, False, True]
    assert resolver.asked["192.0.2.1 A"] == 1


async def test_a_host_with_too_many_addresses() -> None:
    """What one name may have us connect to is bounded."""
    many = [f"1.1.{number // 250}.{number % 250}" for number in range(MAX_ADDRESSES + 9)]
    found, _ = await asked({"example.org MX": ["10 a.test."], "a.test A": many})
    assert [len(mx.host.addresses) for mx in found.hosts] == [MAX_ADDRESSES]
    assert found.hosts[0].host.oddities == {Oddity.TOO_MANY_ADDRESSES}


async def test_side_by_side_within_bounds() -> None:
    """Of sixty MX hosts, a few are asked about at a time, two questions each."""
    table: dict[str, Said] = {"example.org MX": [f"10 mx{number}.test." for number in range(60)]}
    found, resolver = await asked(table | {f"mx{number}.test A": ["1.1.1.1"] for number in range(60)})
    assert len(found.hosts) == 60
    assert HOSTS_AT_ONCE <= resolver.most_at_once <= 2 * HOSTS_AT_ONCE + 2


# --- TLSA -------------------------------------------------------------------------------------------------------------

ALIAS = {"A": answer("A", "1.1.1.1", dnssec=SECURE, canonical="real.test"), "AAAA": answer("AAAA", dnssec=SECURE)}


async def tlsa_of(table: Mapping[str, Said], dnssec: Dnssec = SECURE, port: int = 25) -> MailHost:
    """The one MX host of a domain."""
    found, _ = await asked({"example.org MX": ["10 mx.test."], **table}, dnssec=dnssec, port=port)
    return found.hosts[0].host


@pytest.mark.parametrize("port", [25, 2525])
async def test_tlsa_records(port: int) -> None:
    """They are looked up for the port that is asked, and are as secure as their answer."""
    host = await tlsa_of({"mx.test A": ["1.1.1.1"], f"_{port}._tcp.mx.test TLSA": [KEY]}, port=port)
    assert host.tlsa is not None
    assert [each.to_text() for each in host.tlsa] == [KEY]
    assert (host.tlsa_base, host.dnssec, host.is_final) == ("mx.test", SECURE, True)


@pytest.mark.parametrize(
    ("dnssec", "is_asked"), [(SECURE, True), (INDETERMINATE, True), (INSECURE, False), (BOGUS, False)]
)
async def test_where_tlsa_records_are_looked_up(dnssec: Dnssec, is_asked: bool) -> None:
    """Not behind addresses that are known to be insecure (RFC 7672 §2.2.2)."""
    _, resolver = await asked({"example.org MX": ["10 mx.test."], "mx.test A": ["1.1.1.1"]}, dnssec=dnssec)
    assert ("_25._tcp.mx.test TLSA" in resolver.asked) == is_asked


@pytest.mark.parametrize(
    ("table", "base", "count"),
    [
        ({"_25._tcp.real.test TLSA": [KEY], "_25._tcp.mx.test TLSA": [KEY, KEY[:-2] + "00"]}, "real.test", 1),
        ({"_25._tcp.mx.test TLSA": [KEY]}, "mx.test", 1),
        ({"_25._tcp.real.test TLSA": answer("TLSA", KEY, dnssec=INSECURE)}, "mx.test", 0),
    ],
)
async def test_tlsa_records_of_an_alias(table: Mapping[str, Said], base: str, count: int) -> None:
    """Those at the end of the chain of aliases come first, and then those of the name itself (RFC 7672 §2.2.2)."""
    host = await tlsa_of({f"mx.test {kind}": said for kind, said in ALIAS.items()} | dict(table))
    assert (host.tlsa_base, len(host.tlsa or ())) == (base, count)


@pytest.mark.parametrize(
    ("status", "dnssec"),
    [(DnsStatus.SERVFAIL, INDETERMINATE), (DnsStatus.TIMEOUT, INDETERMINATE), (DnsStatus.BOGUS, BOGUS)],
)
async def test_tlsa_records_that_cannot_be_had(status: DnsStatus, dnssec: Dnssec) -> None:
    """No answer is not "none": they stay unknown, and the question is not settled."""
    host = await tlsa_of({"mx.test A": ["1.1.1.1"], "_25._tcp.mx.test TLSA": status})
    assert (host.tlsa, host.dnssec, host.is_final) == (None, dnssec, False)


async def test_without_policies() -> None:
    """Then neither TLSA nor TXT records are asked for."""
    found, resolver = await asked(
        {"example.org MX": ["10 mx.test."], "mx.test A": ["1.1.1.1"]}, dnssec=SECURE, with_policies=False
    )
    assert set(resolver.asked) == {"example.org MX", "mx.test A", "mx.test AAAA"}
    assert (found.mta_sts, found.tls_rpt, found.hosts[0].host.tlsa) == (None, None, None)


# --- SRV --------------------------------------------------------------------------------------------------------------


async def test_srv_records() -> None:
    """Each service has its targets with their addresses; by themselves they need no MX."""
    found, resolver = await asked(
        {
            "_imaps._tcp.example.org SRV": ["20 1 993 b.test.", "10 1 1993 a.test."],
            "_pop3s._tcp.example.org SRV": ["0 0 0 ."],
            "_xmpp-client._tcp.example.org SRV": ["5 0 5222 gone.test."],
            "_imap._tcp.example.org SRV": DnsStatus.SERVFAIL,
            "a.test A": ["1.1.1.1"],
            "b.test A": answer("A", "1.1.1.2", canonical="real.test"),
        },
        mx=False,
        srv=True,
    )
    assert found.srv is not None
    told = {
        service.name: None
        if each.targets is None
        else [(target.host.name, target.port, set(target.host.oddities)) for target in each.targets]
        for service, each in found.srv.items()
    }
    assert told == {
        "imaps": [("a.test", 1993, set()), ("b.test", 993, {Oddity.SRV_IS_ALIAS})],
        "imap": [],
        "pop3s": None,
        "pop3": [],
        "submission": [],
        "submissions": [],
        "xmpp-client": [("gone.test", 5222, {Oddity.SRV_UNRESOLVED})],
        "xmpp-server": [],
    }
    assert (found.mx, found.mta_sts, found.hosts, found.is_final) == (None, None, (), False)
    assert found.srv[SERVICES["imap"]].answer.status is DnsStatus.SERVFAIL
    assert not [question for question in resolver.asked if question.endswith((" MX", " TXT", " TLSA"))]


@pytest.mark.parametrize("mx", [True, False])
async def test_nobody_to_ask(mx: bool) -> None:
    """Without a name server it says so, by itself and not in a group of errors."""
    domain = MailDomain(Origin("mx:example.org"), "example.org", mx=mx, srv=True)
    with pytest.raises(NoNameServersError, match="--resolver"):
        await ask_domain(Resolver(resolv_conf="/nonexistent"), domain, with_policies=True)


@pytest.mark.parametrize(
    ("question", "is_final"),
    [
        ("example.org MX", False),
        ("mx.test A", False),
        ("mx.test AAAA", False),
        ("_mta-sts.example.org TXT", False),
        ("_smtp._tls.example.org TXT", False),
        ("_25._tcp.mx.test TLSA", False),
        ("other.test A", True),
    ],
)
async def test_what_is_not_settled(question: str, is_final: bool) -> None:
    """One answer that may only be of the moment is enough, whichever it is."""
    table: dict[str, Said] = {"example.org MX": ["10 mx.test."], "mx.test A": ["1.1.1.1"], "mx.test AAAA": ["2a00::1"]}
    found, _ = await asked(table | {question: DnsStatus.TIMEOUT})
    assert found.is_final == is_final


async def test_what_is_not_kept_of_answers() -> None:
    """MX and SRV records are gone when their hosts are known: 1,000 long names take megabytes, of each domain."""
    table = {"example.org MX": ["10 a.test."], "_imaps._tcp.example.org SRV": ["0 0 993 a.test."]}
    found, _ = await asked({**table, "a.test A": ["1.1.1.1"]}, srv=True)
    assert found.mx is not None
    assert (found.mx.status, found.mx.records) == (DnsStatus.OK, ())
    (host,) = [mx.host for mx in found.hosts]
    assert host.name == "a.test"
    imaps = (found.srv or {})[SERVICES["imaps"]]
    assert (imaps.answer.status, imaps.answer.records) == (DnsStatus.OK, ())
    assert [target.host.name for target in imaps.targets or ()] == ["a.test"]


@pytest.mark.parametrize("count", [MAX_SRV, MAX_SRV + 1])
async def test_more_srv_records_than_are_looked_at(count: int) -> None:
    """It is told where there are, though the records themselves are not kept."""
    records = [f"0 {number} 993 a.test." for number in range(count)]
    table = {"example.org MX": ["0 ."], "_imaps._tcp.example.org SRV": records, "a.test A": ["1.1.1.1"]}
    found, _ = await asked(table, srv=True)
    imaps = (found.srv or {})[SERVICES["imaps"]]
    assert imaps.oddities == ({Oddity.SRV_TOO_MANY} if count > MAX_SRV else set())


@pytest.mark.parametrize("sizes", [[60_000], [60_000, 32, 32], [9_000] * 7, [MAX_TLSA_BYTES - 3, 32], [1_000] * 60])
async def test_long_tlsa_records(sizes: list[int]) -> None:
    """Of all that one host has, so many bytes are kept; the short ones are whole, and some are there if any were."""
    records = [f"3 0 0 {number.to_bytes(2, 'big').hex()}{'ab' * (size - 2)}" for number, size in enumerate(sizes)]
    host = await tlsa_of({"mx.test A": ["1.1.1.1"], "_25._tcp.mx.test TLSA": records})
    kept = [record.to_wire() or b"" for record in host.tlsa or ()]
    assert 0 < sum(map(len, kept)) <= MAX_TLSA_BYTES
    assert len(kept) <= MAX_TLSA
    assert all(each[:3] == bytes([3, 0, 0]) for each in kept)
    assert sum(len(each) == 35 for each in kept) == sizes.count(32)
    whole = sum(each in [bytes([3, 0, 0]) + bytes.fromhex(record.split()[3]) for record in records] for each in kept)
    assert host.tlsa_left_out == len(sizes) - whole


class Slow(Answers):
    """Takes a while to say which addresses a host has."""

    async def ask(self, name: str, kind: RdataType) -> DnsAnswer:
        """Also where there is none."""
        if kind in (RdataType.A, RdataType.AAAA):
            await trio.sleep(25)
        return await super().ask(name, kind)


@pytest.mark.parametrize("count", [HOSTS_AT_ONCE, MAX_MX])
async def test_slow_hosts(autojump_clock: trio.testing.MockClock, count: int) -> None:
    """Those whose turn does not come in a minute are not asked; that may be of the moment, and they are named."""
    names = [f"mx{number:03}.test" for number in range(count)]
    table = {f"{name} A": ["1.1.1.1"] for name in names}
    resolver = Slow({"example.org MX": [f"10 {name}." for name in names], **table})
    began = trio.current_time()
    found = await ask_domain(resolver, MailDomain(Origin("mx:example.org", 1), "example.org"), with_policies=False)
    assert trio.current_time() - began <= HOSTS_S + 25
    assert [mx.host.name for mx in found.hosts] == names
    asked_in_time = min(count, 3 * HOSTS_AT_ONCE)
    statuses = Counter(mx.host.status for mx in found.hosts)
    assert (statuses[DnsStatus.OK], statuses[DnsStatus.TIMEOUT]) == (asked_in_time, count - asked_in_time)
    assert found.is_final == (count == asked_in_time)


class Remembering(Answers):
    """Remembers some answers."""

    remembered: Mapping[str, DnsAnswer]

    def known(self, name: str, kind: RdataType) -> DnsAnswer | None:
        """What it remembers."""
        return self.remembered.get(f"{name} {RdataType.to_text(kind)}")


@pytest.mark.parametrize("kinds", [(), ("A",), ("AAAA",), ("A", "AAAA")])
async def test_a_host_whose_addresses_are_known(kinds: tuple[str, ...]) -> None:
    """Nobody is asked where both families are known; else the result is the same."""
    said = {"A": answer("A", "1.1.1.1"), "AAAA": answer("AAAA", "2a00::1")}
    resolver = Remembering({f"mx.test {kind}": each for kind, each in said.items()})
    resolver.remembered = {f"mx.test {kind}": said[kind] for kind in kinds}
    host = await ask_host(resolver, "mx.test")
    assert list(map(str, host.addresses)) == ["1.1.1.1", "2a00::1"]
    assert (resolver.asked.total() == 0) == (len(kinds) == 2)
