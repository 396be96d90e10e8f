"""The figures in the form that CI benchmark trackers read: `customSmallerIsBetter` of github-action-benchmark.

An array of objects with `name`, `unit` and `value`; `range` and `extra` are texts for people (its README, "Custom
benchmarks"). In all figures less is better.
"""

from collections.abc import Iterable

from benchmarks.figure import Figure


def tracked(figures: Iterable[Figure]) -> list[dict[str, str | float]]:
    """One entry a figure: its median, and half its spread around it."""
    return [
        {
            "name": figure.name,
            "unit": figure.unit,
            "value": figure.median,
            "range": f"± {figure.spread / 2:.3g}",
            "extra": _extra(figure),
        }
        for figure in figures
    ]


def _extra(figure: Figure) -> str:
    lines = [f"{len(figure.values)} repetitions, {min(figure.values):.4g} to {max(figure.values):.4g}"]
    if figure.aim is not None:
        lines.append(f"aim: at most {figure.aim:g}, {'reached' if figure.reached else 'missed'}")
    if figure.samples:
        lines.append(f"failed samples: {figure.failures} of {figure.samples}")
    return "\n".join(lines)
