"""Which form an input has, told by its first lines.

    <...                                        nmap (XML)
    # Nmap ..., # Masscan ..., Host: ADDRESS (  nmap (grepable)
    #masscan, open tcp 25 ADDRESS TIME          masscan (list)
    [ alone, [{, {"ip":                         masscan (JSON)
    {                                           jsonl
    a header of rank,domain; NUMBER,NAME        tranco
    a header that names host, address, domain   csv
    a header that names saddr                   zmap
    ADDRESS,NAME and ,NAME with up to two more  zgrab2
    anything else                               text, as which ZMap's addresses, one a line, are read too

Blank lines and other comments are skipped: what comes behind them decides.
"""

import re
from collections.abc import Callable

from targets.columns import Header, cells_of
from targets.lists import SADDR, is_tranco_header
from targets.place import is_address_like
from targets.rules import Format
from targets.target import TargetError

_SPACE = " \t\r\n"
_NMAP = re.compile(r"# (Nmap|Masscan) |([^\t:]+: [^\t]*\t)?Host: \S+ \(")
_MASSCAN = re.compile(r"#masscan|(open|closed|banner|up|unknown) (tcp|udp|sctp|icmp|arp|oproto) \d+ \S+ \d+")
_MASSCAN_JSON = re.compile(r"\[\s*(\{|\]?$)|\{\s*(\"ip\"\s*:|\"?finished\"?\s*:)")
_ZGRAB2_FIELDS = 4


def format_of(line: bytes) -> Format | None:
    """The form of an input whose first line this is; None for a blank line or a comment, which do not tell."""
    text = line.decode(errors="replace").strip(_SPACE)
    for form, is_of in _SIGNS:
        if is_of(text):
            return form
    if not text or text.startswith("#"):
        return None
    return _format_of_cells(text) if "," in text or text == SADDR else Format.TEXT


_SIGNS: tuple[tuple[Format, Callable[[str], object]], ...] = (
    (Format.NMAP, lambda text: text.startswith("<")),
    (Format.NMAP, _NMAP.match),
    (Format.MASSCAN, _MASSCAN.match),
    (Format.MASSCAN, _MASSCAN_JSON.match),
    (Format.JSONL, lambda text: text.startswith("{")),
)


def _format_of_cells(text: str) -> Format:
    try:
        cells = cells_of(text)
    except TargetError:
        return Format.TEXT  # whose every line has a reason of its own
    if is_tranco_header(cells) or (len(cells) == 2 and cells[0].isdigit() and _is_name(cells[1])):
        return Format.TRANCO
    if Header.read(text):
        return Format.CSV
    if SADDR in cells:
        return Format.ZMAP
    if len(cells) <= _ZGRAB2_FIELDS and _is_place(cells[0]) and (_is_name(cells[1]) or (cells[0] and not cells[1])):
        return Format.ZGRAB2
    return Format.TEXT


def _is_name(cell: str) -> bool:
    return bool(cell) and not is_address_like(cell) and not cell.isdigit()


def _is_place(cell: str) -> bool:
    return not cell or is_address_like(cell.partition("/")[0])
