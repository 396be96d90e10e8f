"""How many connections fit into `ulimit -n`."""

import resource
from dataclasses import replace

import pytest
from structlog.testing import capture_logs

from scanner.descriptors import fit_to_descriptors
from scanner.limits import Limits


@pytest.fixture
def raised(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """What the limit of this process would have been set to."""
    calls: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "setrlimit", lambda _, pair: calls.append(pair))
    return calls


def given(monkeypatch: pytest.MonkeyPatch, soft: int, hard: int) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (soft, hard))


@pytest.mark.parametrize(
    ("hard", "asked", "dns", "connections", "warned"),
    [
        (1_048_576, 1_000, 12, 1_000, False),
        (4_096, 1_000, 12, 1_000, False),
        (1_024, 1_000, 0, 992, True),
        (1_024, 1_000, 12, 980, True),
        (1_024, 980, 12, 980, False),
        (1_024, 1_000, 1_200, 744, True),  # of a hundred name servers
        (80, 1_000, 12, 36, True),
        (80, 10, 12, 10, False),
        (20, 1_000, 12, 1, True),
        (4_096, 0, 12, 4_052, False),  # without a limit there is nothing to warn of
        (resource.RLIM_INFINITY, 0, 12, 0, False),
        (resource.RLIM_INFINITY, 1_000, 12, 1_000, False),
    ],
)
def test_what_fits(
    monkeypatch: pytest.MonkeyPatch, hard: int, asked: int, dns: int, connections: int, warned: bool
) -> None:
    """Connections and the sockets of the DNS share the descriptors; it is said once where that is less than asked."""
    given(monkeypatch, hard, hard)
    limits = Limits(connections=asked)
    with capture_logs() as logs:
        assert fit_to_descriptors(limits, dns) == replace(limits, connections=connections)
    assert [(line["log_level"], line["asked"], line["possible"]) for line in logs] == (
        [("warning", asked, connections)] if warned else []
    )


def test_the_soft_limit_is_raised(monkeypatch: pytest.MonkeyPatch, raised: list[tuple[int, int]]) -> None:
    """What the shell gives by default is not what may be had."""
    given(monkeypatch, 1_024, 8_192)
    assert fit_to_descriptors(Limits(), 12).connections == 1_000
    assert raised == [(8_192, 8_192)]


def test_a_limit_that_cannot_be_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where raising it is forbidden, the soft limit is what there is."""

    def forbidden(*_: object) -> None:
        raise ValueError("not allowed to raise maximum limit")

    given(monkeypatch, 80, resource.RLIM_INFINITY)
    monkeypatch.setattr(resource, "setrlimit", forbidden)
    with capture_logs():
        assert fit_to_descriptors(Limits(), 12).connections == 36
