"""MTA-STS: which MX hosts a domain has, and that they speak TLS with certificates that verify (RFC 8461).

Pure. The TXT record of `_mta-sts.<domain>` says that there is a policy and which one (§3.1); the policy comes by HTTPS
(§3.2, §3.3: see `fetch`).
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum

from scanner.mail_policy.text_record import FIELD_NAME, WSP, RecordError, is_extension_value, read_fields

VERSION = "STSv1"
MAX_POLICY_BYTES = 65_536  # RFC 8461 §3.3 suggests 64 KB
MAX_MAX_AGE_S = 31_557_600  # §3.2: about a year

_ID = re.compile(r"[A-Za-z0-9]{1,32}")
_VALUE = re.compile(r"[ -~\x80-\U0010ffff]+")
_MAX_AGE = re.compile(r"[0-9]{1,10}")
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?"
_MX = re.compile(rf"(?!.{{256}})(?:\*\.)?{_LABEL}(?:\.{_LABEL})*")  # Domain: RFC 5321 §4.1.2, §4.5.3.1.2


@dataclass(frozen=True, slots=True)
class StsRecord:
    """What the TXT record says: the id of the policy, or why it does not count."""

    id: str | None = None
    error: RecordError | None = None


class StsMode(StrEnum):
    """What a sender does when an MX host does not pass (RFC 8461 §5)."""

    ENFORCE = "enforce"
    TESTING = "testing"
    NONE = "none"  # as if there were no policy


class PolicyError(StrEnum):
    """What is wrong with a policy: the first thing."""

    TOO_LARGE = "too_large"
    ENCODING = "encoding"  # not UTF-8
    SYNTAX = "syntax"  # a line that is no field
    VERSION = "version"  # missing, or another than STSv1
    MODE = "mode"
    MAX_AGE = "max_age"  # missing, no number, or more than a year
    MX = "mx"  # none where there must be one, or one that is no name


@dataclass(frozen=True, slots=True)
class StsPolicy:
    """The fields of a policy: what could be read, also where there is an error.

    `mx`: patterns as they stand there, in lower case; names in A-labels, or `*.` and such a name.
    """

    mode: StsMode | None = None
    max_age_s: int | None = None
    mx: tuple[str, ...] = ()
    error: PolicyError | None = None

    def covers(self, host: str) -> bool:
        """Is an MX host (lower case, A-labels) among its patterns? `*` stands for the whole left-most label (§4.1)."""
        label, dot, rest = host.partition(".")
        return host in self.mx or (bool(label and dot) and f"*.{rest}" in self.mx)


def read_sts_record(texts: Iterable[bytes]) -> StsRecord | None:
    """What the TXT records of `_mta-sts.<domain>` say (§3.1); None where there is no MTA-STS record. Never raises.

    An `id` with another character than letters and digits is, by the grammar, an extension that is called so.
    """
    found = read_fields(texts, VERSION)
    if found is None:
        return None
    if found.error:
        return StsRecord(error=found.error)
    if not all(is_extension_value(value) for _, value in found.fields):
        return StsRecord(error=RecordError.SYNTAX)
    policy_id = next(filter(_ID.fullmatch, found.all("id")), None)
    return StsRecord(policy_id, None if policy_id else RecordError.MISSING_FIELD)


def read_policy(body: bytes) -> StsPolicy:
    """What the body of `mta-sts.txt` says (§3.2). Never raises.

    Unknown fields are ignored, and all but the first of a field that is there twice, but for `mx`. An empty line is no
    field by the grammar; senders pass over it, and so do we.
    """
    if len(body) > MAX_POLICY_BYTES:
        return StsPolicy(error=PolicyError.TOO_LARGE)
    try:
        lines = body.decode("utf-8").split("\n")
    except UnicodeDecodeError:
        return StsPolicy(error=PolicyError.ENCODING)
    return _policy([_field(line) for line in (each.removesuffix("\r") for each in lines) if line])


def _field(line: str) -> tuple[str, str] | None:
    """Its name and its value; None where it is no field."""
    name, _, value = line.partition(":")
    value = value.strip(WSP)
    return (name, value) if FIELD_NAME.fullmatch(name) and _VALUE.fullmatch(value) else None


def _policy(lines: list[tuple[str, str] | None]) -> StsPolicy:
    fields = [line for line in lines if line]
    first = dict(reversed(fields))
    patterns = [value for name, value in fields if name == "mx"]
    max_age, mode = first.get("max_age", ""), first.get("mode")
    policy = StsPolicy(
        mode=StsMode(mode) if mode in set(StsMode) else None,
        max_age_s=int(max_age) if _MAX_AGE.fullmatch(max_age) else None,
        mx=tuple(dict.fromkeys(each.lower() for each in patterns if _MX.fullmatch(each))),
    )
    wrong = {
        PolicyError.SYNTAX: None in lines,
        PolicyError.VERSION: first.get("version") != VERSION,
        PolicyError.MODE: policy.mode is None,
        PolicyError.MAX_AGE: policy.max_age_s is None or policy.max_age_s > MAX_MAX_AGE_S,
        PolicyError.MX: not (patterns or policy.mode is StsMode.NONE) or not all(map(_MX.fullmatch, patterns)),
    }
    return replace(policy, error=next((error for error, applies in wrong.items() if applies), None))
