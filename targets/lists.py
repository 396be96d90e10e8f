"""Lists with one record a line that other tools write, or read: Tranco, ZMap, masscan, zgrab2."""

from targets.columns import Header, cells_of
from targets.row import ADDRESS, Row
from targets.target import NO_TAGS, TargetError

SADDR = "saddr"  # the column of ZMap's CSV with the address that answered
_SUCCESS = "success"
_FALSE = ("0", "false")
_NOT_OPEN = ("closed", "up", "unknown", "banner")  # masscan's other words: src/masscan-status.c, out-text.c
_OPEN_FIELDS = 5
_ZGRAB2_FIELDS = 4


def tranco(text: str) -> tuple[Row, ...]:
    """`rank,domain`, as the lists of tranco-list.eu and its like have it; the line with these words is a header."""
    cells = cells_of(text)
    if is_tranco_header(cells):
        return ()
    if len(cells) != 2 or not (cells[0].isascii() and cells[0].isdigit()):
        raise TargetError("not a line of a Tranco list: RANK,DOMAIN")
    return (Row(host=cells[1], tags={"rank": cells[0]}),)


def is_tranco_header(cells: list[str]) -> bool:
    """Some lists have one."""
    return [cell.lower() for cell in cells] == ["rank", "domain"]


class Zmap:
    """One address a line, or ZMap's CSV with a header that names `saddr`; its other columns are tags.

    A row whose `success` is 0 (something answered, and the port is closed) names nothing.
    """

    def __init__(self) -> None:
        self._header: Header | None = None
        self._at_start = True

    def rows(self, text: str) -> tuple[Row, ...]:
        """The record of a line; none for the header. Raises TargetError."""
        at_start, self._at_start = self._at_start, False
        if self._header is None:
            if at_start and SADDR in cells_of(text):
                self._header = Header(tuple(ADDRESS if cell == SADDR else cell for cell in cells_of(text)))
                return ()
            return (Row(address=text),)
        row = self._header.row(text)
        return () if row.tags.get(_SUCCESS) in _FALSE else (row,)


def masscan(text: str) -> tuple[Row, ...]:
    """`open tcp PORT ADDRESS TIMESTAMP`. What is not open, or not TCP, names nothing; nor does a banner, beside it."""
    fields = text.split()
    if fields[0] in _NOT_OPEN:
        return ()
    if fields[0] != "open" or len(fields) != _OPEN_FIELDS:
        raise TargetError("not a line of masscan's list: open tcp PORT ADDRESS TIMESTAMP")
    _, protocol, port, address, _ = fields
    return (Row(address=address, port=port),) if protocol == "tcp" else ()


def zgrab2(text: str) -> tuple[Row, ...]:
    """`ip,domain,tag,port`, of which the last ones may be missing: the domain is sent as SNI to the address.

    Either may be empty, and a network may stand for the address where there is no domain.
    """
    cells = cells_of(text)
    if len(cells) > _ZGRAB2_FIELDS:
        raise TargetError(f"not a line for zgrab2 (IP,DOMAIN,TAG,PORT): it has {len(cells)} fields")
    if len(cells) == 1:
        return (Row(host=cells[0]),)
    address, domain, tag, port = (*cells, "", "")[:_ZGRAB2_FIELDS]
    return (Row(domain, address, port, tags={"tag": tag} if tag else NO_TAGS),)
