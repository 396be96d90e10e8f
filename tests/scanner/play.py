"""Plays a dialogue without a wire: the server's bytes come in pieces, and what the client does is written down.

Two ways: `play` feeds bytes that pay no heed to what the client says; `Transcript` (transcript.py) keeps to turns.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from scanner.dialogue import Dialogue, Done, End, NeedData, Send

T = TypeVar("T")


@dataclass(slots=True)
class Played(Generic[T]):
    """What became of a dialogue: its result, what it sent, and the most bytes that it held at a time."""

    value: T
    sent: list[bytes] = field(default_factory=list)
    most_held: int = 0


def advance(dialogue: Dialogue[T], sent: list[bytes]) -> Done[T] | None:
    """Do what a dialogue says until it wants bytes (None), or is over."""
    while True:
        match dialogue.next_action():
            case Send(data):
                sent.append(data)
            case NeedData():
                return None
            case Done() as done:
                return done


def play(dialogue: Dialogue[T], pieces: Iterable[bytes], end: End = End.EOF) -> Played[T]:
    """Feed the pieces until the dialogue is over, or they are; then the wire ends."""
    sent: list[bytes] = []
    most_held = 0
    for piece in pieces:
        if done := advance(dialogue, sent):
            return Played(done.value, sent, most_held)
        dialogue.receive_data(piece)
        most_held = max(most_held, len(dialogue.trailing_data))
    done = advance(dialogue, sent)
    return Played(done.value if done else dialogue.end(end), sent, most_held)


def byte_by_byte(data: bytes) -> list[bytes]:
    """The smallest pieces there are."""
    return [data[at : at + 1] for at in range(len(data))]
