"""`--metrics ADDRESS:PORT`: a small HTTP server inside the run, for Prometheus (and for `curl`).

It is a task of the run, so that what it shows is of one moment, and no thread races with the scan. h11 speaks HTTP,
prometheus-client writes the text. Whoever asks gets one answer a connection; slow and hostile clients meet a deadline,
a cap on the size of a request (h11's, 16 KiB), and a bound on their number. A bug here costs an answer, not the scan.
"""

import socket
from collections.abc import Callable
from http import HTTPStatus

import h11
import structlog
import trio
from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.exposition import choose_encoder

from scanner import __version__
from scanner.metrics import StandingCollector
from scanner.standing import Standing

CLIENTS = 8  # at once; whoever is one too many is hung up on
DEADLINE_S = 10.0  # for a request and its answer
FAREWELL_S = 1.0
RECEIVE_BYTES = 4_096
PATH = "/metrics"
_PLAIN = "text/plain; charset=utf-8"

log = structlog.get_logger()


def listen(address: str, port: int) -> socket.socket:
    """Take the port before the scan begins. Raises OSError."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listening.bind((address, port))
        listening.listen()
    except OSError:
        listening.close()
        raise
    return listening


class MetricsServer:
    """Answers on a socket that listens."""

    def __init__(self, listening: socket.socket) -> None:
        self._listening = listening
        self._clients = 0

    async def serve(self, stand: Callable[[], Standing]) -> None:
        """Until cancelled; then the port is free again."""
        registry = CollectorRegistry(auto_describe=False)
        registry.register(StandingCollector(stand))
        ProcessCollector(registry=registry)
        self._listening.setblocking(False)
        listener = trio.SocketListener(trio.socket.from_stdlib_socket(self._listening))
        address, port, *_ = self._listening.getsockname()
        log.info("metrics are served", url=f"http://{f'[{address}]' if ':' in address else address}:{port}{PATH}")

        async def meet(stream: trio.SocketStream) -> None:
            await self._meet(stream, registry)

        await trio.serve_listeners(meet, [listener])

    async def _meet(self, stream: trio.SocketStream, registry: CollectorRegistry) -> None:
        """One client. trio closes the stream behind it."""
        if self._clients >= CLIENTS:
            await trio.aclose_forcefully(stream)
            return
        self._clients += 1
        try:
            with trio.move_on_after(DEADLINE_S):
                await _answer(stream, registry)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass  # it has gone
        except Exception as error:  # a bug of ours
            log.error("internal error", of="metrics", exc_info=error)
        finally:
            self._clients -= 1
            await trio.aclose_forcefully(stream)


async def _answer(stream: trio.SocketStream, registry: CollectorRegistry) -> None:
    """Read a request, and say what there is to say."""
    http, request = h11.Connection(h11.SERVER), None
    try:
        request = await _request(stream, http)
        if request is None:
            return
        status, content_type, body = _found(request, registry)
    except h11.RemoteProtocolError as error:
        status, content_type, body = error.error_status_hint, _PLAIN, b"not HTTP\n"
    headers = [
        *([("Allow", "GET, HEAD")] if status == HTTPStatus.METHOD_NOT_ALLOWED else []),
        ("Content-Type", content_type),
        ("Content-Length", str(len(body))),
        ("Server", f"tlsweep/{__version__}"),
        ("Connection", "close"),
    ]
    said = http.send(h11.Response(status_code=status, headers=headers)) or b""
    if request is None or request.method != b"HEAD":
        said += http.send(h11.Data(data=body)) or b""
    await stream.send_all(said)
    await _hang_up(stream)


async def _request(stream: trio.SocketStream, http: h11.Connection) -> h11.Request | None:
    """The first request; None where the client says nothing. Raises RemoteProtocolError."""
    while True:
        match http.next_event():
            case h11.NEED_DATA:
                http.receive_data(await stream.receive_some(RECEIVE_BYTES))
            case h11.Request() as request:
                return request
            case _:
                return None


def _found(request: h11.Request, registry: CollectorRegistry) -> tuple[int, str, bytes]:
    """Status, type and content of what was asked for."""
    if request.target.partition(b"?")[0] != PATH.encode():
        return HTTPStatus.NOT_FOUND, _PLAIN, f"there is nothing but {PATH}\n".encode()
    if request.method not in (b"GET", b"HEAD"):
        return HTTPStatus.METHOD_NOT_ALLOWED, _PLAIN, b"only to be read\n"
    accept = b",".join(value for name, value in request.headers if name == b"accept")
    encode, content_type = choose_encoder(accept.decode("latin-1"))
    return HTTPStatus.OK, content_type, encode(registry)


async def _hang_up(stream: trio.SocketStream) -> None:
    """With a FIN: what a client has sent besides would else make an RST of it, which may take the answer with it."""
    await stream.send_eof()
    with trio.move_on_after(FAREWELL_S):
        while await stream.receive_some(RECEIVE_BYTES):
            pass
