"""`make fuzz`: shares the time out among the targets, one after another; keeps what was learnt, and what broke.

    python -m tests.fuzz [--time SECONDS] [TARGET ...]

Each target begins with its seeds (the transcripts), its corpus and its regressions. What reaches something new goes
into the corpus, made as small as it can be; what breaks a rule becomes a regression, cut down to what it takes, and
`make test` fails until it is mended. Exit status: 0 nothing broke, 1 something did.
"""

import argparse
import hashlib
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tests.fuzz import shelf
from tests.fuzz.inputs import MAX_INPUT_BYTES, read
from tests.fuzz.oracles import signature
from tests.fuzz.targets import TARGETS, check

DEFAULT_S = 300
SHARES = {"interview": 4, "handshake-altered": 2, "certificate": 2}  # of the time; all others have one
MOST_CORPUS_BYTES = 32_768  # of a target, as they are
MOST_INPUTS = 256  # `make test` tries them all
MOST_FLOODS = 6  # among them
HANG_S = 25
MOST_TRIES = 2_000  # to make an input smaller
_STATISTICS = re.compile(r"cov: (\d+) ft: (\d+)")
_EXECUTED = re.compile(r"number_of_executed_units: (\d+)")
_MERGED = "MERGE-OUTER: successful"


@dataclass(frozen=True, slots=True)
class Report:
    """What became of one target."""

    executed: int
    edges: int
    features: int
    kept: int  # inputs in the corpus
    broken: tuple[str, ...]


class FuzzerError(Exception):
    """The fuzzer itself ended otherwise than it should; what was kept stays as it was."""


def main() -> int:
    """Fuzz; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz")
    parser.add_argument("--time", type=float, default=DEFAULT_S, help="seconds in all")
    parser.add_argument("targets", nargs="*", metavar="TARGET", help="all, unless some are named")
    arguments = parser.parse_args()
    if unknown := set(arguments.targets) - TARGETS.keys():
        parser.error(f"no target is called {', '.join(sorted(unknown))}; there are: {', '.join(TARGETS)}")
    names = arguments.targets or list(TARGETS)
    share_s = arguments.time / sum(SHARES.get(name, 1) for name in names)
    print(f"{'target':<24}{'seconds':>8}{'executed':>10}{'edges':>7}{'features':>9}{'corpus':>8}  broken")
    broken = 0
    for name in names:
        seconds = max(1, round(share_s * SHARES.get(name, 1)))
        try:
            report = fuzz(name, seconds)
        except FuzzerError as error:  # the others may do better
            print(f"{name:<24} {error}", flush=True)
            broken += 1
            continue
        broken += len(report.broken)
        numbers = f"{seconds:>8}{report.executed:>10}{report.edges:>7}{report.features:>9}{report.kept:>8}"
        print(f"{name:<24}{numbers}  {len(report.broken) or ''}", flush=True)
        for why in report.broken:
            print(f"    {why}", flush=True)
    return 1 if broken else 0


def fuzz(name: str, seconds: int) -> Report:
    """Fuzz one target for so long, and put on the shelf what came of it."""
    with tempfile.TemporaryDirectory(prefix="tlsweep-fuzz-") as made:
        folder = Path(made)
        for each in ("seeds", "corpus", "least"):
            (folder / each).mkdir()
        target = TARGETS[name]
        seeds = {each[: MAX_INPUT_BYTES + 2] for each in target.seeds()}
        kept = [*shelf.inputs_in(shelf.CORPUS, name), *shelf.inputs_in(shelf.REGRESSIONS, name)]
        _put(folder / "seeds", [*seeds, *kept])
        words = folder / "words"
        words.write_text("".join(f'"{_escaped(word)}"\n' for word in target.words() or [b"\0"]), "ascii")
        log = _run(
            name,
            folder,
            f"-max_total_time={seconds}",
            f"-max_len={MAX_INPUT_BYTES + 2}",
            f"-dict={words}",
            f"-timeout={HANG_S}",
            f"-artifact_prefix={folder}/artifact-",
            "-print_final_stats=1",
            folder / "corpus",
            folder / "seeds",
        )
        broken = [*_broken_rules(name, folder / "broken"), *_crashes(name, folder, log)]
        merged = _run(name, folder, "-merge=1", folder / "least", folder / "seeds", folder / "corpus")
        if _MERGED not in merged:
            raise FuzzerError(f"libFuzzer did not merge:\n{merged[-2_000:]}")
        least = [path.read_bytes() for path in (folder / "least").iterdir()]
        corpus = _as_much_as_fits(each for each in least if each not in seeds)
        shelf.put_corpus(name, corpus)
    executed, found = _EXECUTED.search(log), _STATISTICS.findall(log)
    if not executed and not broken:
        raise FuzzerError(f"libFuzzer did not run:\n{log[-2_000:]}")
    edges, features = map(int, found[-1]) if found else (0, 0)
    return Report(int(executed[1]) if executed else 0, edges, features, len(corpus), tuple(broken))


def _run(name: str, folder: Path, *options: object) -> str:
    """What libFuzzer has to say."""
    command = [sys.executable, "-m", "tests.fuzz.libfuzzer", name, folder / "broken", *options]
    ended = subprocess.run([str(part) for part in command], capture_output=True, check=False)
    return ended.stderr.decode("utf-8", "replace")


def _broken_rules(name: str, folder: Path) -> list[str]:
    """What broke a rule, and does so without instrumentation too: a line on each, once it is a regression."""
    lines = []
    for path in sorted(folder.glob("*.txt")):
        raw = path.with_suffix("").read_bytes()
        if error := _error_of(name, raw):
            raw = smaller(name, raw, error)
            why = f"{type(error).__name__}: {error}"
            shelf.add_regression(name, raw, why)
            lines.append(f"{why[:200]} ({', '.join(signature(error)[1:])})")
    return lines


def _crashes(name: str, folder: Path, log: str) -> list[str]:
    """What ended the process itself: a crash, a hang, too much memory."""
    lines = []
    for path in sorted(folder.glob("artifact-*")):
        why = path.name.removeprefix("artifact-").partition("-")[0]
        if why != "slow":
            shelf.add_regression(name, path.read_bytes(), f"the process ended: {why}")
            lines.append(f"the process ended: {why}\n{log[-2_000:]}")
    return lines


def _error_of(name: str, raw: bytes) -> BaseException | None:
    try:
        check(name, raw)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # a panic in Rust is no Exception
        return error
    return None


def smaller(name: str, raw: bytes, error: BaseException) -> bytes:
    """The input without whatever it can do without and still break the same."""
    wanted, tries, until = signature(error), 0, time.monotonic() + 60
    size = len(raw) // 2
    while size:
        at = 2  # the first two bytes say what it is
        while at < len(raw) and tries < MOST_TRIES and time.monotonic() < until:
            tries += 1
            less = raw[:at] + raw[at + size :]
            other = _error_of(name, less)
            if other and signature(other) == wanted:
                raw = less
            else:
                at += size
        size //= 2
    return raw


def _as_much_as_fits(inputs: Iterable[bytes]) -> list[bytes]:
    """The smallest first: what is long reaches little that is new, and so do floods, which take their time."""
    fitting: list[bytes] = []
    total = floods = 0
    for each in sorted(inputs, key=len):
        floods += read(each).is_flood
        if total + len(each) > MOST_CORPUS_BYTES or (read(each).is_flood and floods > MOST_FLOODS):
            continue
        total += len(each)
        fitting.append(each)
    return fitting[:MOST_INPUTS]


def _put(folder: Path, inputs: Iterable[bytes]) -> None:
    for each in inputs:
        (folder / hashlib.sha256(each).hexdigest()[:24]).write_bytes(each)


def _escaped(word: bytes) -> str:
    return "".join(chr(byte) if 32 <= byte < 127 and byte not in b'"\\' else f"\\x{byte:02x}" for byte in word)


if __name__ == "__main__":
    sys.exit(main())
