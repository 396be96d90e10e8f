"""Keeps idle cores awake while something is measured, as `tuned` does for low latency.

The core of a server that waits is asleep, and a packet over loopback has to wake it: the client that sends pays for
that, on a virtual machine by leaving it, and finds its caches cold. Over a network nobody pays for another's sleep. So
an endpoint seemed to take 11 % more than it does, and one with STARTTLS, whose server has less to do, 15 to 20 %.
"""

import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_LATENCY = Path("/dev/cpu_dma_latency")  # Documentation/power/pm_qos_interface.rst: a limit for as long as it is open
_DRIVER = Path("/sys/devices/system/cpu/cpuidle/current_driver")  # without one, nobody keeps to that limit
_MICROSECONDS = struct.Struct("=i")


@contextmanager
def idle_cores_awake() -> Iterator[bool]:
    """For as long as this lasts, where the kernel has it and lets us (Linux, root): are they?"""
    held = _hold()
    try:
        yield held is not None
    finally:
        if held is not None:
            os.close(held)


def _hold() -> int | None:
    try:
        if _DRIVER.read_text().strip() == "none":
            return None
        descriptor = os.open(_LATENCY, os.O_WRONLY)
    except OSError:
        return None
    os.write(descriptor, _MICROSECONDS.pack(0))
    return descriptor
