"""What becomes of an interview that is over: its record, its certificates and its result, all at once."""

from hashlib import sha256

import trio
import trio.testing

from scanner.chain import Unseen
from scanner.conclusion import Status, conclude
from scanner.connection import Connection
from scanner.endpoint_result import recorded_result
from scanner.interview import Interview
from scanner.mail_policy.result import Result
from scanner.question import Answer, Wanted
from scanner.record import Recorder
from scanner.scribe import Account, Scribe, TlsaOf
from scanner.tls.names import Version
from scanner.tlsa_set import TlsaSet
from targets.services import SERVICES
from targets.target import Endpoint
from tests.conftest import as_written
from tests.peers.memory import Network
from tests.scanner.mail import tlsa
from tests.scanner.recorded import ADDRESS, TIMEOUTS, endpoint_of
from tests.scanner.scanned import TLS
from tests.scanner.transcript import NAMES

RECORDER = Recorder("0" * 26)


async def interviewed() -> Interview:
    """An endpoint with TLS 1.3 and a chain."""
    interview = Interview(endpoint_of(SERVICES["https"]), Wanted((Version.TLS1_3,)))
    questions, network = interview.begin(), Network({ADDRESS: [TLS]})
    while questions:
        answer = Answer(questions.pop(0), trio.current_time())
        await Connection(interview.endpoint, answer, TIMEOUTS, NAMES.ours).ask(network.dial)
        questions += interview.take(answer)
    return interview


async def account_of(tlsa_of: TlsaOf, unseen: Unseen | None = None) -> Account:
    """What there is to write of it."""
    interview = await interviewed()
    return Scribe(RECORDER, tlsa_of, unseen).over(interview, conclude(interview), trio.current_time())


async def test_a_certificate_is_new_once(autojump_clock: trio.testing.MockClock) -> None:
    """Its record comes with the first endpoint that shows it, and where certificates are wanted."""
    unseen = Unseen()
    first, second = [await account_of(lambda _: None, unseen) for _ in range(2)]
    assert [each["sha256"] for each in first.certificates] == first.record["tls"]["chain"]
    assert first.certificates[0]["first_seen"] == first.record["id"]
    assert second.certificates == (await account_of(lambda _: None)).certificates == ()


async def test_tlsa_records_are_matched(autojump_clock: trio.testing.MockClock) -> None:
    """What the chain comes to with them stands in the record, from which the same result can be had."""
    leaf = next(answer.handshake.chain[0] for answer in (await interviewed()).answers if answer.handshake)
    records = TlsaSet("mx.test", tlsa(f"3 0 1 {sha256(leaf).hexdigest()}", "3 1 1 " + "00" * 32))
    account = await account_of(lambda _: records.to_match)
    assert [each["matched"] for each in account.record["dane"]["tlsa"]] == [True, False]
    assert account.result.tlsa == records.digest
    assert recorded_result(as_written(account.record)) == account.result


async def test_a_bug_in_the_judgement(autojump_clock: trio.testing.MockClock) -> None:
    """The record is there all the same; domains are told of its status, and of no certificate."""

    def fail(endpoint: Endpoint) -> None:
        raise KeyError(endpoint.id)

    account = await account_of(fail)
    assert account.record["status"] == account.result.status == Status.TLS
    assert account.result.certificate is None
    assert "dane" not in account.record


async def test_words_of_the_certificate(autojump_clock: trio.testing.MockClock) -> None:
    """They are the result's, too."""
    account = await account_of(lambda _: None)
    assert account.result.certificate == tuple(map(Result, account.record["certificate"]["results"]))
    assert account.result.dane is None
