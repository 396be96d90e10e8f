"""What docs/records.md shows of each requested question is what a reader of the output gets."""

import json
import re
from pathlib import Path

import pytest
from jsonschema_rs import Draft202012Validator

from scanner.probes import PROBES
from tests.conftest import SCHEMA

TEXT = (Path(__file__).parents[3] / "docs" / "records.md").read_text("utf-8")
SHOWN = dict(re.findall(r"^#### `(\w+)`[^\n]*\n(?:(?!^#)[^\n]*\n)*?```js\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE))


@pytest.mark.parametrize("name", ["alpn", "resumption", "fallback_scsv", "renegotiation", "compression"])
def test_the_part_that_is_shown(name: str) -> None:
    """It keeps to the schema, and the settings of a run may name it."""
    assert name in PROBES
    Draft202012Validator({**SCHEMA, "oneOf": [{"$ref": f"#/$defs/{name}"}]}).validate(json.loads(SHOWN[name]))
    properties = SCHEMA["$defs"]["endpoint"]["properties"]
    assert properties[name]["anyOf"][0] == {"$ref": f"#/$defs/{name}"}
    assert name in SCHEMA["$defs"]["settings"]["properties"]["probes"]["items"]["enum"]
