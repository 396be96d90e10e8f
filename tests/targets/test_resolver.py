"""Names → addresses, through a real name server on loopback."""

from collections.abc import Sequence
from ipaddress import IPv4Address
from pathlib import Path

import dns.flags
import pytest
import trio
import trio.testing
from dns.rdatatype import RdataType
from structlog.testing import capture_logs
from trio.testing import MockClock

from targets.answer import DnsAnswer, Dnssec, DnsStatus
from targets.resolver import FAILURE_TTL_S, MAX_TTL_S, MIN_TTL_S, Failure, NoNameServersError, Resolution, Resolver
from targets.resolving.cache import ENTRY_BYTES, RECORD_BYTES
from targets.resolving.limits import DnsLimits
from targets.target import Reason
from tests.peers.nameserver import Bogus, NameServer, Trouble, Zone, name_server

MANY = [f"192.0.2.{host}" for host in range(1, 101)]

ZONE: Zone = {
    "both.example": {"A": ["192.0.2.2", "192.0.2.1"], "AAAA": ["2001:db8::1"]},
    "v4.example": {"A": ["192.0.2.1"]},
    "v6.example": {"AAAA": ["2001:db8::1"]},
    "alias.example": {"CNAME": ["both.example."]},
    "dangling.example": {"CNAME": ["absent.example."]},
    "empty.example": {"TXT": ["nothing here"]},
    "many.example": {"A": MANY},
    "servfail.example": {"A": Trouble.SERVFAIL, "AAAA": Trouble.SERVFAIL},
    "refused.example": {"A": Trouble.REFUSED, "AAAA": Trouble.REFUSED},
    "silent.example": {"A": Trouble.SILENCE, "AAAA": Trouble.SILENCE},
    "half.example": {"A": ["192.0.2.1"], "AAAA": Trouble.SERVFAIL},
    "half-silent.example": {"A": Trouble.SILENCE, "AAAA": ["2001:db8::1"]},
    "half-empty.example": {"AAAA": Trouble.SERVFAIL},
    "mail.example": {"MX": ["20 b.example.", "10 a.example."], "TXT": ['"v=spf1 -all"', '"other"']},
    "_25._tcp.mx.example": {"TLSA": ["3 1 1 " + "ab" * 32]},
    "_imaps._tcp.example": {"SRV": ["0 1 993 imap.example."]},
    "one.example": {"CNAME": ["two.example."]},
    "two.example": {"CNAME": ["both.example."]},
    "to-nothing.example": {"CNAME": ["empty.example."]},
    "to-failure.example": {"CNAME": ["servfail.example."]},
    "circle.example": {"CNAME": ["elcric.example."]},
    "elcric.example": {"CNAME": ["circle.example."]},
    "bogus.example": {"A": Bogus(["192.0.2.1"], [6]), "AAAA": Bogus(["2001:db8::1"])},
    "half-absent.example": {"A": ["192.0.2.1"], "AAAA": Trouble.NXDOMAIN},
}


def resolver_for(server: NameServer) -> Resolver:
    return Resolver(server.servers, lifetime_s=1, attempt_s=0.5)


def texts(resolution: Resolution) -> list[str]:
    return [str(address) for address in resolution.addresses]


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("both.example", ["192.0.2.1", "192.0.2.2", "2001:db8::1"]),
        ("v4.example", ["192.0.2.1"]),
        ("v6.example", ["2001:db8::1"]),
        ("alias.example", ["192.0.2.1", "192.0.2.2", "2001:db8::1"]),
        ("half-absent.example", ["192.0.2.1"]),
        ("many.example", MANY),  # 1,600 bytes: truncated over UDP
    ],
)
async def test_addresses(name: str, found: Sequence[str]) -> None:
    """All addresses of both families come, in their order, and an empty family is no failure."""
    async with name_server(ZONE) as server:
        resolution = await resolver_for(server).resolve(name)
    assert texts(resolution) == list(found)
    assert resolution.failures == ()


@pytest.mark.parametrize(
    ("name", "found", "failures"),
    [
        ("absent.example", [], [Failure(Reason.NXDOMAIN, "the name does not exist in the DNS")]),
        ("dangling.example", [], [Failure(Reason.NXDOMAIN, "the name does not exist in the DNS")]),
        ("empty.example", [], [Failure(Reason.NODATA, "the name has neither an A nor an AAAA record")]),
        (
            "servfail.example",
            [],
            [Failure(Reason.SERVFAIL, "A: SERVFAIL"), Failure(Reason.SERVFAIL, "AAAA: SERVFAIL")],
        ),
        (
            "refused.example",
            [],
            [Failure(Reason.SERVFAIL, "A: REFUSED"), Failure(Reason.SERVFAIL, "AAAA: REFUSED")],
        ),
        (
            "silent.example",
            [],
            [
                Failure(Reason.DNS_TIMEOUT, "A: no answer in time"),
                Failure(Reason.DNS_TIMEOUT, "AAAA: no answer in time"),
            ],
        ),
        ("half.example", ["192.0.2.1"], [Failure(Reason.SERVFAIL, "AAAA: SERVFAIL")]),
        ("half-silent.example", ["2001:db8::1"], [Failure(Reason.DNS_TIMEOUT, "A: no answer in time")]),
        ("half-empty.example", [], [Failure(Reason.SERVFAIL, "AAAA: SERVFAIL")]),
    ],
)
async def test_failures(name: str, found: list[str], failures: list[Failure]) -> None:
    """Each failure has its kind, and one family's does not hide the other's addresses."""
    async with name_server(ZONE) as server:
        resolution = await resolver_for(server).resolve(name)
    assert texts(resolution) == found
    assert list(resolution.failures) == failures


async def test_truncation_goes_to_tcp() -> None:
    """An answer that is truncated over UDP is asked for again over TCP."""
    async with name_server(ZONE) as server:
        await resolver_for(server).resolve("many.example")
    assert [transport for _, kind, transport in server.asked if kind == "A"] == ["udp", "tcp"]


@pytest.mark.parametrize("name", ["localhost", "mail.localhost"])
async def test_localhost_is_not_asked_for(name: str) -> None:
    """localhost is loopback without DNS (RFC 6761 §6.3), even where there is none."""
    resolution = await Resolver(resolv_conf="/nonexistent").resolve(name)
    assert texts(resolution) == ["127.0.0.1", "::1"]


async def test_a_name_is_asked_for_once() -> None:
    """Tasks that want a name at the same time, and those that want it later, share one answer."""
    async with name_server(ZONE) as server:
        resolver = resolver_for(server)
        async with trio.open_nursery() as nursery:
            for _ in range(5):
                nursery.start_soon(resolver.resolve, "both.example")
        await resolver.resolve("both.example")
    assert sorted(kind for _, kind, _ in server.asked) == ["A", "AAAA"]


async def test_failures_are_remembered() -> None:
    """A name that does not exist is not asked for again at once."""
    async with name_server(ZONE) as server:
        resolver = resolver_for(server)
        assert await resolver.resolve("absent.example") == await resolver.resolve("absent.example")
    assert len(server.asked) == 2


async def test_what_is_known(patient_clock: MockClock) -> None:
    """An answer that holds is had without waiting, and as it was."""
    async with name_server(ZONE, 60) as server:
        resolver = resolver_for(server)
        assert resolver.known("v4.example", RdataType.A) is None
        answer = await resolver.ask("V4.Example.", RdataType.A)
        assert resolver.known("v4.example", RdataType.A) is answer
        assert resolver.known("v4.example", RdataType.AAAA) is None
        patient_clock.jump(61)
        assert resolver.known("v4.example", RdataType.A) is None


async def test_the_cache_is_bounded() -> None:
    """The answer that was used longest ago is forgotten."""
    async with name_server(ZONE) as server:
        resolver = Resolver(server.servers, cache_bytes=2 * (ENTRY_BYTES + RECORD_BYTES))
        for name in ("v4.example", "half.example", "v4.example", "half-absent.example", "v4.example", "half.example"):
            await resolver.ask(name, RdataType.A)
    assert [name for name, *_ in server.asked] == ["v4.example", "half.example", "half-absent.example", "half.example"]


async def test_a_cancelled_question_does_not_hold_up_the_others() -> None:
    """When the task that asks is cancelled, one of those that wait asks itself."""
    async with name_server(ZONE) as server:
        resolver = resolver_for(server)
        asking = trio.CancelScope()

        async def ask() -> None:
            with asking:
                await resolver.resolve("both.example")

        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask)
            await trio.testing.wait_all_tasks_blocked()
            asking.cancel()
            assert len((await resolver.resolve("both.example")).addresses) == 3


async def test_the_second_server_is_asked() -> None:
    """Where the first server refuses, the second one's answer counts."""
    async with name_server({"both.example": ZONE["refused.example"]}) as first, name_server(ZONE) as second:
        resolver = Resolver([*first.servers, *second.servers])
        assert len((await resolver.resolve("both.example")).addresses) == 3
        assert resolver.servers == (f"127.0.0.1:{first.port}", f"127.0.0.1:{second.port}")


@pytest.mark.parametrize("text", [None, "", "search example.org\n", "nameserver not-an-address\n"])
async def test_no_name_server(tmp_path: Path, text: str | None) -> None:
    """Without a usable resolv.conf, the first name that needs it tells what to do."""
    path = tmp_path / "resolv.conf"
    if text is not None:
        path.write_text(text)
    resolver = Resolver(resolv_conf=str(path))
    with pytest.raises(NoNameServersError, match="name one with --resolver"):
        await resolver.resolve("both.example")


def test_resolv_conf(tmp_path: Path) -> None:
    """The system's name servers are read from resolv.conf."""
    path = tmp_path / "resolv.conf"
    path.write_text("nameserver 192.0.2.53\nnameserver 2001:db8::53\n")
    assert Resolver(resolv_conf=str(path)).servers == ("192.0.2.53:53", "[2001:db8::53]:53")


async def test_our_own_failure_is_no_servfail() -> None:
    """Where no question can be sent, nothing was answered, and the detail says what is in the way."""
    resolver = Resolver([(IPv4Address("255.255.255.255"), 53)], lifetime_s=0.3)
    (failure, _) = (await resolver.resolve("both.example")).failures
    assert failure.reason is Reason.DNS_TIMEOUT
    assert "ermission denied" in failure.detail


# --- questions of any type --------------------------------------------------------------------------------------------


async def ask(resolver: Resolver, name: str, kind: str = "A") -> DnsAnswer:
    return await resolver.ask(name, RdataType[kind])


@pytest.mark.parametrize(
    ("name", "kind", "records"),
    [
        ("mail.example", "MX", ["20 b.example.", "10 a.example."]),
        ("Mail.Example.", "TXT", ['"v=spf1 -all"', '"other"']),
        ("_25._tcp.mx.example", "TLSA", ["3 1 1 " + "ab" * 32]),
        ("_imaps._tcp.example", "SRV", ["0 1 993 imap.example."]),
        ("v6.example", "AAAA", ["2001:db8::1"]),
    ],
)
async def test_any_type(name: str, kind: str, records: list[str]) -> None:
    """Records of any type come as they are, with how long they hold."""
    async with name_server(ZONE) as server:
        answer = await ask(resolver_for(server), name, kind)
    assert sorted(record.to_text() for record in answer.records) == sorted(records)
    assert (answer.status, answer.ttl_s, answer.canonical, answer.detail) == (DnsStatus.OK, 60, None, None)


@pytest.mark.parametrize(
    ("name", "status", "detail", "final"),
    [
        ("absent.example", DnsStatus.NXDOMAIN, None, True),
        ("empty.example", DnsStatus.NODATA, None, True),
        ("servfail.example", DnsStatus.SERVFAIL, "SERVFAIL", False),
        ("refused.example", DnsStatus.SERVFAIL, "REFUSED", False),
        ("silent.example", DnsStatus.TIMEOUT, "no answer in time", False),
        ("bogus.example", DnsStatus.BOGUS, "it does not validate (extended error 6)", False),
        ("a..b", DnsStatus.NXDOMAIN, "a label of the name is empty or longer than 63 bytes", True),
        ("a." * 127 + "aa", DnsStatus.NXDOMAIN, "the name is longer than 255 bytes", True),
    ],
)
async def test_ways_to_have_no_answer(
    patient_clock: MockClock, name: str, status: DnsStatus, detail: str | None, final: bool
) -> None:
    """SERVFAIL, NXDOMAIN, silence, no data and bogus data are kept apart."""
    async with name_server(ZONE) as server:
        answer = await ask(Resolver(server.servers), name)
    assert (answer.status, answer.detail, answer.records) == (status, detail, ())
    assert answer.status.is_final is final


@pytest.mark.parametrize(("name", "kind", "status"), [("A", "A", "ok"), ("MX", "MX", "nodata"), ("b", "AAAA", "ok")])
async def test_localhost_has_an_answer(name: str, kind: str, status: str) -> None:
    """localhost has addresses, and nothing else, without a question."""
    assert (await ask(Resolver(resolv_conf="/nonexistent"), f"{name}.localhost", kind)).status == status


# --- aliases ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("follows", [True, False])
@pytest.mark.parametrize(
    ("name", "status", "canonical"),
    [
        ("one.example", DnsStatus.OK, "both.example"),
        ("to-nothing.example", DnsStatus.NODATA, "empty.example"),
        ("dangling.example", DnsStatus.NXDOMAIN, "absent.example"),
        ("to-failure.example", DnsStatus.SERVFAIL, "servfail.example"),
    ],
)
async def test_aliases(name: str, status: DnsStatus, canonical: str, follows: bool) -> None:
    """Aliases are followed, by the resolver or, where it stops, by asking on; the last name is told."""
    async with name_server(ZONE) as server:
        server.follows_aliases, server.denial = follows, (60, 60)
        answer = await ask(resolver_for(server), name)
    failed_at_once = follows and status is DnsStatus.SERVFAIL
    assert (answer.status, answer.canonical) == (status, None if failed_at_once else canonical)


async def test_aliases_in_a_circle() -> None:
    """A circle of aliases ends after 16 of them."""
    async with name_server(ZONE) as server:
        server.follows_aliases = False
        answer = await ask(resolver_for(server), "circle.example")
    assert (answer.status, answer.detail) == (DnsStatus.SERVFAIL, "16 aliases, and no end")
    assert len(server.asked) == 16


async def test_slow_aliases(patient_clock: MockClock) -> None:
    """A chain of them has the time of one question, and not each of them: sixteen could take minutes."""
    async with name_server(ZONE) as server:
        server.follows_aliases, server.delay_s = False, 0.4
        began = trio.current_time()
        answer = await ask(resolver_for(server), "circle.example")
        assert trio.current_time() - began < 1.5
    assert answer.status is DnsStatus.TIMEOUT


# --- how long it holds ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "ttl_s", "denial", "expected"),
    [
        ("v4.example", 60, None, 60),
        ("v4.example", 0, None, MIN_TTL_S),
        ("v4.example", 90_000, None, MAX_TTL_S),
        ("absent.example", 60, (300, 120), 120),
        ("empty.example", 60, (90, 120), 90),
        ("empty.example", 60, (1, 0), MIN_TTL_S),
        ("absent.example", 60, (90_000, 90_000), MAX_TTL_S),
        ("absent.example", 60, None, MIN_TTL_S),  # without an SOA it is not to be kept (RFC 2308 §5)
        ("servfail.example", 60, (300, 120), FAILURE_TTL_S),  # RFC 9520
    ],
)
async def test_how_long_it_holds(
    patient_clock: MockClock, name: str, ttl_s: int, denial: tuple[int, int] | None, expected: float
) -> None:
    """An answer holds for its TTL, a denial for that of its SOA (RFC 2308), within bounds; then it is asked again."""
    async with name_server(ZONE, ttl_s) as server:
        server.denial = denial
        resolver = resolver_for(server)
        assert (await ask(resolver, name)).ttl_s == expected
        asked = len(server.asked)
        await trio.sleep(expected - 1)
        await ask(resolver, name)
        assert len(server.asked) == asked
        await trio.sleep(2)
        await ask(resolver, name)
    assert len(server.asked) == 2 * asked


async def test_a_chain_holds_as_long_as_its_shortest_link() -> None:
    """Where one alias comes with one answer and the next with another, the lesser TTL counts."""
    async with name_server(ZONE) as server:
        server.follows_aliases = False
        resolver = resolver_for(server)

        def shorten(_query: bytes, _reply: bytes) -> tuple[()]:
            server.ttl_s = 7
            return ()

        server.tampering = shorten
        assert (await ask(resolver, "one.example")).ttl_s == 7


# --- DNSSEC -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("codes", "status"),
    [
        *(([code], "bogus") for code in (6, 7, 8, 9, 10, 11, 12)),
        ([22, 25], "bogus"),
        *((codes, "servfail") for codes in ([], [1], [2], [5], [22], [27])),
    ],
)
async def test_extended_errors(codes: list[int], status: str) -> None:
    """Extended errors of failed validation make a SERVFAIL bogus; of those that say something else, none does."""
    async with name_server(ZONE) as server:
        server.zone = {"bad.example": {"A": Bogus(Trouble.SERVFAIL, codes)}}
        answer = await ask(resolver_for(server), "bad.example")
    assert answer.status == status
    assert answer.dnssec == ("bogus" if status == "bogus" else "indeterminate")


async def test_an_answer_with_checking_disabled_is_bogus() -> None:
    """SERVFAIL that turns into an answer with CD, and is SERVFAIL again without, is bogus; it takes three questions."""
    async with name_server(ZONE) as server:
        answer = await ask(resolver_for(server), "bogus.example", "AAAA")
    assert (answer.status, answer.dnssec, answer.records) == (DnsStatus.BOGUS, Dnssec.BOGUS, ())
    assert answer.detail == "SERVFAIL, and an answer only with checking disabled"
    assert [bool(query.flags & dns.flags.CD) for query in server.queries] == [False, True, False]


async def test_servfail_is_checked_once() -> None:
    """Where there is no answer with CD either, it is a SERVFAIL, and the question was asked twice."""
    async with name_server(ZONE) as server:
        answer = await ask(resolver_for(server), "servfail.example")
    assert (answer.status, answer.dnssec) == (DnsStatus.SERVFAIL, Dnssec.INDETERMINATE)
    assert [bool(query.flags & dns.flags.CD) for query in server.queries] == [False, True]


async def test_a_bad_moment_is_not_bogus() -> None:
    """A SERVFAIL that was over when the question came again is none."""
    async with name_server({"mx.example": {"A": Bogus(["192.0.2.1"])}}) as server:

        def recover(query: bytes, _reply: bytes) -> tuple[()]:
            if query[3] & 0x10:  # CD
                server.zone = {"mx.example": {"A": ["192.0.2.1"]}}
            return ()

        server.tampering = recover
        answer = await ask(resolver_for(server), "mx.example")
    assert (answer.status, len(server.asked)) == (DnsStatus.OK, 3)


@pytest.mark.parametrize(
    ("validates", "name", "dnssec"),
    [
        (True, "both.example", Dnssec.SECURE),
        (True, "absent.example", Dnssec.SECURE),
        (True, "one.example", Dnssec.SECURE),
        (True, "insecure", Dnssec.INSECURE),
        (True, "to-insecure.example", Dnssec.INSECURE),
        (False, "both.example", Dnssec.INDETERMINATE),
        (True, "servfail.example", Dnssec.INDETERMINATE),
        (True, "bogus.example", Dnssec.BOGUS),
    ],
)
async def test_dnssec(validates: bool, name: str, dnssec: Dnssec) -> None:
    """An answer is as secure as the weakest part of it, and only a resolver that validates says that it is not."""
    insecure = {"insecure": ZONE["both.example"], "to-insecure.example": {"CNAME": ["insecure."]}}
    async with name_server({**ZONE, **insecure}) as server:
        server.validates, server.follows_aliases = validates, False
        resolver = resolver_for(server)
        assert (await ask(resolver, name)).dnssec is dnssec
        assert (await resolver.resolve(name)).dnssec is dnssec


# --- servers that come and go -----------------------------------------------------------------------------------------


async def test_the_last_server_is_asked(patient_clock: MockClock) -> None:
    """Servers that are silent, fail, refuse or send nonsense are passed over, while one has an answer."""
    async with (
        name_server({"v4.example": ZONE["silent.example"]}) as silent,
        name_server({"v4.example": ZONE["servfail.example"]}) as failing,
        name_server({"v4.example": ZONE["refused.example"]}) as refusing,
        name_server(ZONE) as good,
    ):
        servers = [*silent.servers, *failing.servers, *refusing.servers, *good.servers]
        resolver = Resolver(servers)
        for name in ("v4.example", "V4.example."):
            assert (await ask(resolver, name)).status is DnsStatus.OK
    assert [len(each.asked) for each in (silent, failing, refusing, good)] == [1, 2, 1, 1]


async def test_servers_take_turns() -> None:
    """Servers that were given share the questions."""
    async with name_server(ZONE) as first, name_server(ZONE) as second:
        resolver = Resolver([*first.servers, *second.servers])
        for name in ("v4.example", "v6.example", "both.example", "empty.example"):
            await ask(resolver, name)
    assert [len(each.asked) for each in (first, second)] == [2, 2]


async def test_the_options_of_the_system(
    patient_clock: MockClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """How long and how often is as resolv.conf says, and whether over TCP."""
    path = tmp_path / "resolv.conf"
    async with name_server(ZONE) as server:
        monkeypatch.setattr("targets.resolving.resolv_conf.DNS_PORT", server.port)
        path.write_text("nameserver 127.0.0.1\noptions timeout:2 attempts:4\n")
        assert (await ask(Resolver(resolv_conf=str(path)), "silent.example")).status is DnsStatus.TIMEOUT
        assert trio.current_time() == pytest.approx(8, abs=0.2)
        path.write_text("nameserver 127.0.0.1\noptions use-vc\n")
        assert (await ask(Resolver(resolv_conf=str(path)), "v4.example")).status is DnsStatus.OK
    assert [transport for *_, transport in server.asked] == ["udp"] * 4 + ["tcp"]


async def test_silence_is_asked_again(patient_clock: MockClock) -> None:
    """A lost datagram costs one attempt."""
    async with name_server(ZONE) as server:
        server.is_silent = True

        async def wake() -> None:
            await trio.sleep(4)
            server.is_silent = False

        async with trio.open_nursery() as nursery:
            nursery.start_soon(wake)
            assert (await ask(Resolver(server.servers), "v4.example")).status is DnsStatus.OK
    assert len(server.asked) == 3


async def test_all_servers_are_dead(patient_clock: MockClock) -> None:
    """Where none answers, that is found out and said once, and then every name ends at once; until one does."""
    async with name_server(ZONE) as first, name_server(ZONE) as second:
        first.is_silent = second.is_silent = True
        resolver = Resolver([*first.servers, *second.servers], limits=DnsLimits(rate=0))
        with capture_logs() as logs:
            async with trio.open_nursery() as nursery:
                for number in range(500):
                    nursery.start_soon(resolver.resolve, f"n{number}.example")
            async with trio.open_nursery() as nursery:
                began, asked = trio.current_time(), resolver.tally.queries
                for number in range(500, 50_000):
                    answer = await ask(resolver, f"n{number}.example")
                    assert (answer.status, answer.detail) == (DnsStatus.TIMEOUT, "no name server answers")
                assert trio.current_time() - began < 15  # for those who look whether they are back
                assert resolver.tally.queries - asked <= 5
        assert [line["event"] for line in logs if line["log_level"] == "error"] == [
            "no name server answers: until one does, names end as dns_timeout"
        ]
        assert len([line for line in logs if "set aside" in line["event"]]) == 2
        second.is_silent = False
        await trio.sleep(120)
        with capture_logs() as logs:
            assert (await ask(resolver, "v4.example")).status is DnsStatus.OK
        assert [line["event"] for line in logs] == ["a name server answers again"]


async def test_a_short_life_is_long_enough_to_notice(patient_clock: MockClock) -> None:
    """An attempt that may last longer than a question is as long as one, and its silence counts."""
    async with name_server(ZONE) as server:
        server.is_silent = True
        resolver = Resolver(server.servers, lifetime_s=1, attempt_s=30)
        with capture_logs():
            for number in range(6):
                assert (await ask(resolver, f"n{number}.example")).status is DnsStatus.TIMEOUT
    assert resolver.tally.set_aside == 1


async def test_nobody_listens(patient_clock: MockClock) -> None:
    """Where all refuse at once, they are still given the time that a server takes to start, and then it is over."""
    async with name_server(ZONE) as gone:
        pass
    answers = list[DnsAnswer]()

    async def ask_for(number: int) -> None:
        answers.append(await ask(resolver, f"n{number}.example"))

    resolver = Resolver(gone.servers, limits=DnsLimits(rate=0))
    with capture_logs():
        async with trio.open_nursery() as nursery:
            for number in range(300):
                nursery.start_soon(ask_for, number)
    assert {answer.status for answer in answers} == {DnsStatus.TIMEOUT}
    assert {answer.detail for answer in answers} <= {"no name server answers", "no answer (Connection refused)"}
    assert 2 < trio.current_time() < 10


async def test_a_server_that_is_starting(patient_clock: MockClock) -> None:
    """A server that is there a second later is no dead one, and no question fails."""
    async with name_server(ZONE) as before:
        pass
    resolver, answers = Resolver(before.servers), list[DnsAnswer]()

    async def ask_for(name: str) -> None:
        answers.append(await ask(resolver, name))

    async with trio.open_nursery() as nursery:
        for name in ("v4.example", "both.example", "alias.example", "half.example"):
            nursery.start_soon(ask_for, name)
        await trio.sleep(1.5)
        async with name_server(ZONE, port=before.port):
            await trio.sleep(9)
    assert [answer.status for answer in answers] == [DnsStatus.OK] * 4
    assert resolver.tally.set_aside == 0


async def test_a_dead_server_costs_little(patient_clock: MockClock) -> None:
    """One of two is dead: hardly any of many questions waits for it."""
    async with name_server(ZONE) as dead, name_server(ZONE) as alive:
        dead.is_silent = True
        resolver = Resolver([*dead.servers, *alive.servers], limits=DnsLimits(rate=0))
        for number in range(2_000):
            assert (await ask(resolver, f"n{number}.example")).status is DnsStatus.NXDOMAIN
        assert trio.current_time() < 60
        assert len(dead.queries) < 20


async def test_limits_are_those_of_each_server(patient_clock: MockClock) -> None:
    """With ten questions a second of each, two servers answer twenty."""
    async with name_server(ZONE) as first, name_server(ZONE) as second:
        resolver = Resolver([*first.servers, *second.servers], limits=DnsLimits(rate=10))
        async with trio.open_nursery() as nursery:
            for number in range(100):
                nursery.start_soon(ask, resolver, f"n{number}.example")
        assert trio.current_time() == pytest.approx(5, abs=1)
        assert resolver.tally.queries == 100 + first.roots + second.roots
