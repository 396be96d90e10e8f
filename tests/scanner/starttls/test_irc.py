"""What IRC's dialogues never say, whatever they hear: to register is to log in."""

import re
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from scanner.dialogue import Dialogue
from scanner.starttls.irc import Irc, IrcInside
from tests.scanner.play import advance

SAID = re.compile(rb"(?:(?:CAP LS 302|STARTTLS|PING tlsweep|PONG :[^\r\n]*)\r\n)*")
WORDS = (
    "PING :x",
    "PONG x :tlsweep",
    "CAP * LS :tls",
    "CAP * LS * :sasl",
    "CAP * NEW :tls",
    "NOTICE * :welcome",
    "AUTHENTICATE +",
    "001 x :hi",
    "433 * x :in use",
    "451 * :You have not registered",
    "461 * USER :Not enough parameters",
)


@given(
    messages=st.lists(st.sampled_from(WORDS) | st.text(st.characters(codec="ascii"), max_size=20), max_size=8),
    inside=st.booleans(),
)
@settings(max_examples=300, deadline=None, derandomize=True)
def test_nobody_is_registered(messages: list[str], inside: bool) -> None:
    """Neither NICK nor USER nor PASS is ever sent, nor the end of a negotiation, where servers wait for them."""
    dialogue: Dialogue[Any] = IrcInside() if inside else Irc()
    sent: list[bytes] = []
    done = advance(dialogue, sent)
    for message in messages:
        if done is not None:
            break
        dialogue.receive_data(f":irc.example.org {message}\r\n".encode())
        done = advance(dialogue, sent)
    assert SAID.fullmatch(b"".join(sent))
