r"""Transcripts: a conversation and what it comes to, in one small text file each (tests/transcripts/).

    # Comments, where it is from.
    dialogue: smtp
    verdict: ok
    ...

    S: 220 mail.example.org ESMTP
    C: EHLO client.example.org
    S: 250-mail.example.org
    S*40: 250-X-EXTENSION
    S: 250 STARTTLS
    C: STARTTLS
    S: 220 go ahead
    T: what comes with the last line and belongs to whoever is next
    END: reset

`S:` and `C:` lines end in CRLF; with a bar in place of the colon they hold exactly what is written. Escapes are those
of Python's bytes (`\n`, `\x16`, `\\`). `*40` is forty times. Without `END` the dialogue is over by itself.

The head is compared with the result: a word that is left out is None, or an empty list, except for `text`, `before`
and `auth`, which are compared where they are written.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from scanner.dialogue import Dialogue, End
from scanner.starttls import SPOKEN
from scanner.starttls.injection import Injection
from scanner.starttls.result import Capabilities, Inside, Names, StartTls
from tests.scanner.play import advance

FOLDER = Path(__file__).parent.parent / "transcripts"
NAMES = Names("client.example.org", "server.example.org")

Result = StartTls | Inside | Injection
Cut = Callable[[bytes], list[bytes]]  # what a turn of the server's into pieces

_LINE = re.compile(r"(S|C|T)(?:\*(\d+))?([:|]) ?(.*)")
_KNOWN = {None: None, "yes": True, "no": False}
_ALWAYS = (
    *("verdict", "stage", "cause", "hint", "code", "advertised", "required", "login_disabled", "flags", "stopped"),
    "result",
)
_WHERE_WRITTEN = ("text", "before", "auth")


@dataclass(frozen=True, slots=True)
class Turn:
    """What the client has to have said by then, and what the server says to it."""

    client: bytes
    server: bytes


@dataclass(frozen=True, slots=True)
class Transcript:
    """One case."""

    name: str
    dialogue: str
    expected: dict[str, Any]
    turns: tuple[Turn, ...]
    last_words: bytes  # of the client, after which the server says nothing more
    behind: bytes
    end: End | None

    @property
    def server_bytes(self) -> bytes:
        """All that the server says, in one piece."""
        return b"".join(turn.server for turn in self.turns)

    def begin(self) -> Dialogue[StartTls] | Dialogue[Inside] | Dialogue[Injection]:
        """A fresh dialogue: `smtp`, `smtp inquiring` (is TLS required?), `smtp inside` (after STARTTLS), or
        `smtp implicit` (with a greeting inside); `smtp injecting` and `smtp proof` (the two halves of the injection
        test).
        """
        protocol, _, where = self.dialogue.partition(" ")
        spoken = SPOKEN[protocol]
        if where in ("", "inquiring", "injecting"):
            upgrade = spoken.upgrade(NAMES)
            upgrade.inquiring = where == "inquiring"
            if where == "injecting":
                assert spoken.injection, f"{protocol} has no injection test"
                upgrade.injected = spoken.injection.injected
            return upgrade
        if where == "proof":
            assert spoken.injection, f"{protocol} has no injection test"
            return spoken.injection.proof(NAMES)
        assert spoken.within, f"{protocol} asks nothing inside TLS"
        return spoken.within(NAMES, where == "implicit")

    def run(self, cut: Cut, behind: bytes | None = None) -> tuple[Result, bytes]:
        """(result, what is left over) when each turn comes in these pieces. Fails when the client speaks out of turn.

        What stands behind the last turn comes with its last piece.
        """
        dialogue: Dialogue[Any] = self.begin()
        sent: list[bytes] = []
        done = advance(dialogue, sent)
        said = b""
        for turn in self.turns:
            assert done is None, f"over before {turn.server!r}"
            said += turn.client
            pieces = cut(turn.server)
            if turn is self.turns[-1]:
                pieces[-1] += self.behind if behind is None else behind
            for piece in pieces:
                assert done is None, "over in the middle of a turn"
                assert b"".join(sent) == said, "the client speaks out of turn"
                dialogue.receive_data(piece)
                done = advance(dialogue, sent)
        assert b"".join(sent) == said + self.last_words
        if self.end is None:
            assert done is not None, "the dialogue wants more"
            return done.value, dialogue.trailing_data
        assert done is None, "over before the wire ended"
        return dialogue.end(self.end), dialogue.trailing_data

    def stop_after(self, count: int, end: End) -> tuple[Result, bytes]:
        """(result, what the client said) when the wire ends after so many bytes of the server's."""
        dialogue: Dialogue[Any] = self.begin()
        sent: list[bytes] = []
        done = advance(dialogue, sent)
        for turn in self.turns:
            if done or count <= 0:
                break
            dialogue.receive_data(turn.server[:count])
            count -= len(turn.server)
            done = advance(dialogue, sent)
        return dialogue.end(end), b"".join(sent)

    def facts(self, result: Result) -> dict[str, Any]:
        """What of a result the head of the file speaks of."""
        facts: dict[str, Any] = dict.fromkeys(_ALWAYS) | {"flags": []}
        capabilities: Capabilities | None = None
        match result:
            case StartTls():
                capabilities = result.before
                for word in ("verdict", "stage", "cause", "hint", "code", "advertised", "required", "text"):
                    facts[word] = getattr(result, word)
                facts["flags"] = sorted(result.flags)
            case Inside():
                capabilities = result.capabilities
                for word in ("stopped", "code", "text"):
                    facts[word] = getattr(result, word)
            case Injection():
                for word in ("result", "verdict", "stage", "cause", "code", "text"):
                    facts[word] = getattr(result, word)
        facts["login_disabled"] = capabilities.login_disabled if capabilities else None
        facts["before"] = list(capabilities.capabilities) if capabilities else None
        facts["auth"] = list(capabilities.auth) if capabilities else None
        return {word: facts[word] for word in self.expected}


def read(path: Path) -> Transcript:
    """Read one file."""
    lines = [line for line in path.read_text("utf-8").splitlines() if not line.startswith("#")]
    while not lines[0]:
        del lines[0]
    blank = lines.index("")
    head = dict(_head_line(line) for line in lines[:blank])
    said: list[tuple[str, bytes]] = []
    end = None
    for line in filter(None, lines[blank:]):
        if line.startswith("END: "):
            end = End(line.removeprefix("END: "))
        else:
            said.append(_said(line))
    turns, last_words = _turns([(who, data) for who, data in said if who != "T"])
    return Transcript(
        name=path.stem,
        dialogue=head.pop("dialogue"),
        expected=_expected(head),
        turns=turns,
        last_words=last_words,
        behind=b"".join(data for who, data in said if who == "T"),
        end=end,
    )


def every_transcript(dialogue: str = "") -> list[Transcript]:
    """All of them, or those of dialogues whose name begins so."""
    return [each for each in _all_transcripts() if each.dialogue.startswith(dialogue)]


@cache
def _all_transcripts() -> list[Transcript]:
    return [read(path) for path in sorted(FOLDER.glob("*.txt"))]


def _head_line(line: str) -> tuple[str, str]:
    word, colon, value = line.partition(":")
    if not colon or word not in ("dialogue", *_ALWAYS, *_WHERE_WRITTEN):
        raise ValueError(f"not a line of a head: {line!r}")
    return word, value.strip()


def _expected(head: dict[str, str]) -> dict[str, Any]:
    expected: dict[str, Any] = {word: head.get(word) for word in _ALWAYS}
    for word in ("advertised", "required", "login_disabled"):
        expected[word] = _KNOWN[expected[word]]
    expected["flags"] = (head.get("flags") or "").split()
    for word in _WHERE_WRITTEN:
        if word in head:
            value = head[word]
            expected[word] = value if word == "text" else [each.strip() for each in value.split("|") if each.strip()]
    return expected


def _said(line: str) -> tuple[str, bytes]:
    match = _LINE.fullmatch(line)
    if match is None:
        raise ValueError(f"not a line of a transcript: {line!r}")
    data = match[4].encode("latin-1").decode("unicode_escape").encode("latin-1")
    return match[1], (data + b"\r\n" * (match[3] == ":")) * int(match[2] or 1)


def _turns(said: list[tuple[str, bytes]]) -> tuple[tuple[Turn, ...], bytes]:
    """(turns, last words of the client): a turn is what the client says, and all that the server says to it."""
    turns: list[Turn] = []
    client = b""
    for who, data in said:
        if who == "C":
            client += data
        elif turns and not client:
            turns[-1] = Turn(turns[-1].client, turns[-1].server + data)
        else:
            turns.append(Turn(client, data))
            client = b""
    return tuple(turns), client
