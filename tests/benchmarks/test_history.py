"""What is kept of each run, and what is drawn and told of it."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from xml.etree import ElementTree

import pytest

from benchmarks.figure import AWAKE, Figure
from benchmarks.history import Night, append, night_of, nights
from benchmarks.plot import plotted
from benchmarks.tracker import tracked

SVG = "{http://www.w3.org/2000/svg}"
START = datetime(2026, 11, 1, 3, tzinfo=UTC)
RATIO = Figure("raw <version> & more / s_time", "ratio", (0.31, 0.27, 0.29), 0.25, 2, 3_000)


def document(day: int, *figures: Figure) -> dict[str, object]:
    """The results of one night."""
    return {"time": (START + timedelta(days=day)).isoformat(), "figures": [each.document() for each in figures]}


def night(day: int, *values: float, name: str = "own / s_time") -> Night:
    """One with a single figure."""
    return night_of(json.loads(json.dumps(document(day, Figure(name, "ratio", values, 1.0)))))


def drawn(*shown: Night) -> ElementTree.Element:
    """The plot, parsed."""
    return ElementTree.fromstring(plotted(shown))


def test_a_night_goes_into_the_file_and_comes_back(tmp_path: Path) -> None:
    """With the figures that say the same on any machine, and no others."""
    kept = tmp_path / "history.jsonl"
    first = night_of(json.loads(json.dumps(document(0, RATIO, Figure("raw, wall", "µs", (1.0,))))))
    append(kept, first)
    append(kept, night(1, 0.5))
    assert nights(kept, tmp_path) == [first, night(1, 0.5)]
    assert list(first.points) == [RATIO.name]


def test_dated_results_are_part_of_it(tmp_path: Path) -> None:
    """By time, and a run that is in both but once."""
    (tmp_path / "2026-11-02.json").write_text(json.dumps(document(1, RATIO)))
    (tmp_path / "2026-11-04.json").write_text(json.dumps(document(3, RATIO)))
    (tmp_path / "latest.json").write_text(json.dumps(document(9, RATIO)))
    kept = tmp_path / "history.jsonl"
    append(kept, night(2, 0.5))
    append(kept, night_of(json.loads(json.dumps(document(3, RATIO)))))
    assert [each.time.day for each in nights(kept, tmp_path)] == [2, 3, 4]
    assert nights(tmp_path / "none", tmp_path / "none") == []


def test_what_was_measured_while_cores_were_awake() -> None:
    """Is not drawn into one line with the rest, nor compared with it; but for what has nothing to do with it."""
    figures = RATIO, Figure("held", "KB", (1.0,)), Figure("idle", "share", (0.03,))
    asleep, awake = ({**document(0, *figures), AWAKE: is_awake} for is_awake in (False, True))
    read = [night_of(json.loads(json.dumps(each))) for each in (document(0, *figures), asleep, awake)]
    assert read[0] == read[1]
    assert list(read[1].points) == [RATIO.name, "held", "idle"]
    assert list(read[2].points) == [f"{RATIO.name}, {AWAKE}", "held", f"idle, {AWAKE}"]


def test_the_results_that_are_kept_can_be_read() -> None:
    """Those of this repository, of before and of now, have what is drawn."""
    shown = nights(Path("none"), Path(__file__).parents[2] / "benchmarks" / "results")
    assert shown
    names = {"raw version / s_time", f"raw version / s_time, {AWAKE}"}
    assert all(len(names & each.points.keys()) == 1 for each in shown)
    assert drawn(*shown).tag == f"{SVG}svg"


@pytest.mark.parametrize("count", [0, 1, 2, 30])
def test_the_plot_is_well_formed(count: int) -> None:
    """However many nights there are, names with markup too, each night has its dot."""
    root = drawn(*(night(day, 0.9, 1.0, 1.3, name="<own> & 'other'") for day in range(count)))
    assert root.tag == f"{SVG}svg"
    assert len(root.findall(f".//{SVG}circle")) == count
    if count:
        assert "<own> & 'other': 1 ratio" in [text.text for text in root.iter(f"{SVG}text")]


def test_higher_is_higher() -> None:
    """A night that is worse has its dot further up, and a later one further right; all within the picture."""
    root = drawn(night(0, 0.5), night(1, 0.8), night(9, 0.2))
    places = [(float(dot.attrib["cx"]), float(dot.attrib["cy"])) for dot in root.iter(f"{SVG}circle")]
    (x0, y0), (x1, y1), (x2, y2) = places
    assert x0 < x1 < x2
    assert y1 < y0 < y2
    _, _, width, height = map(float, root.attrib["viewBox"].split())
    assert all(0 <= x <= width and 0 <= y <= height for x, y in places)


def test_a_figure_that_came_later() -> None:
    """Each has its own panel, with the nights that have it."""
    root = drawn(night(0, 0.5, name="old"), night(1, 0.5, name="new"))
    assert len(root.findall(f"{SVG}g")) == 2
    assert len(root.findall(f".//{SVG}circle")) == 2


def test_for_a_tracker() -> None:
    """`customSmallerIsBetter` of github-action-benchmark: names, units and texts are strings, values are numbers."""
    (entry,) = json.loads(json.dumps(tracked([RATIO])))
    assert entry == {
        "name": RATIO.name,
        "unit": "ratio",
        "value": 0.29,
        "range": "± 0.02",
        "extra": "3 repetitions, 0.27 to 0.31\naim: at most 0.25, missed\nfailed samples: 2 of 3000",
    }
