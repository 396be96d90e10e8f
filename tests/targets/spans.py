"""Spans, written out."""

from collections.abc import Iterable

from targets.network import Span


def written_out(spans: Iterable[Span]) -> list[int]:
    """All numbers of the spans, in their order."""
    return [number for first, last in spans for number in range(first, last + 1)]
