"""`--fallback-scsv`: does the server refuse a client that was talked down to an older version (RFC 7507)?

Whoever offers less than it could, because a better offer failed, says so by a suite that is none, TLS_FALLBACK_SCSV.
A server that could do better then answers with alert 86. TLS 1.3 has other means against it (RFC 8446 §4.1.3), and yet
its servers mostly heed the value. One hello, of the newest version but one; where a single version is spoken, there is
nothing to fall back to.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from scanner.probes.probe import Known, Probe, Talked
from scanner.probes.sweep import usual_offer
from scanner.tls.exchange import Evidence, HelloAnswer
from scanner.tls.names import Version, alert_name
from scanner.tls.suites import FALLBACK_SCSV
from scanner.tls.talk import SayHello, Talk

# RFC 7507 §3 lets a server say protocol_version for a version that it does not speak. This one it does.
_REFUSALS = {"inappropriate_fallback", "protocol_version"}
_GOOD = {Version.TLS1_2, Version.TLS1_3}


class FallbackScsv(Probe):
    """See the head of the module."""

    name = "fallback_scsv"
    usual = 1
    help = (
        "Whether a client that falls back to an older version is refused (TLS_FALLBACK_SCSV). A hello of the newest"
        " version but one, on one connection; none where a single version is spoken."
    )

    def ask(self, known: Known, talked: Sequence[Talked]) -> list[Talk]:
        """The hello by which that version is known, and the value behind its suites."""
        version = _version(known)
        if version is None or talked:
            return []
        offer = usual_offer(known, version)
        return [SayHello(replace(offer, suites=(*offer.all_suites, FALLBACK_SCSV)))]

    def result(self, known: Known, talked: Sequence[Talked]) -> dict[str, Any]:
        """The `verdict`, and what the server could be talked down from and to."""
        version = _version(known)
        answer = next((each.found for each in talked if isinstance(each.found, HelloAnswer)), None)
        alert = alert_name(answer.alert) if answer and answer.alert is not None else None
        return {
            "verdict": _verdict(answer, alert) if version else "not_applicable",
            "version": version,
            "evidence": answer.evidence if answer else None,
            "alert": alert,
            "newest": spoken[-1] if (spoken := _of_tls(known)) else None,
            "oldest": spoken[0] if spoken else None,
        }

    def findings(self, result: Mapping[str, Any]) -> Iterable[str]:
        """`fallback-scsv-missing`, from TLS 1.2 or newer to a version below: above, RFC 8446 has its own protection."""
        if result["verdict"] == "no" and result["newest"] in _GOOD and result["oldest"] not in _GOOD:
            yield "fallback-scsv-missing"


def _of_tls(known: Known) -> list[Version]:
    return [version for version in known.versions if version is not Version.SSLV2]


def _version(known: Known) -> Version | None:
    """The newest but one; SSLv2 has no such suites."""
    return spoken[-2] if len(spoken := _of_tls(known)) > 1 else None


def _verdict(answer: HelloAnswer | None, alert: str | None) -> str:
    if answer is None:
        return "unknown"
    if answer.evidence in (Evidence.SERVER_HELLO, Evidence.LOWER_VERSION):
        return "no"
    return "yes" if alert in _REFUSALS else "unknown"
