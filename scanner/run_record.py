"""The records that begin and end a run, read again: have they what is relied on? Anybody may have written the file.

Pure. Only what is taken from them is looked at, so that a later version may tell more.
"""

from collections.abc import Mapping
from datetime import datetime
from types import UnionType
from typing import Any

from targets.prefixes import IPV6_BITS

Shape = type | UnionType | range | list["Shape"] | dict[str, "Shape"]

EACH = "*"  # in place of the names of an object: it may have any
COUNT = range(2**53)  # so that a sum of many can be written
SEED = range(2**63)

_RESUMED: Shape = {"settings": dict, "hello_name": str | None, "seed": SEED, "shard": str | None}
_START: Shape = {
    "time": str,
    "tlsweep": str,
    "tls_library": str,
    "settings": {"network_prefixes": [range(1, IPV6_BITS + 1)], "certificates": str | None},
    "trust_store": dict | None,
    "resolvers": [str],
    "source_addresses": [str],
    "hello_name": str | None,
    "seed": SEED,
    "shard": str | None,
}
_COUNTS: Shape = {EACH: COUNT}
_END: Shape = {
    "time": str,
    "complete": bool,
    "lines": {"read": COUNT, "blank": COUNT, "expanded": COUNT, "rejected": COUNT},
    "endpoints": {"unfinished": COUNT, "given_up": COUNT},
    "domains": {"unfinished": COUNT},
    "connections": COUNT,
    "answered": COUNT,
    "errors": {EACH: _COUNTS},
    "hello_name_resolves": bool | None,
    "dns": _COUNTS,
    "certificates": int | None,  # as they are told; counted where they are joined
    "learnt": {
        "addresses_slowed": COUNT,
        "networks_slowed": COUNT,
        "events": _COUNTS,
        "networks": [{"network": str, "events": COUNT, "interval_s": int | float}],
    },
}


def check_start(record: Mapping[str, Any]) -> None:
    """Can the run that begins with this record be gone on with? Raises ValueError."""
    if not _fits(record, _RESUMED):
        raise ValueError("start")


def check_run(record: Mapping[str, Any]) -> None:
    """Is this the record of a start, another start, or an end? Raises KeyError and ValueError for what is none."""
    if not _fits(record, _END if record["event"] == "end" else _START):
        raise ValueError(record["event"])
    if datetime.fromisoformat(record["time"]).tzinfo is None:
        raise ValueError(record["time"])


def _fits(value: Any, shape: Shape) -> bool:
    if isinstance(shape, range):
        return type(value) is int and value in shape
    if isinstance(shape, list):
        return isinstance(value, list) and all(_fits(part, shape[0]) for part in value)
    if isinstance(shape, dict) and EACH in shape:
        return isinstance(value, dict) and all(_fits(part, shape[EACH]) for part in value.values())
    if isinstance(shape, dict):
        return isinstance(value, dict) and all(name in value and _fits(value[name], shape[name]) for name in shape)
    return isinstance(value, shape)
