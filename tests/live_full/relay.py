"""A program for servers that treat clients by their address: all of 127.0.0.0/8 is at hand here, and the scanner comes
from 127.0.0.1.

    python relay.py ADDRESS PORT TO_ADDRESS TO_PORT FROM_ADDRESS

Listens at the first, and hands on every byte of a connection to the second, as somebody who comes from the third.
"""

import socket
import sys
import threading


def main(address: str, port: str, to_address: str, to_port: str, from_address: str) -> None:
    """Serve until killed."""
    with socket.create_server((address, int(port))) as listener:
        while True:
            client, _ = listener.accept()
            server = socket.create_connection((to_address, int(to_port)), source_address=(from_address, 0))
            for one, other in ((client, server), (server, client)):
                threading.Thread(target=hand_on, args=(one, other), daemon=True).start()


def hand_on(source: socket.socket, sink: socket.socket) -> None:
    """All that comes, and then the end."""
    try:
        while data := source.recv(65_536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        pass  # the one that is gone closes its own connection; the other ends with ours


if __name__ == "__main__":
    main(*sys.argv[1:])
