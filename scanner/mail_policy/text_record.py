"""A TXT record that says what it is in its first field: `v=STSv1; …` (RFC 8461 §3.1), `v=TLSRPTv1; …` (RFC 8460 §3).

Both have the same form:

    record = version 1*(delimiter field) [delimiter]        version   = "v=" and its name, in this case
    field  = name "=" value                                 delimiter = *WSP ";" *WSP

and the same rule for a name with several records: those that do not begin with the version and a semicolon are
discarded, and if what remains is not one, it is as if there were none.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from dns.rdata import Rdata
from dns.rdtypes.txtbase import TXTBase

WSP = " \t"
FIELD_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,31}")
_VALUE = re.compile(r"[\t -~]+")  # an extension's has less, and an address may have white space around it
_EXTENSION_VALUE = re.compile(r"[!-:<>-~]+")


class RecordError(StrEnum):
    """Why a record does not count."""

    SEVERAL = "several_records"
    SYNTAX = "syntax"
    MISSING_FIELD = "missing_field"  # the one that the record is for
    ADDRESS = "address"  # it is not one that reports can be sent to


@dataclass(frozen=True, slots=True)
class Fields:
    """The fields behind the version, in their order and as they stand there; none where there is an error."""

    fields: tuple[tuple[str, str], ...] = ()
    error: RecordError | None = None

    def all(self, name: str) -> list[str]:
        """The values of the fields of this name."""
        return [value for each, value in self.fields if each == name]


def texts_of(records: Iterable[Rdata]) -> tuple[bytes, ...]:
    """The text of each TXT record: its strings are joined with nothing between (RFC 8461 §3.1, RFC 8460 §3)."""
    return tuple(b"".join(record.strings) for record in records if isinstance(record, TXTBase))


def read_fields(texts: Iterable[bytes], version: str) -> Fields | None:
    """The one record of this version among the texts of a name; None where nothing there means to be one. Never raises.

    A text that has the version, and no semicolon behind it, is one that somebody got wrong: that is said where there is
    no better one.
    """
    begins = re.compile(rf"v={version}(?![A-Za-z0-9])")
    meant = [text for text in (each.decode("latin-1") for each in texts) if begins.match(text)]
    records = [text for text in meant if text[len("v=" + version) :].lstrip(WSP).startswith(";")]
    if len(records) > 1:
        return Fields(error=RecordError.SEVERAL)
    if not records:
        return Fields(error=RecordError.SYNTAX) if meant else None
    return _read(records[0])


def is_extension_value(value: str) -> bool:
    """Is it the value of an extension: what can be seen of ASCII, without `=` and `;`?"""
    return _EXTENSION_VALUE.fullmatch(value) is not None


def _read(record: str) -> Fields:
    _, *parts = record.split(";")
    if len(parts) > 1 and not parts[-1].strip(WSP):
        parts.pop()  # the delimiter at the end
    fields = [part.strip(WSP).partition("=") for part in parts]
    if not all(FIELD_NAME.fullmatch(name) and _VALUE.fullmatch(value) for name, _, value in fields):
        return Fields(error=RecordError.SYNTAX)
    return Fields(tuple((name, value) for name, _, value in fields))
