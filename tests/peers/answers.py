"""A resolver without a network: what it says to each question is a table, and asking takes no time.

    Answers({"example.org MX": ["10 mx.example.org."], "mx.example.org A": ["1.1.1.1"], "b MX": DnsStatus.SERVFAIL})

A name that has no record of any type does not exist; of a name that has some, all other types are empty.
"""

from collections import Counter
from collections.abc import Mapping, Sequence

import dns.rdata
import trio
from dns.rdatatype import RdataType

from targets.answer import DnsAnswer, Dnssec, DnsStatus
from targets.resolver import Resolver

Said = Sequence[str] | DnsStatus | DnsAnswer


def answer(kind: str, *records: str, dnssec: Dnssec = Dnssec.INDETERMINATE, canonical: str | None = None) -> DnsAnswer:
    """An answer with these records; without any, that there is none."""
    read = tuple(dns.rdata.from_text("IN", kind, record) for record in records)
    return DnsAnswer(DnsStatus.OK if read else DnsStatus.NODATA, read, canonical, dnssec, 60)


class Answers(Resolver):
    """Says what its table has; `later` is what it says to a question from the second time on."""

    def __init__(
        self,
        table: Mapping[str, Said],
        *,
        dnssec: Dnssec = Dnssec.INDETERMINATE,
        later: Mapping[str, Said] | None = None,
    ) -> None:
        super().__init__()
        self.asked: Counter[str] = Counter()
        self.at_once = self.most_at_once = 0
        self._table = table
        self._later = later or {}
        self._dnssec = dnssec
        self._names = {question.split()[0] for question in table}

    async def ask(self, name: str, kind: RdataType) -> DnsAnswer:
        """The answer to one question."""
        question = f"{name} {RdataType.to_text(kind)}"
        self.asked[question] += 1
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        await trio.lowlevel.checkpoint()
        self.at_once -= 1
        table = self._later if question in self._later and self.asked[question] > 1 else self._table
        match table.get(question):
            case None:
                status = DnsStatus.NODATA if name in self._names else DnsStatus.NXDOMAIN
                return DnsAnswer(status, dnssec=self._dnssec)
            case DnsStatus() as status:
                return DnsAnswer(status, dnssec=Dnssec.BOGUS if status is DnsStatus.BOGUS else Dnssec.INDETERMINATE)
            case DnsAnswer() as said:
                return said
            case records:
                return answer(RdataType.to_text(kind), *records, dnssec=self._dnssec)
