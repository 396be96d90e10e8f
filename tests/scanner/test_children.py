"""Workers that are forked: apart from us in everything but what we have imported. And those that come after them."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.peers.processes import WITHIN_S


def tell(path: Path, world: str = "as it is", before: Callable[[], None] | None = None) -> Any:
    """What forking.py finds out, with a file open that is none of a worker's business."""
    with (path / "open").open("w") as file:
        done = subprocess.run(
            [sys.executable, "-m", "tests.scanner.forking", world],
            check=True,
            capture_output=True,
            pass_fds=[file.fileno()],
            timeout=WITHIN_S,
            preexec_fn=before,
        )
    assert not done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("world", ["as it is", "no-proc", "impatient"])
def test_the_lives_of_workers(tmp_path: Path, world: str) -> None:
    """The first two are forked before anybody asks for them; they have nothing open that was ours.

    Not even a Ctrl-C or Ctrl-Z in the moment of the fork is theirs.
    """
    facts = tell(tmp_path, world)
    first, second = facts["children"]
    assert facts["groups"] == [first, second]
    assert facts["first"] == "begun"
    pipes = [each for each in facts["kept"] if each.startswith("pipe:")]
    assert len(pipes) == 4  # ours to it and back, and standard error, where standard output leads, too
    assert not [each for each in facts["kept"] if str(tmp_path) in each]
    assert facts["first_end"] == ["exit status 0"] * 2
    assert (facts["second"], facts["second_end"]) == ("begun", "SIGKILL")
    assert (facts["third"], facts["third_command"][-1]) == ("begun", "scanner.start_worker")
    assert facts["left"] == []


def test_nobody_hears_how_they_ended(tmp_path: Path) -> None:
    """Where whoever started us has had SIGCHLD ignored, all goes on without that."""
    facts = tell(tmp_path, "no-sigchld")
    assert [*facts["first_end"], facts["second_end"]] == ["exit status unknown"] * 3
    assert facts["third"] == "begun"


def test_whoever_is_not_taken_ends_with_us(tmp_path: Path) -> None:
    """By the end of its pipe, as all do."""
    count, idle = tell(tmp_path, "left")
    assert count == len(idle) == 2
    assert not any(map(_is_there, idle))


def test_few_descriptors(tmp_path: Path) -> None:
    """Some are left for the files of the run, and its questions to name servers."""
    assert tell(tmp_path, "few-descriptors") == [1, 1]


def test_a_kernel_that_does_not_tell_who_is_over(tmp_path: Path) -> None:
    """Then nobody is forked, nor left behind."""
    assert tell(tmp_path, "no-pidfd") == [0, []]


def test_a_closed_standard_input(tmp_path: Path) -> None:
    """A pipe that got its number is not taken for it."""
    assert tell(tmp_path, before=lambda: os.close(0))["first_end"] == ["exit status 0"] * 2


def _is_there(pid: int) -> bool:
    try:
        return "tests.scanner.forking" in Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return False
