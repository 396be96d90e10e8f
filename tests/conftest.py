"""Every record that a test makes keeps to `schema.json`, whatever else the test looks at."""

import functools
import gc
import json
from collections.abc import Callable, Iterator
from importlib.resources import files
from typing import Any

import hypothesis
import orjson
import pytest
from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match

from scanner.record import Recorder

# Thousands of tests are held all the while: to search them for cycles again and again takes a tenth of the time.
gc.set_threshold(200_000)

# Where a test names no number of its own: the fuzzer goes deeper, and these are to be run often.
hypothesis.settings.register_profile("often", max_examples=50)
hypothesis.settings.load_profile("often")

SCHEMA: dict[str, Any] = json.loads(files("scanner").joinpath("schema.json").read_text("utf-8"))
MAKERS = ("run", "rejected", "endpoint", "domain", "certificate")  # the methods of Recorder that make a record
KINDS = {kind["$ref"].rpartition("/")[2] for kind in SCHEMA["oneOf"]}


def _without_references(schema: Any) -> Any:
    """The same schema with each definition where it is referred to: looking it up takes a third of the time."""
    match schema:
        case {"$ref": str(reference), **rest}:
            referred = _without_references(SCHEMA["$defs"][reference.removeprefix("#/$defs/")])
            beside = {word: value for word, value in rest.items() if word not in ("title", "description")}
            return {"allOf": [referred], **_without_references(beside)} if beside else referred
        case dict():
            return {word: _without_references(value) for word, value in schema.items() if word != "$defs"}
        case list():
            return [_without_references(each) for each in schema]
        case _:
            return schema


_FORMATS = Draft202012Validator.FORMAT_CHECKER
_VALIDATOR = Draft202012Validator(SCHEMA, format_checker=_FORMATS)
_OF_KIND = {  # what is of no other kind by its type and event need not be tried as one
    kind: Draft202012Validator(_without_references(SCHEMA["$defs"][kind]), format_checker=_FORMATS) for kind in KINDS
}


class InvalidRecordError(AssertionError):
    """A record that breaks the contract of the output."""


def validate(record: dict[str, Any]) -> None:
    """Raise InvalidRecordError unless this record, read back from JSON, keeps to the schema, and its counts add up."""
    if not _validator_of(record).is_valid(record):
        raise InvalidRecordError(f"{_why(record)}\n{json.dumps(record)}")
    if record["type"] == "run" and record["event"] == "end":
        adds_up(record)


def adds_up(end: dict[str, Any]) -> None:
    """Raise InvalidRecordError unless all counts of the last record of a run are accounted for."""
    lines, endpoints, domains = end["lines"], end["endpoints"], end["domains"]
    sums = {
        "lines": (lines["read"], lines["blank"] + lines["expanded"] + lines["rejected"]),
        "endpoints": (endpoints["taken"], endpoints["recorded"] + endpoints["unfinished"]),
        "status": (endpoints["recorded"], sum(endpoints["status"].values())),
        "domains": (domains["recorded"], sum(domains["status"].values())),
        "connections": (
            end["connections"],
            end["answered"] + sum(sum(kinds.values()) for kinds in end["errors"].values()),
        ),
    }
    if wrong := {name: both for name, both in sums.items() if both[0] != both[1]}:
        raise InvalidRecordError(f"{wrong} do not add up\n{json.dumps(end)}")
    if end["complete"] and (endpoints["unfinished"] or domains["unfinished"]):
        raise InvalidRecordError(f"complete, and yet something is unfinished\n{json.dumps(end)}")


def validate_part(name: str, part: dict[str, Any]) -> None:
    """Raise InvalidRecordError unless this is what the schema calls by that name."""
    if error := best_match(_validator_of_part(name).iter_errors(part)):
        raise InvalidRecordError(f"{name}: {error.json_path}: {error.message}")


@functools.cache
def _validator_of_part(name: str) -> Draft202012Validator:
    return Draft202012Validator(_without_references(SCHEMA["$defs"][name]), format_checker=_FORMATS)


def _validator_of(record: dict[str, Any]) -> Draft202012Validator:
    """That of its own kind; of all, where it is of none."""
    kind = "_".join(str(word) for word in (record.get("type"), record.get("event")) if word is not None)
    return _OF_KIND.get(kind, _VALIDATOR)


def _why(record: dict[str, Any]) -> str:
    """What is wrong with it as a record of its own kind; that it is none of the others goes without saying."""
    error = best_match(_validator_of(record).iter_errors(record))
    return f"{error.json_path}: {error.message}" if error else "it is of no kind"


def as_written(record: dict[str, Any]) -> dict[str, Any]:
    """The record as a reader of the output gets it."""
    read: dict[str, Any] = orjson.loads(orjson.dumps(record))
    return read


@pytest.fixture(scope="session", autouse=True)
def every_record_is_validated() -> Iterator[None]:
    """Whatever Recorder makes is validated where it is made, so that the test that had it made fails."""
    with pytest.MonkeyPatch.context() as patch:
        for name in MAKERS:
            patch.setattr(Recorder, name, _validated(getattr(Recorder, name)))
        yield


def _validated(make: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
    @functools.wraps(make)
    def made(*args: Any, **kwargs: Any) -> dict[str, Any]:
        record = make(*args, **kwargs)
        validate(as_written(record))
        return record

    return made
