"""What becomes of an interview that is over: its record, what that comes to for mail domains, and its certificates.

Pure. It is all that an engine's results need of a run, so that it can be done beside the engine, wherever that is.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

import structlog

from scanner.chain import Unseen, chain_of
from scanner.conclusion import Conclusion
from scanner.endpoint_result import EndpointResult, TlsaToMatch, dane_part
from scanner.interview import Interview
from scanner.mail_policy.dane import judge
from scanner.mail_policy.result import Result
from scanner.record import Record, Recorder
from targets.target import Endpoint

TlsaOf = Callable[[Endpoint], TlsaToMatch | None]

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Account:
    """What there is to write of an endpoint. `certificates`: records of those that are new, to be written before it."""

    record: Record
    certificates: tuple[Record, ...]
    result: EndpointResult


class Scribe:
    """Gives an account of each endpoint, once."""

    def __init__(self, recorder: Recorder, tlsa_of: TlsaOf, unseen: Unseen | None = None) -> None:
        """Certificates are wanted where there is an `unseen`, which tells the new ones."""
        self.recorder = recorder
        self._tlsa_of = tlsa_of
        self._unseen = unseen

    def over(self, interview: Interview, conclusion: Conclusion, ended: float) -> Account:
        """The account of an interview that ended then, in seconds since 1970."""
        record = self.recorder.endpoint(interview, conclusion, ended)
        new_ones = self._unseen.new_ones(chain_of(interview).certificates) if self._unseen else ()
        certificates = tuple(self.recorder.certificate(der, interview.endpoint) for der in new_ones)
        result = self._result(interview, record, ended)
        if dane := dane_part(result):
            record["dane"] = dane
        return Account(record, certificates, result)

    def _result(self, interview: Interview, record: Record, ended: float) -> EndpointResult:
        """What it came to for its domains. Never raises: there is a record already."""
        try:
            return self._judged(interview, record, ended)
        except Exception as error:  # a bug of ours
            log.error("internal error", endpoint=interview.endpoint.id, exc_info=error)
            return EndpointResult(record["status"])

    def _judged(self, interview: Interview, record: Record, ended: float) -> EndpointResult:
        tlsa, certificate = self._tlsa_of(interview.endpoint), record["certificate"]
        words = None if certificate is None else tuple(map(Result, certificate["results"]))
        if tlsa is None:
            return EndpointResult(record["status"], words)
        chain, moment = chain_of(interview).certificates, datetime.fromtimestamp(ended, UTC)
        return EndpointResult(record["status"], words, tlsa.digest, judge(tlsa.records, chain, tlsa.base, moment))
