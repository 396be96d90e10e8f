"""Every record that a test makes keeps to `schema.json`, whatever else the test looks at."""

import functools
import gc
import json
from collections.abc import Callable, Iterable, Iterator
from importlib.resources import files
from typing import Any

import hypothesis
import orjson
import pytest
from jsonschema_rs import Draft202012Validator, ValidationError

from scanner.record import Recorder
from scanner.run_record import check_run

# Thousands of tests are held all the while: to search them for cycles again and again takes a tenth of the time.
gc.set_threshold(200_000)

# Where a test names no number of its own: the fuzzer goes deeper, and these are to be run often.
hypothesis.settings.register_profile("often", max_examples=50)
hypothesis.settings.load_profile("often")

SCHEMA: dict[str, Any] = json.loads(files("scanner").joinpath("schema.json").read_text("utf-8"))
MAKERS = ("run", "rejected", "endpoint", "domain", "certificate")  # the methods of Recorder that make a record
KINDS = {kind["$ref"].rpartition("/")[2] for kind in SCHEMA["oneOf"]}


def _validator(definition: str) -> Draft202012Validator:
    """Of what the schema calls so."""
    return Draft202012Validator({**SCHEMA, "oneOf": [{"$ref": f"#/$defs/{definition}"}]}, validate_formats=True)


_VALIDATOR = Draft202012Validator(SCHEMA, validate_formats=True)
# For a record of one kind it says more than that it is of none.
_OF_KIND = {kind.removesuffix("_record"): _validator(kind) for kind in KINDS}


class InvalidRecordError(AssertionError):
    """A record that breaks the contract of the output."""


def validate(record: dict[str, Any]) -> None:
    """Raise InvalidRecordError unless this record, read back from JSON, keeps to the schema, and its counts add up."""
    if not _OF_KIND.get(_kind_of(record), _VALIDATOR).is_valid(record):
        raise InvalidRecordError(f"{_why(record)}\n{json.dumps(record)}")
    if record["type"] == "run":
        check_run(record)  # else nobody could go on with it, or join it
    if record["type"] == "run" and record["event"] == "end":
        adds_up(record)


def adds_up(end: dict[str, Any]) -> None:
    """Raise InvalidRecordError unless all counts of the last record of a run are accounted for."""
    lines, endpoints, domains = end["lines"], end["endpoints"], end["domains"]
    sums = {
        "lines": (lines["read"], sum(count for what, count in lines.items() if what != "read")),
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
    if endpoints["given_up"] > endpoints["recorded"]:
        raise InvalidRecordError(f"more were given up than recorded\n{json.dumps(end)}")
    if end["complete"] and (endpoints["unfinished"] or domains["unfinished"]):
        raise InvalidRecordError(f"complete, and yet something is unfinished\n{json.dumps(end)}")


def validate_part(name: str, part: dict[str, Any]) -> None:
    """Raise InvalidRecordError unless this is what the schema calls by that name."""
    if why := explanation(_validator_of_part(name), part):
        raise InvalidRecordError(f"{name}: {why}")


def explanation(validator: Draft202012Validator, instance: Any) -> str | None:
    """What is wrong with an instance, and where: the deepest of what is; None where nothing is."""
    errors = [*_innermost(validator.iter_errors(instance))]
    if not errors:
        return None
    error = max(errors, key=lambda each: len(each.instance_path))
    return f"{'/'.join(map(str, error.instance_path)) or 'the whole'}: {error.message}"


def _innermost(errors: Iterable[ValidationError]) -> Iterator[ValidationError]:
    """Of a choice, why each of what may be chosen does not fit."""
    for error in errors:
        choices = [each for choice in getattr(error.kind, "context", ()) for each in choice]
        yield from _innermost(choices) if choices else (error,)


@functools.cache
def _validator_of_part(name: str) -> Draft202012Validator:
    return _validator(name)


def _kind_of(record: dict[str, Any]) -> str:
    return "_".join(str(word) for word in (record.get("type"), record.get("event")) if word is not None)


def _why(record: dict[str, Any]) -> str:
    """What is wrong with it as a record of its own kind; that it is none of the others goes without saying."""
    kind = _kind_of(record)
    return explanation(_OF_KIND[kind], record) or "" if kind in _OF_KIND else f"no record is called {kind!r}"


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
