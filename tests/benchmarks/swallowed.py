"""`python -m tests.benchmarks.swallowed {"address": …}`, in a namespace: how a connection to it ends."""

import json
import socket
import sys

from benchmarks import namespace


def main() -> None:
    """Try once, and print the error's name."""
    namespace.bring_up()
    namespace.swallow()
    with socket.socket() as client:
        client.settimeout(1.5)  # one SYN, and another after a second
        try:
            client.connect((json.loads(sys.argv[1])["address"], 443))
        except OSError as error:
            print(json.dumps(type(error).__name__))


if __name__ == "__main__":
    main()
