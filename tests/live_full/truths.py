"""What is true of mail servers in general, so that each one's own file says only what is its own."""

import re
from dataclasses import dataclass

from tests.live.servers import TLS13, Found, Truth, alert, gets

HOST = "mail.live.test"

# At Debian's security level OpenSSL 3 has no signature for what is older than TLS 1.2. It says so by that alert,
# whatever is offered.
NO_SIGNATURE: Truth = {"verdict": "no"} | alert("internal_error")
OLD_UNSIGNED: Truth = {
    "SSLv2": alert("protocol_version"),
    "SSLv3": alert("handshake_failure"),
    "TLSv1.0": NO_SIGNATURE,
    "TLSv1.1": NO_SIGNATURE,
}


@dataclass(frozen=True, slots=True, eq=False)
class Like:
    """Equal to every text that this expression matches: for numbers that change from version to version."""

    expression: str

    def __eq__(self, recorded: object) -> bool:
        return isinstance(recorded, str) and re.fullmatch(self.expression, recorded) is not None

    __hash__ = None  # type: ignore[assignment]


def accepted(
    code: str | None, text: object, *, before: Truth | None, inside: Truth | None, required: bool | None
) -> Truth:
    """`starttls` of a server that lists it, says yes, and does it."""
    return {
        "verdict": "ok",
        "stage": "reply",
        "cause": None,
        "hint": None,
        "code": code,
        "text": text,
        "advertised": True,
        "required": required,
        "early_bytes": None,
        "before": before,
        "inside": inside,
    }


def refused(
    verdict: str,
    stage: str,
    code: str | None = None,
    text: object = None,
    *,
    cause: str | None = None,
    hint: str | None = None,
    advertised: bool | None = None,
    required: bool | None = None,
    before: Truth | None = None,
) -> Truth:
    """`starttls` of a server with which it came to nothing."""
    return {
        "verdict": verdict,
        "stage": stage,
        "cause": cause,
        "hint": hint,
        "code": code,
        "text": text,
        "advertised": advertised,
        "required": required,
        "early_bytes": None,
        "before": before,
        "inside": None,
    }


def encrypted(starttls: Truth, versions: Truth, clients: Truth | None, *findings: str, **more: object) -> Truth:
    """The record of a server that speaks TLS behind STARTTLS and completes a handshake."""
    return {
        "status": "tls",
        "mode": "starttls",
        "starttls": starttls,
        "versions": versions,
        "tls": TLS13,
        "findings": Found(*findings),
        "clients": clients,
        "injection": None,
        "flags": [],
        **more,
    }


def implicit(inside: Truth | None, versions: Truth, *findings: str, **more: object) -> Truth:
    """The same of a port that speaks TLS from its first byte."""
    nothing: Truth = dict.fromkeys(("verdict", "stage", "code", "text", "advertised", "required", "before"))
    starttls = nothing | {"inside": inside}
    return (
        encrypted(starttls, versions, gets("fails", "fails", "fails", "secure"), *findings)
        | {"mode": "implicit"}
        | more
    )


def not_encrypted(status: str, starttls: Truth, clients: Truth | None, *findings: str, **more: object) -> Truth:
    """The record of a server with which no ClientHello was due."""
    flags = ["advertised_but_refused"] if starttls["advertised"] and starttls["verdict"].startswith("refused_") else []
    return {
        "status": status,
        "mode": "starttls",
        "starttls": starttls,
        "versions": None,
        "tls": None,
        "certificate": None,
        "findings": Found(*findings),
        "clients": clients,
        "injection": None,
        "flags": flags,
        "connections": 1,
        **more,
    }
