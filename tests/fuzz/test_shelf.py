"""Every input that is kept, through the rules that the fuzzer holds them against; and the shelf itself."""

from pathlib import Path

import pytest

from scanner.probes import PROBES
from scanner.starttls import SPOKEN
from scanner.tls.names import Version
from tests.fuzz import shelf
from tests.fuzz.inputs import FLOOD_BYTES, MAX_INPUT_BYTES, cut, flood_of, read, some_places, written
from tests.fuzz.oracles import MAX_CPU_S
from tests.fuzz.targets import TARGETS, check

PATIENCE = 3 * MAX_CPU_S  # the machine has other things to do, and what was slow was slower than that
MOST_BYTES = 2_000_000  # of everything that is kept

REGRESSIONS = [(name, raw) for name in TARGETS for raw in shelf.inputs_in(shelf.REGRESSIONS, name)]


@pytest.mark.parametrize(("name", "raw"), REGRESSIONS, ids=[f"{name}-{raw[:32]!r}" for name, raw in REGRESSIONS])
def test_regressions(name: str, raw: bytes) -> None:
    """What broke something once breaks nothing any more."""
    check(name, raw, PATIENCE)


@pytest.mark.parametrize("name", TARGETS)
def test_corpus(name: str) -> None:
    """What together reaches all that the fuzzer has reached breaks nothing."""
    for raw in shelf.inputs_in(shelf.CORPUS, name):
        check(name, raw, PATIENCE)


@pytest.mark.parametrize("name", TARGETS)
def test_seeds(name: str) -> None:
    """Every target has something to begin with, some of which is tried here; all of it is short enough."""
    seeds = list(TARGETS[name].seeds())
    assert seeds
    for raw in seeds[:: 1 + len(seeds) // 12]:
        check(name, raw, PATIENCE)


def test_everything_is_a_target() -> None:
    """Whatever the registries have is fuzzed."""
    assert {f"starttls-{protocol}" for protocol in SPOKEN} <= TARGETS.keys()
    assert {f"framing-{protocol}" for protocol, spoken in SPOKEN.items() if spoken.framing} <= TARGETS.keys()
    assert {f"hello-{version.value}" for version in Version} <= TARGETS.keys()
    assert {f"probe-{name}" for name in PROBES} <= TARGETS.keys()


def test_what_is_kept_has_its_target() -> None:
    """No file is left behind by a target that is gone, and together they are small."""
    files = [*shelf.CORPUS.glob("*"), *shelf.REGRESSIONS.glob("*")]
    assert {path.stem for path in files} <= TARGETS.keys()
    assert sum(path.stat().st_size for path in files) <= MOST_BYTES


def test_files_are_read_as_they_were_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Any bytes, each input once, the shortest first; a regression with its reason, which is one line."""
    monkeypatch.setattr(shelf, "CORPUS", tmp_path / "corpus")
    monkeypatch.setattr(shelf, "REGRESSIONS", tmp_path / "regressions")
    every_byte = bytes(range(256))
    shelf.put_corpus("smtp", [every_byte, b"# b'", b"\n", b"\n"])
    assert shelf.inputs_in(shelf.CORPUS, "smtp") == [b"\n", b"# b'", every_byte]
    for raw in (every_byte, b"", every_byte):
        shelf.add_regression("smtp", raw, "two\nlines, \udcff and ü")
    assert shelf.inputs_in(shelf.REGRESSIONS, "smtp") == [every_byte, b""]
    assert shelf.inputs_in(shelf.REGRESSIONS, "imap") == []


def test_what_the_bytes_of_an_input_mean() -> None:
    """Which subject, how the wire ends, and what is said; nothing is missing."""
    given = read(written(b"220 x\r\n", choice=7, stop=2))
    assert (given.of("abcde"), given.said, given.is_flood) == ("c", b"220 x\r\n", False)
    assert (read(b"").of("abcde"), read(b"").said) == ("a", b"")
    assert len(read(bytes(MAX_INPUT_BYTES + 3)).said) == MAX_INPUT_BYTES
    assert str(given.stop) == "timeout"


@pytest.mark.parametrize(("way", "pieces"), [(0xF0, 1), (0xFF, 1024)])
def test_floods(way: int, pieces: int) -> None:
    """A recipe makes 64 KB, in one piece or in many."""
    flood = read(written(flood_of(b"220-", b"ab", b"!"), 0, way))
    assert flood.is_flood
    assert flood.said == b"220-" + b"ab" * (FLOOD_BYTES // 2) + b"!"
    assert b"".join(flood.flood()) == flood.said
    assert len(flood.flood()) == pieces + 1


def test_cuts() -> None:
    """Pieces are what was cut, and the random places are the same each time."""
    data = bytes(range(100))
    places = some_places(data)
    assert places
    assert places == some_places(data)
    assert b"".join(cut(data, places)) == data
    assert cut(data, {0, 50, 100, 999}) == [data[:50], data[50:]]
    assert cut(b"", {1}) == []
    assert some_places(b"") == set()
