"""Workers that are forked: apart from us in everything but what we have imported. And those that come after them."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.peers.processes import WITHIN_S


def tell(path: Path, *arguments: str, **options: Any) -> list[Any]:
    """What forking.py finds out, with a file open that is none of a worker's business."""
    with (path / "open").open("w") as file:
        done = subprocess.run(
            [sys.executable, "-m", "tests.scanner.forking", *arguments],
            check=True,
            capture_output=True,
            pass_fds=[file.fileno()],
            timeout=WITHIN_S,
            **options,
        )
    assert not done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_the_lives_of_workers(tmp_path: Path) -> None:
    """The first two are forked before anybody asks for them; they have nothing open that was ours."""
    (facts,) = tell(tmp_path)
    first, second = facts["children"]
    assert facts["groups"] == [first, second]
    assert facts["first"] == "begun"
    assert facts["first_end"] == ["exit status 0"] * 2
    assert not [each for each in facts["kept"] if str(tmp_path) in each]
    assert (
        sum(each.startswith("pipe:") for each in facts["kept"]) == 4
    )  # ours to it and back, standard output and error
    assert facts["second"] == "begun"
    assert facts["second_end"] == "SIGKILL"
    assert (facts["third"], facts["third_command"][-1]) == ("begun", "scanner.start_worker")
    assert facts["left"] == []


def test_whoever_is_not_asked_for_ends_with_us(tmp_path: Path) -> None:
    """By the end of its pipe, as all do."""
    _, idle = tell(tmp_path, "more")
    assert len(idle) == 2
    assert not any(map(_is_there, idle))


def test_closed_standard_streams(tmp_path: Path) -> None:
    """A pipe that got the number of standard input is not taken for it."""
    (facts,) = tell(tmp_path, preexec_fn=lambda: os.close(0))
    assert facts["first_end"] == ["exit status 0"] * 2


def _is_there(pid: str) -> bool:
    try:
        return "tests.scanner.forking" in Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return False
