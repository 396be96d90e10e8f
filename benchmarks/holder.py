"""Servers that keep a client waiting, for measuring what a waiting client holds: one silent, one in mid-handshake."""

import resource
import sys
from pathlib import Path

import trio
from OpenSSL import SSL


def main() -> None:
    """`python -m benchmarks.holder SILENT_PORT STALLED_PORT CERTIFICATE_DIRECTORY`"""
    silent, stalled, directory = int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    trio.run(_serve, silent, stalled, directory)


async def _serve(silent: int, stalled: int, directory: Path) -> None:
    context = SSL.Context(SSL.TLS_SERVER_METHOD)
    context.use_certificate_chain_file(str(directory / "chain.pem"))
    context.use_privatekey_file(str(directory / "key.pem"))

    async def hold(stream: trio.SocketStream) -> None:
        async for _ in stream:
            pass

    async def stall(stream: trio.SocketStream) -> None:
        tls = SSL.Connection(context, None)
        tls.set_accept_state()
        async for data in stream:
            tls.bio_write(data)
            try:
                tls.do_handshake()
            except SSL.WantReadError:
                flight = tls.bio_read(65_536)
                await stream.send_all(flight[: 5 + int.from_bytes(flight[3:5], "big")])  # the ServerHello's record

    async with trio.open_nursery() as nursery:
        nursery.start_soon(_listen, hold, silent)
        nursery.start_soon(_listen, stall, stalled)


async def _listen(handler: object, port: int) -> None:
    async def careful(stream: trio.SocketStream) -> None:
        try:
            await handler(stream)  # type: ignore[operator]
        except (trio.BrokenResourceError, SSL.Error):
            pass
        finally:
            await stream.aclose()

    await trio.serve_tcp(careful, port, host="0.0.0.0", backlog=8192)


if __name__ == "__main__":
    main()
