"""How much may not be scanned, by what says so: the user's lists one by one, then the special-purpose ranges."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from targets.exclude import SPECIAL_RANGES, Exclusions, Ranges, by_version, ends_of
from targets.network import Span, size
from targets.target import IPNetwork

EMBEDDED = "the IPv4 address in it"  # which is excluded itself


class Excluders:
    """Whose word it is that an address is not connected to. The first that says so is named."""

    def __init__(self, allow: Iterable[IPNetwork] = (), lists: Mapping[str, Sequence[IPNetwork]] | None = None) -> None:
        """`lists`: the user's, by what they are called."""
        allowed = by_version(allow)
        narrowest_first = sorted(SPECIAL_RANGES, key=lambda row: -row.network.prefixlen)
        self._rows = [(name, by_version(networks)) for name, networks in (lists or {}).items()]
        for row in narrowest_first:
            version: int = row.network.version
            left = {version: Ranges(allowed[version].without(*ends_of(row.network)))}
            self._rows.append((f"{row.network} ({row.purpose}, {row.source})", left))

    def count(self, version: int, blocked: Iterable[Span]) -> Counter[str]:
        """How many of these addresses, all of which are excluded, each of them excludes."""
        left, found = list(blocked), Counter[str]()
        for name, ranges in self._rows:
            if version in ranges and left:
                before = size(left)
                left = [part for span in left for part in ranges[version].without(*span)]
                found[name] += before - size(left)
        found[EMBEDDED] += size(left)
        return +found


def blocked_spans(exclusions: Exclusions, version: int, span: Span) -> list[Span]:
    """The parts of a span that are excluded."""
    allowed = Ranges(exclusions.allowed_within(version, *span))
    return list(allowed.without(*span))
