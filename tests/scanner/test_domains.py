"""Endpoints' results joined to the mail domains that asked."""

import random
import sys
import tracemalloc
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scanner.conclusion import Status
from scanner.domains import RECORD_BYTES, Domains, Waiting
from scanner.endpoint_result import EndpointResult
from scanner.mail_policy.dane import Dane, usability
from scanner.mail_policy.result import Result
from scanner.tlsa_set import TlsaSet, tlsas_of
from targets.domain_expand import DomainExpander
from targets.exclude import Exclusions
from targets.seen import Seen
from targets.services import SERVICES
from targets.shares import Share
from targets.target import Endpoint, MailDomain, Origin
from tests.peers.answers import Answers, answer
from tests.scanner.mail import NO_TLS, TLS, Expanding, domain, host

KEY, OTHER_KEY = "3 1 1 " + "ab" * 32, "3 1 1 " + "cd" * 32


def plain(name: str, address: str = "1.1.1.1", service: str = "smtp") -> Endpoint:
    """An endpoint that a line names, and no domain."""
    return Endpoint(Origin("x", 1), name, address, SERVICES[service].port or 0, SERVICES[service])


def test_a_domain_waits_for_its_endpoints() -> None:
    """It is ready with the last of them, and not before."""
    domains, expanding = Domains(), Expanding()
    targets = expanding.targets(domain("a.test", host("mx1.test", "1.1.1.1", "1.1.1.2"), host("mx2.test", "1.1.1.1")))
    waiting = domains.add(targets)
    assert (waiting.left, domains.waiting, domains.weight) == (3, 1, 1 + 2 + 3)
    first, second, third = targets.fresh
    assert domains.over(second, TLS) == domains.over(first, NO_TLS) == []
    assert domains.over(third, TLS) == [waiting]
    assert (domains.waiting, domains.weight) == (0, 0)
    assert domains.result(first) == NO_TLS


def test_what_is_over_is_not_waited_for() -> None:
    """A domain whose endpoints all have their results is ready at once."""
    domains, expanding = Domains(), Expanding()
    first = expanding.targets(domain("a.test", host("mx.test", "1.1.1.1")))
    domains.add(first)
    domains.over(first.fresh[0], TLS)
    second = expanding.targets(domain("b.test", host("mx.test", "1.1.1.1")))
    assert (second.fresh, domains.add(second).left) == ((), 0)
    assert domains.result(second.endpoints()[0]) == TLS


def test_a_domain_without_endpoints() -> None:
    """It has nothing to wait for."""
    assert Domains().add(Expanding().targets(domain("a.test", host("mx.test")))).left == 0


@pytest.mark.parametrize("is_over_first", [True, False])
def test_an_endpoint_that_a_line_named(is_over_first: bool) -> None:
    """It is the same endpoint, whether it is over when the domain comes, or still under way."""
    seen = Seen()
    seen.add_named("mx.test", "1.1.1.1", 25, "smtp")
    domains, expanding = Domains(), Expanding(seen)
    ready = domains.over(plain("mx.test"), TLS) if is_over_first else []
    targets = expanding.targets(domain("a.test", host("mx.test", "1.1.1.1")))
    waiting = domains.add(targets)
    assert (targets.fresh, ready, waiting.left) == ((), [], 0 if is_over_first else 1)
    assert domains.over(plain("mx.test"), TLS) == ([] if is_over_first else [waiting])
    assert domains.result(targets.endpoints()[0]) == TLS


def test_policies_are_waited_for_too() -> None:
    """In either order."""
    for order in ("endpoint first", "policy first"):
        domains, expanding = Domains(), Expanding()
        targets = expanding.targets(domain("a.test", host("mx.test", "1.1.1.1")))
        waiting = domains.add(targets, policies=1)
        if order == "endpoint first":
            assert domains.over(targets.fresh[0], TLS) == []
            assert domains.settle(waiting)
        else:
            assert not domains.settle(waiting)
            assert domains.over(targets.fresh[0], TLS) == [waiting]


def test_giving_up() -> None:
    """Whoever waits is told once, for endpoints or policies; what was known stays known."""
    domains, expanding = Domains(), Expanding()
    targets = expanding.targets(domain("a.test", host("mx1.test", "1.1.1.1"), host("mx2.test", "1.1.1.2")))
    waiting = domains.add(targets, policies=1)
    only_policy = domains.add(expanding.targets(domain("b.test")), policies=1)
    domains.over(targets.fresh[0], TLS)
    assert set(domains.give_up()) == {waiting, only_policy}
    assert domains.give_up() == []
    assert [domains.result(endpoint) for endpoint in targets.fresh] == [TLS, None]


# --- TLSA -------------------------------------------------------------------------------------------------------------


def matched(records: TlsaSet) -> EndpointResult:
    """A result whose chain matches all of these records."""
    judged = usability(tlsas_of(records.records))
    found = Dane(tuple(type(each)(each.tlsa, each.unusable, True) for each in judged))
    return EndpointResult(Status.TLS, (), records.digest, found)


def test_tlsa_records_are_known_when_the_result_comes() -> None:
    """Those of the domain that was there first; a domain with others is told that nobody looked."""
    domains, expanding = Domains(), Expanding()
    first = expanding.targets(domain("a.test", host("mx.test", "1.1.1.1", records=[KEY])))
    domains.add(first)
    records = domains.tlsa_of(first.fresh[0])
    assert records is not None
    assert records.base == "mx.test"
    domains.over(first.fresh[0], matched(records))
    assert domains.tlsa_of(first.fresh[0]) is None
    for key, known in ((KEY, True), (OTHER_KEY, None)):
        other = host("mx.test", "1.1.1.1", records=[key])
        targets = expanding.targets(domain(f"{key[:1]}.test", other))
        found = domains.result(targets.endpoints()[0], TlsaSet("mx.test", other.tlsa or ()))
        assert found is not None
        assert found.dane is not None
        assert [record.matched for record in found.dane.records] == [known]


def test_a_domain_of_another_shard_waits_for_nothing() -> None:
    """Its TLSA records are known for the endpoints that are here, fresh or not, and it is in nobody's way."""
    for number in range(1, 5):
        domains, share = Domains(), Share(number, 4)
        expander = DomainExpander(Exclusions(), Seen(), Answers({}), share=share)
        found = domain("a.test", host("mx.test", "1.1.1.1", "1.1.2.1", "1.1.3.1", "1.1.4.1", records=[KEY]))
        _, targets = expander.expand(found)
        _, again = expander.expand(replace(found, domain=MailDomain(Origin("x"), "b.test")))
        domains.note(targets)
        domains.note(again)
        assert (domains.waiting, domains.weight, again.fresh) == (0, 0, ())
        own = [each for each in targets.endpoints() if share.has_address(each.address)]
        assert list(targets.fresh) == own
        for endpoint in targets.endpoints():
            records = domains.tlsa_of(endpoint)
            assert (records is not None) == (endpoint in targets.fresh)
            if records:
                assert domains.over(endpoint, matched(records)) == []
                assert domains.tlsa_of(endpoint) is None


def test_a_host_without_tlsa_records() -> None:
    """Neither where it has none, nor where nobody knows."""
    no_records: list[list[str] | None] = [[], None]
    for records in no_records:
        domains = Domains()
        targets = Expanding().targets(domain("a.test", host("mx.test", "1.1.1.1", records=records)))
        domains.add(targets)
        assert domains.tlsa_of(targets.fresh[0]) is None


# --- what is kept -----------------------------------------------------------------------------------------------------


def test_services_that_no_domain_can_ask_for() -> None:
    """Their results are not kept, and neither are those of endpoints without a name."""
    domains = Domains()
    for endpoint in (plain("a.test", service="https"), Endpoint(Origin("x"), None, "1.1.1.1", 25, SERVICES["smtp"])):
        domains.over(endpoint, TLS)
        assert domains.result(endpoint) is None


def test_results_that_nobody_may_ask_for() -> None:
    """Until a domain comes, so many are kept; one that names what was forgotten does not wait for it for ever."""
    seen = Seen()
    domains, expanding = Domains(most_unasked=2), Expanding(seen)
    for number in range(4):
        seen.add_named(f"mx{number}.test", "1.1.1.1", 25, "smtp")
    for number in range(3):
        domains.over(plain(f"mx{number}.test"), TLS)
    hosts = [host(f"mx{number}.test", "1.1.1.1", records=[KEY]) for number in (1, 2, 9)]
    targets = expanding.targets(domain("a.test", *hosts))
    waiting = domains.add(targets)
    assert waiting.left == len(targets.fresh) == 1
    has_records = [domains.tlsa_of(endpoint) is not None for endpoint in targets.endpoints()]
    assert has_records == [False, False, True]  # of what will not come, nothing would let go of them
    assert domains.over(targets.fresh[0], TLS) == [waiting]
    assert [domains.result(endpoint) for endpoint in targets.endpoints()] == [TLS, None, TLS]
    domains.over(plain("mx5.test"), TLS)
    assert domains.result(plain("mx5.test")) == TLS


def test_all_are_kept_where_domains_are_expected() -> None:
    """With --mx or --srv nothing is forgotten."""
    domains = Domains(are_expected=True, most_unasked=1)
    for number in range(9):
        domains.over(plain(f"mx{number}.test"), TLS)
    assert all(domains.result(plain(f"mx{number}.test")) == TLS for number in range(9))


def test_names_of_leaves_have_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are counted one by one, because a certificate may have thousands; beyond, none is held against its leaf."""
    monkeypatch.setattr("scanner.domains.MOST_NAMED", 5)
    domains = Domains(are_expected=True)
    anchor = host("mx.test", "1.1.1.1", records=["2 1 1 " + "ab" * 32])
    records = TlsaSet("mx.test", anchor.tlsa or ())
    found = matched(records)
    assert found.dane is not None
    told = []
    for number, names in enumerate((3, 3, 2)):
        unnamed = frozenset(f"{name}.other.test" for name in range(names))
        domains.over(plain(f"mx{number}.test"), replace(found, dane=replace(found.dane, unnamed=unnamed)))
        again = domains.result(plain(f"mx{number}.test"), records)
        assert again is not None
        assert again.dane is not None
        told.append(again.dane.results(["a.test"]))
    assert told == [(Result.HOST_MISMATCH,), (), (Result.HOST_MISMATCH,)]


# --- any order --------------------------------------------------------------------------------------------------------


@given(st.data())
def test_whatever_comes_when(data: st.DataObject) -> None:
    """However domains share hosts: each endpoint is fresh once, each domain ready once, all of its own being over."""
    names = [f"mx{number}.test" for number in range(5)]
    wanted = data.draw(
        st.lists(st.sets(st.sampled_from(names), max_size=5), max_size=12), label="MX hosts of each domain"
    )
    as_targets = data.draw(st.sets(st.sampled_from(names)), label="came as targets of their own")
    seen, order = Seen(), random.Random(data.draw(st.integers(0, 2**32), label="order"))
    domains, expanding = Domains(), Expanding(seen)
    under_way = [plain(name) for name in as_targets if seen.add_named(name, "1.1.1.1", 25, "smtp")]
    scanned = [endpoint.id for endpoint in under_way]
    ready: list[Waiting] = []
    to_come = list(enumerate(wanted))
    while to_come or under_way:
        if to_come and (not under_way or order.random() < 0.5):
            number, hosts = to_come.pop()
            targets = expanding.targets(domain(f"d{number}.test", *(host(name, "1.1.1.1") for name in sorted(hosts))))
            waiting = domains.add(targets)
            ready += [] if waiting.left else [waiting]
            under_way += targets.fresh
            scanned += [endpoint.id for endpoint in targets.fresh]
        else:
            ready += domains.over(under_way.pop(order.randrange(len(under_way))), TLS)
        over = set(scanned) - {endpoint.id for endpoint in under_way}
        for waiting in ready:
            assert {endpoint.id for endpoint in waiting.targets.endpoints()} <= over
    assert len(scanned) == len(set(scanned))
    assert set(scanned) == {plain(name).id for name in as_targets.union(*wanted)}
    assert sorted(each.targets.answer.domain.name for each in ready) == sorted(f"d{n}.test" for n in range(len(wanted)))
    assert domains.waiting == 0


# --- memory -----------------------------------------------------------------------------------------------------------


def test_memory_of_a_result() -> None:
    """At most 200 bytes for a result that domains may ask for; 36 to 76 in fact, all in all."""
    domains = Domains(are_expected=True)
    endpoints = [plain(f"mx{number}.example.org", f"1.1.{number >> 8}.{number & 255}") for number in range(50_000)]
    tracemalloc.start()
    for endpoint in endpoints:
        domains.over(endpoint, TLS)
    taken, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert taken / len(endpoints) < 80
    assert sys.getsizeof(TLS.packed) < 80


def test_memory_of_a_domain_that_waits() -> None:
    """What the head of the module says of it."""
    domains, expanding, count = Domains(), Expanding(), 2_000
    shared = [host("mx1.test", "1.1.1.1"), host("mx2.test", "1.1.1.2")]
    tracemalloc.start()
    for number in range(count):
        domains.add(expanding.targets(domain(f"domain{number}.example", *shared)))
    taken, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (domains.waiting, domains.weight) == (count, 5 * count)
    assert taken / domains.weight < 900


def test_memory_of_long_records() -> None:
    """What a domain keeps of its texts and its TLSA records counts, so that few such domains wait."""
    domains, expanding, count = Domains(), Expanding(), 10
    tracemalloc.start()
    for number in range(count):
        text = answer("TXT", '"v=STSv1; id=1; x="' + f' "{"y" * 250}"' * 200)
        key = host(f"mx{number}.test", "1.1.1.1", records=["3 0 0 " + f"{number:04x}" + "ab" * 16_000])
        domains.add(expanding.targets(domain(f"domain{number}.example", key, mta_sts=text, tls_rpt=text)))
    taken, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert domains.waiting == count
    assert domains.weight > count * (50_000 + 16_000) / RECORD_BYTES
    assert taken / domains.weight < 900
