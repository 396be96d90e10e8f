"""What is said to workers, and by them: all of it comes back as it was."""

from collections import Counter

import orjson
import trustme
from hypothesis import given
from hypothesis import strategies as st
from OpenSSL import crypto

from scanner.config import Config
from scanner.connection import Timeouts
from scanner.endpoint_result import TlsaToMatch
from scanner.errand import (
    Errand,
    endpoint_line,
    errand_line,
    log_line,
    read_endpoint,
    read_errand,
    read_report,
    read_tlsa,
    report_line,
    tlsa_line,
)
from scanner.limits import Limits
from scanner.mail_policy.dane import Tlsa
from scanner.pace import Learnt, Sign, SlowNetwork
from scanner.question import Wanted
from scanner.standing import Standing
from scanner.tls.names import Version
from scanner.trust import TrustStore
from targets.prefixes import Prefixes
from targets.services import SERVICES
from targets.target import Endpoint, Origin

octets = st.integers(0, 255)
records = st.builds(Tlsa, octets, octets, octets, st.binary(max_size=64))
tlsas = st.builds(TlsaToMatch, st.just("mx.test"), st.integers(1, 2**64 - 1), st.lists(records, max_size=3).map(tuple))
words = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
origins = st.builds(Origin, words, st.none() | st.integers(1, 2**40), st.dictionaries(words, words, max_size=2))
endpoints = st.builds(
    Endpoint,
    origins,
    st.none() | st.just("mx.test"),
    st.sampled_from(["192.0.2.1", "2001:db8::1"]),
    st.integers(1, 65_535),
    st.sampled_from(list(SERVICES.values())),
)


def test_an_errand_comes_back() -> None:
    """Every setting that an engine or a record needs arrives, whatever it is."""
    config = Config(
        wanted=Wanted((Version.SSLV2, Version.TLS1_3), False, True, ("groups", "alpn"), True),
        limits=Limits(1, 2, 3.5, 4, 5.5, 6.5, 7),
        prefixes=Prefixes(20, 56),
        timeouts=Timeouts(1, 2, 3, 4, 5),
        retries=9,
        hello_name="me.test",
        der=True,
    )
    assert read_errand(errand_line(Errand("R", config, True))) == Errand("R", config, True)
    assert read_errand(errand_line(Errand("R", Config()))) == Errand("R", Config())


def test_whom_to_trust_comes_back() -> None:
    """The certificates themselves; nobody trusted is another thing than nothing known."""
    anchor = crypto.load_certificate(crypto.FILETYPE_PEM, trustme.CA().cert_pem.bytes())
    trust = read_errand(errand_line(Errand("R", Config(), trust=TrustStore((anchor,), ("ca.pem",))))).trust
    assert trust is not None
    assert [each.digest("sha256") for each in trust.anchors] == [anchor.digest("sha256")]
    assert read_errand(errand_line(Errand("R", Config(), trust=TrustStore((), ())))).trust == TrustStore((), ())


@given(endpoints, st.none() | tlsas)
def test_an_endpoint_comes_back(endpoint: Endpoint, tlsa: TlsaToMatch | None) -> None:
    """With its origin and what its chain is to be matched with."""
    assert read_endpoint(orjson.loads(endpoint_line(endpoint, tlsa))) == (endpoint, tlsa)
    if tlsa:
        message = orjson.loads(tlsa_line(endpoint, tlsa))
        assert (message["id"], read_tlsa(message)) == (endpoint.id, tlsa)


def test_a_report_comes_back() -> None:
    """How a worker stands, and what it has learnt."""
    standing = Standing(
        connections=9, open=2, errors={"tls": {"timeout": 3}}, times={"connect": {"smtp": [1, 2]}}, next_look_s=2.5
    )
    learnt = Learnt(3, 2, Counter(dict.fromkeys(Sign, 5)), (SlowNetwork("192.0.2.0/24", 7, 1.5),))
    for said in ((standing, learnt), (Standing(), Learnt())):
        assert read_report(orjson.loads(report_line(*said))) == said


def test_anything_can_be_logged() -> None:
    """What is no text of UTF-8 is shown all the same."""
    message = orjson.loads(log_line("error", {"event": "a", "endpoint": "\udcff", "code": 3}))
    assert message == {"type": "log", "level": "error", "said": {"event": "a", "endpoint": r"\udcff", "code": "3"}}
