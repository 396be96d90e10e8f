"""JSON lines (one object a line): the keys `host`, `address`, `port`, `service` and `domain`; all others are tags."""

from typing import Any

import orjson

from targets.row import COLUMNS, NAMING, PORT, Row
from targets.shown import shown
from targets.target import TargetError


def rows(text: str) -> tuple[Row, ...]:
    """The record of a line. Raises TargetError with what is wrong with it."""
    found = json_object(text)
    cells = [(key, _cell(key, value)) for key, value in found.items() if key in COLUMNS]
    if not NAMING.intersection(key for key, cell in cells if cell):
        raise TargetError("the object has neither a host, nor an address, nor a domain")
    tags = [(_safe(key), _tag(key, value)) for key, value in found.items() if key not in COLUMNS and value is not None]
    return (Row.of(cells + tags),)


def json_object(text: str) -> dict[str, Any]:
    """The object that the text is. Raises TargetError."""
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise TargetError(f"not JSON ({error})") from error
    if not isinstance(found, dict):
        raise TargetError("not a JSON object")
    return found


def _cell(key: str, value: Any) -> str:
    match value:
        case None:
            return ""
        case str():
            return value.strip()
        case int() if key == PORT and not isinstance(value, bool):
            return str(value)
    raise TargetError(f"the value of {key!r} is not text")


def _tag(key: str, value: Any) -> str:
    """The library reads what is nested deeper than it can write."""
    try:
        return _safe(value if isinstance(value, str) else orjson.dumps(value).decode())
    except orjson.JSONEncodeError as error:
        raise TargetError(f"the value of {_safe(key)!r} is nested too deeply") from error


def _safe(text: str) -> str:
    """JSON may hold any character in an escape, also those that break a line or drive a terminal."""
    return shown(text.encode())
