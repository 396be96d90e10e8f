"""The outputs of several shards: what each says of its run, whether they belong together, and the run that they make.

Pure. `merge.py` reads and writes them.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import orjson

from scanner.config import shown_path
from scanner.pace import Learnt
from scanner.record import SCHEMA, Record, joined_run_id
from scanner.resume import MAY_DIFFER
from scanner.run_record import check_run
from targets.prefixes import Prefixes
from targets.shares import Share

MOST_SHARDS = 999_999  # as `--shard` takes them
MOST_NAMED = 10  # shards that are missing, in a message
_PATHS = frozenset({"inputs", "exclude", "trust"})  # of which the directories may be others on other machines
_HEAD = frozenset({"type", "schema", "run_id", "event", "time"})
# Where all were killed.
_NOBODY_TOLD: Record = {
    "connections": 0,
    "answered": 0,
    "errors": {},
    "hello_name_resolves": None,
    "dns": dict.fromkeys(("queries", "tcp", "silences", "set_aside"), 0),
}
_OUR_OWN = MAY_DIFFER | {"certificates"}


class MergeError(Exception):
    """Outputs that cannot be joined; the message is a sentence to act on."""


@dataclass(slots=True)
class Shard:
    """An output of a shard, as far as its records were read. `torn_bytes` at its end are no whole line."""

    path: str
    first: Record
    share: Share
    torn_bytes: int = 0
    starts: list[Record] = field(default_factory=list)  # of the run, and of its later parts
    ends: list[Record] = field(default_factory=list)
    is_ended: bool = False  # is the last record that of an end?
    endpoints: Counter[str] = field(default_factory=Counter)  # by status
    domains: int = 0
    rejected: Counter[str] = field(default_factory=Counter)

    @property
    def run_id(self) -> str:
        """Of all its records."""
        run_id: str = self.first["run_id"]
        return run_id

    @property
    def name(self) -> str:
        """Its shard, as `--shard` has it."""
        return f"{self.share.index}/{self.share.of}"

    @property
    def is_complete(self) -> bool:
        """Did its run, or the last part of it, come to its end?"""
        return self.is_ended and bool(self.ends[-1]["complete"])

    @property
    def certificates(self) -> int | None:
        """How many its run wrote in all; None where a part of it was killed, and did not say."""
        is_told = len(self.starts) == len(self.ends)
        return sum(end["certificates"] or 0 for end in self.ends) if is_told else None


def shard_of(path: str, first: Record) -> Shard:
    """The shard of an output with this first record. Raises MergeError, and KeyError and the like for what is none."""
    if (first.get("type"), first.get("event"), first.get("schema")) != ("run", "start", SCHEMA):
        raise MergeError(f"{path}: it does not begin with the record of a run, in schema {SCHEMA}")
    if first.get("shard") is None:
        what = "it was joined already" if "merged" in first else "it is of a whole run"
        raise MergeError(f"{path}: {what}, and not of a shard (--shard)")
    check_run(first)
    index, of = map(int, first["shard"].split("/"))
    if not 1 <= index <= of <= MOST_SHARDS:
        raise ValueError(first["shard"])
    return Shard(path, first, Share(index, of, Prefixes(*first["settings"]["network_prefixes"])))


def check_together(shards: Sequence[Shard], *, incomplete: bool) -> None:
    """Are these the shards of one scan, each once, by their first records? Raises MergeError.

    `incomplete`: some may be missing.
    """
    _check_each_once(shards)
    for shard in shards[1:]:
        if found := list(_differences(shards[0], shard)):
            raise MergeError(f"{shard.path} cannot be joined with {shards[0].path}: {'; '.join(found)}")
    if (missing := missing_shards(shards)) and not incomplete:
        more = f" and {len(missing) - MOST_NAMED:,} more" if len(missing) > MOST_NAMED else ""
        named = ", ".join(missing[:MOST_NAMED]) + more
        raise MergeError(f"no output is of shard {named}; --incomplete joins what there is")


def _check_each_once(shards: Sequence[Shard]) -> None:
    of: dict[int, Shard] = {}
    for shard in shards:
        if shard.share.of != shards[0].share.of:
            named = f"{shard.path} is shard {shard.name}, and {shards[0].path} is {shards[0].name}"
            raise MergeError(f"{named}: they are not of one scan")
        if other := of.get(shard.share.index):
            raise MergeError(f"{other.path} and {shard.path} are both shard {shard.name}")
        of[shard.share.index] = shard


def _differences(one: Shard, other: Shard) -> Iterator[str]:
    """What was set otherwise, each by its name."""
    first, second = _settings(one.first), _settings(other.first)
    for name in {**first, **second}:
        if first.get(name) != second.get(name):
            yield f"{name} was {_shown(second.get(name))} and not {_shown(first.get(name))}"


def _settings(first: Record) -> dict[str, Any]:
    """Those that decide what is asked and written."""
    settings = {name: value for name, value in first["settings"].items() if name not in _OUR_OWN}
    names = {name: _without_directories(settings.get(name)) for name in _PATHS}
    return {**settings, **names, "seed": first["seed"]}


def _without_directories(paths: Any) -> Any:
    return [_file_name(each) for each in paths] if isinstance(paths, list) else _file_name(paths)


def _file_name(path: Any) -> Any:
    return path.rpartition("/")[2] if isinstance(path, str) else path


def _shown(value: Any) -> str:
    return orjson.dumps(value).decode()


def check_whole(shards: Sequence[Shard]) -> None:
    """Did each come to its end, and had all the same input? Raises MergeError."""
    for shard in shards:
        if shard.torn_bytes:
            raise MergeError(
                f"{shard.path}: its end is torn off; go on with its run (--resume), or join it --incomplete"
            )
        if not shard.is_complete:
            how = "was stopped" if shard.is_ended else "has no end: it runs still, or was killed"
            raise MergeError(f"{shard.path}: its run {how}; go on with it (--resume), or join it --incomplete")
        ours, theirs = shard.ends[-1]["lines"], shards[0].ends[-1]["lines"]
        if (ours["read"], ours["blank"]) != (theirs["read"], theirs["blank"]):
            counts = (
                f"{ours['read']:,} lines ({ours['blank']:,} blank) and {theirs['read']:,} ({theirs['blank']:,} blank)"
            )
            raise MergeError(f"{shard.path} and {shards[0].path} are of inputs that differ: they had {counts}")


def missing_shards(shards: Sequence[Shard]) -> list[str]:
    """Those that nobody has brought."""
    of = shards[0].share.of
    there = {shard.share.index for shard in shards}
    return [f"{index}/{of}" for index in range(1, of + 1) if index not in there]


def doubts(shards: Sequence[Shard]) -> Iterator[str]:
    """What does not stand in the way, and is to be known."""
    for name in ("tlsweep", "tls_library", "trust_store"):
        of = {_shown(start[name]): shard.path for shard in shards for start in shard.starts}
        if len(of) > 1:
            yield f"{name} is not the same: {', '.join(f'{value} in {path}' for value, path in of.items())}"
    for shard in shards:
        if not shard.is_complete:
            yield f"{shard.path} is not complete"
        if shard.torn_bytes:
            yield f"{shard.path}: {shard.torn_bytes:,} bytes at its end are torn off, and left out"
    lines = _counted(shards)
    counted = sum(count for what, count in lines.items() if what != "read")
    if all(shard.is_complete for shard in shards) and not missing_shards(shards) and counted != lines["read"]:
        yield f"of {lines['read']:,} lines the shards count {counted:,}: the DNS did not tell all of them the same"


def joined_start(shards: Sequence[Shard], certificates: str | None) -> Record:
    """The first record of the whole, for shards in their order; `certificates`: where these went."""
    firsts = [shard.first for shard in shards]
    names = {first["hello_name"] for first in firsts}
    return {
        **firsts[0],
        "run_id": joined_run_id(shard.run_id for shard in shards),
        "time": min(first["time"] for first in firsts),
        "settings": {**firsts[0]["settings"], "certificates": certificates, "rotate": None},
        "resolvers": _each_once(each for first in firsts for each in first["resolvers"]),
        "source_addresses": _each_once(each for first in firsts for each in first["source_addresses"]),
        "hello_name": names.pop() if len(names) == 1 else None,
        "shard": None,
        "merged": list(map(_part, shards)),
    }


def _each_once(values: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(values))


def _part(shard: Shard) -> Record:
    copied = ("tlsweep", "tls_library", "trust_store", "resolvers", "source_addresses", "hello_name")
    return {
        "run_id": shard.run_id,
        "shard": shard.name,
        "output": shown_path(shard.path),
        "started": shard.first["time"],
        "ended": shard.ends[-1]["time"] if shard.is_ended else None,
        "complete": shard.is_complete,
        **{name: shard.first[name] for name in copied},
    }


def joined_end(shards: Sequence[Shard], start: Record, domains: Mapping[str, int], certificates: int | None) -> Record:
    """The last record of the whole. `domains`: how many records of them there are, by status.

    What the records tell is counted by them, and all else is what the shards' own ends have, together.
    """
    ends = [end for shard in shards for end in shard.ends]
    summed = _sum([{name: value for name, value in end.items() if name not in _HEAD} for end in ends]) or {}
    statuses: Counter[str] = sum((shard.endpoints for shard in shards), Counter())
    unfinished = _last(shards, "endpoints", "unfinished")
    ended = max([end["time"] for end in ends] or [start["time"]])
    return {
        **{name: start[name] for name in ("type", "schema", "run_id")},
        "event": "end",
        "time": ended,
        **_NOBODY_TOLD,
        **summed,
        "complete": all(shard.is_complete for shard in shards) and not missing_shards(shards),
        "lines": _lines(shards),
        "rejected": dict(sum((shard.rejected for shard in shards), Counter[str]())),
        "endpoints": {
            "taken": statuses.total() + unfinished,
            "recorded": statuses.total(),
            "unfinished": unfinished,
            "given_up": sum(end["endpoints"]["given_up"] for end in ends),
            "left_out": 0,
            "status": dict(statuses),
        },
        "domains": {
            "recorded": sum(domains.values()),
            "unfinished": _last(shards, "domains", "unfinished"),
            "left_out": 0,
            "status": dict(domains),
        },
        "certificates": certificates,
        "learnt": sum((Learnt.of(end["learnt"]) for end in ends), Learnt()).facts(),
        "duration_s": (datetime.fromisoformat(ended) - datetime.fromisoformat(start["time"])).total_seconds(),
    }


def _lines(shards: Sequence[Shard]) -> dict[str, int]:
    """Each was read in every shard, and counts in one.

    Those of shards that are not there are left over; what two count, told otherwise by the DNS, is counted once.
    """
    told = _counted(shards)
    left = told["read"] - sum(count for what, count in told.items() if what != "read")
    told["expanded"] += min(0, left)
    return {**told, "other_shards": left} if left > 0 else told


def _counted(shards: Sequence[Shard]) -> dict[str, int]:
    told = [shard.ends[-1]["lines"] for shard in shards if shard.ends]
    return {
        "read": max((each["read"] for each in told), default=0),
        "blank": max((each["blank"] for each in told), default=0),
        "expanded": sum(each["expanded"] for each in told),
        "rejected": sum(each["rejected"] for each in told),
    }


def _last(shards: Sequence[Shard], what: str, count: str) -> int:
    return sum(shard.ends[-1][what][count] for shard in shards if shard.is_ended)


def _sum(values: list[Any]) -> Any:
    """Numbers added up, also those in objects; lists one behind the other. What is of another kind is left out."""
    there = [value for value in values if value is not None]
    match there:
        case [bool(), *_]:
            return all(there)
        case [int() | float(), *_]:
            return sum(value for value in there if isinstance(value, int | float))
        case [list(), *_]:
            return [each for value in there if isinstance(value, list) for each in value]
        case [dict(), *_]:
            objects = [value for value in there if isinstance(value, dict)]
            names = dict.fromkeys(name for value in objects for name in value)
            return {name: _sum([value.get(name) for value in objects]) for name in names}
        case _:
            return there[0] if there else None
