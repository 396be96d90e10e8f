"""The words for what became of a connection: what (verdict), where (stage), how (cause).

Errors are named by who is at fault: a refusal is a result, our own limit is never the server's "no", and FIN, RST
and silence are three things. The vocabulary is the contract of the output; `docs/records.md` defines each word.
"""

from dataclasses import dataclass
from enum import StrEnum


class Stage(StrEnum):
    """How far a connection had come."""

    CONNECT = "connect"
    GREETING = "greeting"
    CAPABILITIES = "capabilities"
    REPLY = "reply"  # to the upgrade command
    TLS = "tls"
    INSIDE = "inside"


class Verdict(StrEnum):
    """What a connection came to."""

    OK = "ok"
    ACCEPTED_NO_TLS = "accepted_no_tls"
    NOT_OFFERED = "not_offered"
    REFUSED_TEMPORARY = "refused_temporary"
    REFUSED_POLICY = "refused_policy"
    REFUSED_PERMANENT = "refused_permanent"
    REFUSED_SERVER_ERROR = "refused_server_error"
    UNAVAILABLE = "unavailable"
    REFUSED_SESSION = "refused_session"
    RATE_LIMITED = "rate_limited"
    PROTOCOL_MISMATCH = "protocol_mismatch"
    VIOLATION = "violation"
    TIMEOUT = "timeout"
    CLOSED = "closed"
    RESET = "reset"
    LIMIT_EXCEEDED = "limit_exceeded"
    TARPIT = "tarpit"
    UNREACHABLE = "unreachable"
    LOCAL_LIMITATION = "local_limitation"
    HANDSHAKE_FAILED = "handshake_failed"  # in `tls.error` only


class Flag(StrEnum):
    """What was odd about an endpoint on the way."""

    BARE_LF = "bare_lf"
    LINE_TOO_LONG = "line_too_long"
    UNADVERTISED = "unadvertised"
    ADVERTISED_BUT_REFUSED = "advertised_but_refused"
    EHLO_UNSUPPORTED = "ehlo_unsupported"
    AUTH_SSL = "auth_ssl"
    LOGIN_ONLY_ENCRYPTION = "login_only_encryption"
    NO_STREAM_VERSION = "no_stream_version"
    WHITESPACE_AFTER_PROCEED = "whitespace_after_proceed"
    CAPABILITIES_MISSING_INSIDE = "capabilities_missing_inside"
    LENGTH_INTOLERANT = "length_intolerant"
    EXTENSION_INTOLERANT = "extension_intolerant"
    SNI_REQUIRED = "sni_required"
    SNI_REJECTED = "sni_rejected"
    THROTTLED = "throttled"
    DEFERRED_DROPPED = "deferred_dropped"


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a connection, or a step of it, ended without its aim."""

    verdict: Verdict
    stage: Stage
    cause: str | None = None
    hint: str | None = None
    alert: str | None = None
    detail: str | None = None
