"""What the options hold. What is refused, and how it is said, is in test_cli.py."""

import pytest

from scanner.options import complete_services, complete_versions


@pytest.mark.parametrize(
    ("complete", "incomplete", "expected"),
    [
        (complete_services, "submissions,im", ["submissions,imap", "submissions,imaps"]),
        (complete_services, "MAI", ["mail"]),
        (complete_versions, "tlsv1.2,tlsv1.3", ["tlsv1.2,TLSv1.3"]),
        (complete_versions, "a", ["all"]),
    ],
)
def test_completion(complete: object, incomplete: str, expected: list[str]) -> None:
    """The last of some comma-separated words is completed."""
    assert callable(complete)
    assert complete(incomplete) == expected
