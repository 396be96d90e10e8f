"""docs/mail-policy.md tells of every word."""

from pathlib import Path

import pytest

from scanner.mail_policy.fetch import PolicyLimits
from scanner.mail_policy.mta_sts import MAX_MAX_AGE_S, MAX_POLICY_BYTES
from scanner.mail_policy.result import Result

PAGE = (Path(__file__).parents[3] / "docs" / "mail-policy.md").read_text("utf-8")


@pytest.mark.parametrize("word", Result)
def test_every_word_is_there(word: Result) -> None:
    """With when it applies."""
    assert f"`{word}`" in PAGE


def test_the_limits_are_those_of_the_code() -> None:
    """Sizes, numbers and times."""
    limits = PolicyLimits()
    assert f"above {MAX_MAX_AGE_S}" in PAGE
    assert f"more than {MAX_POLICY_BYTES // 1024} KiB" in PAGE
    assert f"At most {limits.fetches} are under way\n  and {limits.rate} begin a second" in PAGE
    assert limits.fetch_s == 60
