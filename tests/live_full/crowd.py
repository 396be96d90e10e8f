"""Other clients of a server: they come before the scan, and stay, or have left in a bad way."""

import contextlib
import socket
import time
from collections.abc import Iterator

ANSWER_WITHIN_S = 10.0


@contextlib.contextmanager
def held(
    address: str, port: int, count: int, first_words: bytes = b"", begins: bytes = b"", holds: bytes = b""
) -> Iterator[None]:
    """So many connections are there meanwhile, at each of which something was said, and answered in this way."""
    deadline = time.monotonic() + ANSWER_WITHIN_S
    with contextlib.ExitStack() as stack:
        kept = 0
        while kept < count:
            connection = stack.enter_context(socket.create_connection((address, port), ANSWER_WITHIN_S))
            connection.sendall(first_words)
            answer = connection.recv(65_536)
            if answer and answer.startswith(begins) and holds in answer:
                kept += 1
            elif time.monotonic() > deadline:
                raise AssertionError(f"{address}:{port} answers {answer!r}")
            else:
                connection.close()  # it is not ready yet, or has not let go of whoever was there before
                time.sleep(0.05)
        yield


@contextlib.contextmanager
def aborted(address: str, port: int, count: int) -> Iterator[None]:
    """So many connections were closed after the server's first words, and before ours."""
    for _ in range(count):
        with socket.create_connection((address, port), ANSWER_WITHIN_S) as connection:
            connection.recv(1)
    yield
