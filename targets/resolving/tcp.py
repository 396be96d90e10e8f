"""A question over TCP (RFC 7766): for what does not fit into a datagram. One connection each; they are rare."""

import os

import trio

from targets.resolving.question import Question
from targets.resolving.reply import MalformedError, Reply, is_reply_to, read_reply
from targets.target import Address


async def exchange_by_tcp(
    address: Address, port: int, question: Question, timeout_s: float, *, edns: bool, checking_disabled: bool
) -> Reply:
    """The reply. Raises OSError, trio.TooSlowError or MalformedError."""
    query = question.query(int.from_bytes(os.urandom(2), "big"), edns=edns, checking_disabled=checking_disabled)
    with trio.fail_after(timeout_s):
        wire = await _exchange(address, port, query)
    if wire[:2] != query[:2] or not is_reply_to(wire, question):
        raise MalformedError("over TCP, a reply to another question")
    reply = read_reply(wire, question)
    if reply.truncated:
        raise MalformedError("over TCP, a reply that is truncated")
    return reply


async def _exchange(address: Address, port: int, query: bytes) -> bytes:
    """Each message behind its length (RFC 1035 §4.2.2)."""
    family = trio.socket.AF_INET6 if address.version == 6 else trio.socket.AF_INET
    with trio.socket.socket(family, trio.socket.SOCK_STREAM) as sock:
        await sock.connect((str(address), port))
        stream = trio.SocketStream(sock)
        try:
            await stream.send_all(len(query).to_bytes(2, "big") + query)
            return await _read(stream, int.from_bytes(await _read(stream, 2), "big"))
        except trio.BrokenResourceError as error:
            raise ConnectionResetError("the connection broke") from error


async def _read(stream: trio.SocketStream, size: int) -> bytes:
    data = bytearray()
    while len(data) < size:
        if not (more := await stream.receive_some(size - len(data))):
            raise ConnectionResetError("the connection ended early")
        data += more
    return bytes(data)
