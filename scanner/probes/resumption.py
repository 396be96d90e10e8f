"""`--resumption`: does the server offer sessions to go on with later, and does it then go on with them?

Each way that the versions spoken have is tried by itself: session ids and tickets up to TLS 1.2, tickets of TLS 1.3.
One handshake finds out whether a session is offered, and where it is, a second one asks to go on with it.
"""

from collections.abc import Sequence
from typing import Any

from scanner.probes.probe import Known, Probe, Talked
from scanner.probes.sweep import usual_manner
from scanner.tls.names import Version
from scanner.tls.sessions import MakeSession, Session, Way
from scanner.tls.talk import Talk


class Resumption(Probe):
    """See the head of the module."""

    name = "resumption"
    usual = 6
    help = (
        "Whether sessions are offered and resumed: by session id and by ticket up to TLS 1.2, by ticket in TLS 1.3, and"
        " whether that lets early data in. A full handshake for each of the three, and another where a session is"
        " offered: 6 connections at the most."
    )

    def ask(self, known: Known, talked: Sequence[Talked]) -> list[Talk]:
        """First all without a session, then all with the one that they got."""
        if not talked:
            manners = ((way, version, usual_manner(known, version)) for way, version in _ways(known).items())
            return [MakeSession(way, version, manner=manner) for way, version, manner in manners if manner]
        if any(_is_second(each) for each in talked):
            return []
        offered = ((each.talk, each.found) for each in talked)
        return [
            MakeSession(talk.way, talk.version, found.resumable, talk.manner)
            for talk, found in offered
            if isinstance(talk, MakeSession) and isinstance(found, Session) and found.resumable
        ]

    def result(self, known: Known, talked: Sequence[Talked]) -> dict[str, Any]:
        """A part for each way; null where no version spoken has it."""
        ways = _ways(known)
        return {way.value: _result(way, ways[way], talked) if way in ways else None for way in Way}


def _ways(known: Known) -> dict[Way, Version]:
    """Those that the versions spoken have, each with the newest; the library has no SSLv3."""
    of_tls = [version for version in known.versions if version.code >= Version.TLS1_0.code]
    older = [version for version in of_tls if version is not Version.TLS1_3]
    ways = dict.fromkeys((Way.ID, Way.TICKET), older[-1]) if older else {}
    return ways | ({Way.PSK: Version.TLS1_3} if Version.TLS1_3 in of_tls else {})


def _is_second(talked: Talked) -> bool:
    return isinstance(talked.talk, MakeSession) and talked.talk.earlier is not None


def _result(way: Way, version: Version, talked: Sequence[Talked]) -> dict[str, Any]:
    ours = [each for each in talked if isinstance(each.talk, MakeSession) and each.talk.way is way]
    first = next((each.found for each in ours if not _is_second(each) and isinstance(each.found, Session)), None)
    second = next((each.found for each in ours if _is_second(each) and isinstance(each.found, Session)), None)
    ticket = first.ticket if first else None
    facts: dict[str, Any] = {
        "version": first.version if first else version,
        "offered": first.offered if first else None,
        "resumed": second.resumed if second else None,
    }
    if way is not Way.ID:
        facts["lifetime_s"] = ticket.lifetime_s if ticket else None
    if way is Way.PSK:
        facts["max_early_data_bytes"] = ticket.max_early_data_bytes if ticket else None
    return facts
