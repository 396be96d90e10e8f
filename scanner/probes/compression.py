"""`--compression`: does the server compress what it encrypts? Then the length tells of secrets (CRIME, CVE-2012-4929).

TLS 1.3 has no compression (RFC 8446 §4.1.2), so the newest version below it is asked, with DEFLATE (RFC 3749) beside
null: one connection, and none where TLS 1.3 is all that is spoken.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from scanner.probes.probe import Known, Probe, Talked
from scanner.probes.sweep import usual_offer
from scanner.tls.exchange import HelloAnswer
from scanner.tls.talk import SayHello, Talk

NULL, DEFLATE = 0, 1
_NAMES = {NULL: "null", DEFLATE: "deflate"}


class Compression(Probe):
    """See the head of the module."""

    name = "compression"
    usual = 1
    help = (
        "Whether TLS compression is used (CRIME). A hello that offers DEFLATE, on one connection; none where TLS 1.3 is"
        " all that is spoken."
    )

    def ask(self, known: Known, talked: Sequence[Talked]) -> list[Talk]:
        """One hello, of the newest version that may have compression, as it was answered before."""
        version = known.newest_before_tls13
        if version is None or talked:
            return []
        return [SayHello(replace(usual_offer(known, version), compression=bytes((DEFLATE, NULL))))]

    def result(self, known: Known, talked: Sequence[Talked]) -> dict[str, Any]:
        """`verdict`, and the `method` that the server chose."""
        version = known.newest_before_tls13
        hello = next((each.found for each in talked if isinstance(each.found, HelloAnswer)), None)
        chosen = hello.server_hello if hello else None
        if version is None:  # TLS 1.3 alone
            return {"verdict": "no" if known.versions else "unknown", "method": None, "version": None}
        if chosen is None:
            return {"verdict": "unknown", "method": None, "version": version}
        method = _NAMES.get(chosen.compression, f"0x{chosen.compression:02x}")
        # A method that was not offered is nonsense, and tells nothing.
        verdict = {NULL: "no", DEFLATE: "yes"}.get(chosen.compression, "unknown")
        return {"verdict": verdict, "method": method, "version": version}

    def findings(self, result: Mapping[str, Any]) -> Iterable[str]:
        """`compression-enabled`."""
        if result["verdict"] == "yes":
            yield "compression-enabled"
