"""Does our name in EHLO resolve to us, and do we resolve to it? Servers look that up, and so do people with a log.

    name ──A, AAAA──▶ addresses, one of them ours ──PTR──▶ the name

Behind a NAT, connections come from another address than this machine knows, so nothing that is found is an error.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address

from dns.rdatatype import RdataType

from targets.answer import DnsStatus
from targets.resolver import Resolver
from targets.target import Address, Reason

MOST_ASKED = 8  # addresses whose way back is looked up
_LITERAL = re.compile(r"\[(?:IPv6:)?([^\]]+)\]", re.IGNORECASE)  # RFC 5321 §4.1.3
_DENIED = {Reason.NXDOMAIN, Reason.NODATA}


@dataclass(frozen=True, slots=True)
class NameCheck:
    """How the name stands. `resolves`: to one of our addresses and back; None where nobody could tell.

    `complaint` is a sentence to act on, where there is something to be done.
    """

    resolves: bool | None
    complaint: str | None = None


async def check_name(name: str, ours: Sequence[str], resolver: Resolver) -> NameCheck:
    """Look the name up, and the way back. `ours`: the addresses that connections come from, as far as we know.

    Raises NoNameServersError.
    """
    own = tuple(map(ip_address, ours))
    if literal := _LITERAL.fullmatch(name):
        return _check_literal(literal[1], own)
    found = await resolver.resolve(name)
    if not found.addresses:
        if found.failures[0].reason not in _DENIED:
            return NameCheck(None, f"{name} could not be looked up: {found.failures[0].detail}")
        return NameCheck(False, f"{name} does not resolve: {found.failures[0].detail}")
    matching = [each for each in found.addresses if each in own]
    if not matching:
        return NameCheck(
            False,
            f"{name} resolves to {_listed(found.addresses)}, and connections come from {_listed(own) or 'nowhere'};"
            " behind a NAT that may be as it should be",
        )
    return await _way_back(name, matching[:MOST_ASKED], resolver)


def _check_literal(text: str, own: Sequence[Address]) -> NameCheck:
    try:
        is_ours = ip_address(text) in own
    except ValueError:
        return NameCheck(False, f"{text} is no address")
    if is_ours:
        return NameCheck(True)
    return NameCheck(
        False, f"{text} is not where connections come from ({_listed(own)}); behind a NAT that may be as it should be"
    )


async def _way_back(name: str, addresses: Sequence[Address], resolver: Resolver) -> NameCheck:
    """What the addresses resolve to: each of them has to lead to the name, among others or alone."""
    wanted = name.lower().removesuffix(".")
    for address in addresses:
        answer = await resolver.ask(address.reverse_pointer, RdataType.PTR)
        names = sorted(record.to_text().removesuffix(".").lower() for record in answer.records)
        if wanted in names:
            continue
        if not answer.status.is_final:
            return NameCheck(None, f"the name of {address} could not be looked up: {answer.detail or answer.status}")
        leads = f"leads to {_listed(names)}, and not back" if answer.status is DnsStatus.OK else "has no name"
        return NameCheck(False, f"{name} resolves to {address}, which {leads} (PTR)")
    return NameCheck(True)


def _listed(what: Sequence[object]) -> str:
    return ", ".join(map(str, what[:MOST_ASKED]))
