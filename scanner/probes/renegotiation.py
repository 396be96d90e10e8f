"""`--renegotiation`: may a handshake be begun anew inside TLS, and is it tied to the one before it (RFC 5746)?

Where it is not, an attacker's words can be put before a victim's (CVE-2009-3555). Where clients may begin it, they can
have the server make handshakes without end on one connection (CVE-2011-1473). Two connections: a hello of the newest
version below TLS 1.3, which has no renegotiation, and a handshake that asks for one renegotiation, once.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from scanner.probes.probe import Known, Probe, Talked
from scanner.probes.sweep import usual_manner, usual_offer
from scanner.tls.exchange import HelloAnswer
from scanner.tls.names import Version
from scanner.tls.renegotiation import Answer, Renegotiate, Renegotiated
from scanner.tls.talk import SayHello, Talk

RENEGOTIATION_INFO = 0xFF01


class Renegotiation(Probe):
    """See the head of the module."""

    name = "renegotiation"
    usual = 2
    help = (
        "Whether renegotiation is secure (RFC 5746), and whether a client may begin one. A hello, and a full handshake"
        " that is begun anew, once: two connections; none where TLS 1.3 is all that is spoken."
    )

    def ask(self, known: Known, talked: Sequence[Talked]) -> list[Talk]:
        """The library has no SSLv3 to renegotiate in, and always has extensions."""
        version = known.newest_before_tls13
        if version is None or talked:
            return []
        asked: list[Talk] = [SayHello(usual_offer(known, version))]
        manner = usual_manner(known, version) if version.code >= Version.TLS1_0.code else None
        return [*asked, Renegotiate(manner)] if manner else asked

    def result(self, known: Known, talked: Sequence[Talked]) -> dict[str, Any]:
        """`secure`: does the ServerHello have renegotiation_info? `client_initiated`: what became of the attempt."""
        version = known.newest_before_tls13
        heard = next((each.found for each in talked if isinstance(each.found, HelloAnswer)), None)
        hello = heard.server_hello if heard else None
        tried = next((each.found for each in talked if isinstance(each.found, Renegotiated)), None)
        answer = tried.answer if tried else Answer.UNKNOWN
        return {
            "version": version,
            "secure": RENEGOTIATION_INFO in hello.extensions if hello else None,
            "client_initiated": answer if version else "not_applicable",
            "alert": tried.alert if tried else None,
            "cause": tried.cause if tried else None,
        }

    def findings(self, result: Mapping[str, Any]) -> Iterable[str]:
        """`insecure-renegotiation`, or else `client-renegotiation`."""
        if result["client_initiated"] == Answer.ACCEPTED and result["secure"] is not None:
            yield "client-renegotiation" if result["secure"] else "insecure-renegotiation"
