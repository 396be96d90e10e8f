"""A network of our own: a process with its own loopback, where the network may be slow, lossy, or swallow packets.

A namespace of Linux takes root and iproute2, and lives as long as the process in it. What the machine does not allow
is found out by trying.
"""

import json
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

UNSHARE = ("unshare", "--net", "--")
SWALLOWED = "10.9.0.0/16"  # where `swallow` leads to nothing


def succeeds(*commands: str) -> bool:
    """Do these commands go well, one after the other?"""
    try:
        for command in commands:
            subprocess.run(command.split(), check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        return False
    return True


@cache
def may_have_own() -> bool:
    """May we make a namespace, and set up its network?"""
    return succeeds(" ".join((*UNSHARE, "ip link set lo up")))


@cache
def may_delay() -> bool:
    """Does the kernel have netem?"""
    return may_have_own() and succeeds(" ".join((*UNSHARE, "tc qdisc add dev lo root netem delay 1ms")))


def run_inside(module: str, work: dict[str, Any]) -> Any:
    """What `python -m module WORK`, in a namespace of its own, prints as JSON."""
    command = [*UNSHARE, sys.executable, "-m", module, json.dumps(work)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, cwd=Path(__file__).parents[1])
    return json.loads(done.stdout)


def bring_up() -> None:
    """In a namespace: loopback works."""
    _run("ip link set lo up")


def swallow() -> None:
    """In a namespace: packets to SWALLOWED leave through a wire whose other end drops them, and nobody answers.

    The other end lies in the same namespace, which forwards nothing; without ARP, no neighbour is missed.
    """
    for command in (
        "ip link add out type veth peer name drop",
        "ip addr add 10.8.0.1/32 dev out",
        "ip link set out arp off",
        "ip link set out up",
        "ip link set drop up",
        f"ip route add {SWALLOWED} dev out",
    ):
        _run(command)


def delay(round_trip_ms: int, loss_percent: int) -> None:
    """In a namespace: each packet over loopback takes half a round trip, and so many in a hundred are lost."""
    loss = f" loss {loss_percent}%" if loss_percent else ""
    _run(f"tc qdisc replace dev lo root netem delay {round_trip_ms / 2:g}ms{loss} limit 1000000")


def _run(command: str) -> None:
    subprocess.run(command.split(), check=True)
