"""Inputs that are kept, one file a target, one input a line: a bytes literal of Python, which can be read and diffed.

`corpus/` holds what together reaches all that has been reached; `regressions/` what broke something once, and why.
"""

import ast
from collections.abc import Iterable
from pathlib import Path

FOLDER = Path(__file__).parent
CORPUS = FOLDER / "corpus"
REGRESSIONS = FOLDER / "regressions"


def inputs_in(folder: Path, target: str) -> list[bytes]:
    """What is kept of a target."""
    path = folder / f"{target}.txt"
    lines = path.read_text("ascii").splitlines() if path.exists() else []
    return [ast.literal_eval(line) for line in lines if line and not line.startswith("#")]


def put_corpus(target: str, inputs: Iterable[bytes]) -> None:
    """Keep these, and no others."""
    CORPUS.mkdir(exist_ok=True)
    lines = [f"{each!r}\n" for each in sorted(set(inputs), key=lambda each: (len(each), each))]
    (CORPUS / f"{target}.txt").write_text("".join(lines), "ascii")


def add_regression(target: str, raw: bytes, why: str) -> None:
    """Keep one more, with a line on what it broke."""
    REGRESSIONS.mkdir(exist_ok=True)
    if raw not in inputs_in(REGRESSIONS, target):
        with (REGRESSIONS / f"{target}.txt").open("a", encoding="ascii") as file:
            file.write(f"# {why.encode('unicode_escape').decode('ascii')[:300]}\n{raw!r}\n")
