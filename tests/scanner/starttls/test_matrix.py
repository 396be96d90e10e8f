"""Every word of `starttls.verdict`, from each protocol that can say it.

The tables are written by hand, from the rows of `docs/records.md`; the transcripts have to reach them, no less and no
more. A protocol that joins the registry without a row, or a row without a transcript, fails.
"""

from collections import defaultdict
from functools import cache

import pytest

from scanner.dialogue import End
from scanner.outcome import Stage, Verdict
from scanner.starttls import SPOKEN
from scanner.starttls.result import StartTls
from tests.scanner.play import play
from tests.scanner.recorded import go_aheads, stages_of
from tests.scanner.transcript import NAMES, Transcript, every_transcript

# What the wire alone brings about, in any protocol: test_end_of_the_wire has it.
OF_THE_WIRE = {Verdict.TIMEOUT, Verdict.CLOSED, Verdict.RESET, Verdict.TARPIT}
# What needs more than a dialogue: tests/scanner/test_every_protocol.py has it. `handshake_failed` is of `tls.error`.
OF_THE_CONNECTION = {
    Verdict.ACCEPTED_NO_TLS,
    Verdict.UNREACHABLE,
    Verdict.LOCAL_LIMITATION,
    Verdict.HANDSHAKE_FAILED,
}
OF_ALL = {Verdict.OK, Verdict.NOT_OFFERED, Verdict.PROTOCOL_MISMATCH, Verdict.VIOLATION}

TEMPORARY, POLICY = Verdict.REFUSED_TEMPORARY, Verdict.REFUSED_POLICY
PERMANENT, SERVER_ERROR = Verdict.REFUSED_PERMANENT, Verdict.REFUSED_SERVER_ERROR
UNAVAILABLE, SESSION, RATE = Verdict.UNAVAILABLE, Verdict.REFUSED_SESSION, Verdict.RATE_LIMITED
LIMIT = Verdict.LIMIT_EXCEEDED

# What a server can say besides. A word that is left out has no row in records.md for the protocol:
WORDS: dict[str, set[Verdict]] = {
    "smtp": {TEMPORARY, POLICY, PERMANENT, UNAVAILABLE, SESSION, RATE, LIMIT},
    "lmtp": {TEMPORARY, POLICY, PERMANENT, UNAVAILABLE, SESSION, RATE, LIMIT},
    # NO is the only word for "cannot", BYE for "will not"; a greeting that is not OK is one of them.
    "imap": {PERMANENT, SERVER_ERROR, UNAVAILABLE, RATE, LIMIT},
    "pop3": {TEMPORARY, PERMANENT, UNAVAILABLE, SESSION, RATE, LIMIT},
    # No BAD: who does not know the command says NO.
    "sieve": {TEMPORARY, SERVER_ERROR, UNAVAILABLE, SESSION, RATE, LIMIT},
    "ftp": {TEMPORARY, POLICY, PERMANENT, UNAVAILABLE, SESSION, RATE, LIMIT},
    "nntp": {TEMPORARY, PERMANENT, UNAVAILABLE, SESSION, RATE, LIMIT},
    "xmpp-client": {POLICY, SERVER_ERROR, UNAVAILABLE, SESSION, RATE, LIMIT},
    "xmpp-server": {POLICY, SERVER_ERROR, UNAVAILABLE, SESSION, RATE, LIMIT},
    # A session begins with the first request, and has no refusal of its own.
    "ldap": {TEMPORARY, POLICY, PERMANENT, SERVER_ERROR, UNAVAILABLE, RATE, LIMIT},
    "postgresql": {PERMANENT, UNAVAILABLE, RATE, LIMIT},
    # The handshake packet offers TLS or does not; what is refused is the session.
    "mysql": {UNAVAILABLE, SESSION, RATE, LIMIT},
    "irc": {SERVER_ERROR, UNAVAILABLE, SESSION, RATE, LIMIT},
    # Of congestion there is a code, of too many connections none.
    "rdp": {POLICY, SERVER_ERROR, UNAVAILABLE, SESSION, LIMIT},
    # Options are agreed to or not; only text tells of anything else.
    "telnet": {RATE, LIMIT},
    "mssql": {UNAVAILABLE, SESSION, RATE, LIMIT},
    # One header of eight bytes: there is no room for a refusal, nor for more than our caps.
    "amqp": set(),
}


@cache
def upgrades(protocol: str) -> list[Transcript]:
    """The transcripts of the dialogue up to TLS, with a word more or without."""
    return [each for each in every_transcript(protocol) if each.dialogue in (protocol, f"{protocol} inquiring")]


def test_every_protocol_has_its_row() -> None:
    """And nothing but a protocol has one."""
    assert set(WORDS) == set(STAGES) == set(SPOKEN)
    said = set().union(*WORDS.values(), OF_ALL)
    assert said | OF_THE_WIRE | OF_THE_CONNECTION == set(Verdict)


@pytest.mark.parametrize("protocol", SPOKEN)
def test_every_word(protocol: str) -> None:
    """The transcripts of a protocol reach each word that it can say, and no other."""
    reached = {Verdict(each.expected["verdict"]) for each in upgrades(protocol)}
    assert reached - OF_THE_WIRE == WORDS[protocol] | OF_ALL


# Each code that records.md names: (verdict, stage) → protocol → codes as in `starttls.code`. `None` has none.
ROWS: dict[tuple[Verdict, Stage], dict[str, set[str | None]]] = {
    (Verdict.NOT_OFFERED, Stage.REPLY): {
        "postgresql": {"N"},
        "irc": {"421", "451", "PING", "NOTICE"},  # the last two: silence while PINGs go on, and silence
        "mssql": {"2"},  # ENCRYPT_NOT_SUP
        "rdp": {"CC", "3/2"},  # without negotiation data; SSL_NOT_ALLOWED
        "amqp": {"0", "3"},  # another header: AMQP itself, SASL
        "telnet": {"DONT"},
    },
    (Verdict.NOT_OFFERED, Stage.GREETING): {"mysql": {None}, "imap": {"PREAUTH"}, "sieve": {"OK"}, "telnet": {"text"}},
    (Verdict.NOT_OFFERED, Stage.CAPABILITIES): {
        "smtp": {"250"},
        "lmtp": {"250"},
        "imap": {"OK"},
        "pop3": {"+OK"},
        "nntp": {"101"},
        "xmpp-client": {"features", "stream"},
        "xmpp-server": {"features"},
        "telnet": {"options", "text"},  # and not this one
    },
    (TEMPORARY, Stage.REPLY): {
        "smtp": {"454", "451"},
        "lmtp": {"454"},
        "ftp": {"431"},
        "ldap": {"51", "52"},
        "nntp": {"580"},
        "sieve": {"NO"},
        "pop3": {"-ERR"},
    },
    (POLICY, Stage.REPLY): {
        "smtp": {"530", "538", "550", "554"},
        "lmtp": {"554"},
        "ftp": {"530", "534"},
        "ldap": {"8", "53"},
        "rdp": {"3/6"},  # SSL_WITH_USER_AUTH_REQUIRED
        "xmpp-client": {"policy-violation"},
        "xmpp-server": {"policy-violation"},
    },
    (PERMANENT, Stage.REPLY): {
        "smtp": {"500", "501", "502", "503", "504", "550", "554", "599"},  # 550 and 554 with another 5.x.y; any other
        "lmtp": {"502"},
        "imap": {"BAD"},
        "ftp": {"500", "502", "504"},
        "nntp": {"502"},
        "ldap": {"2"},
        "pop3": {"-ERR"},
        "postgresql": {"0A000", "E"},  # an error, by its SQLSTATE or without one
    },
    (SERVER_ERROR, Stage.REPLY): {
        "imap": {"NO"},
        "sieve": {"NO"},
        "rdp": {"3/3"},
        "xmpp-client": {"failure"},
        "xmpp-server": {"failure"},
        "irc": {"691"},
        "ldap": {"1"},
    },
    (UNAVAILABLE, Stage.GREETING): {
        "smtp": {"421", "450"},
        "lmtp": {"421"},
        "imap": {"BYE"},
        "ftp": {"421", "120"},
        "nntp": {"400"},
        "sieve": {"BYE"},
        "pop3": {"-ERR"},  # [SYS/TEMP]
        "mysql": {"1053"},
    },
    (UNAVAILABLE, Stage.CAPABILITIES): {
        "smtp": {"421", "451"},
        "lmtp": {"421"},
        "imap": {"BYE"},
        "ftp": {"421"},
        "nntp": {"400"},
        "ldap": {"52"},  # a Notice of Disconnection
        "xmpp-client": {"see-other-host"},
        "xmpp-server": {"see-other-host"},
    },
    (UNAVAILABLE, Stage.REPLY): {
        "smtp": {"421"},
        "lmtp": {"421"},
        "imap": {"BYE"},
        "ftp": {"421"},
        "nntp": {"400"},
        "ldap": {"10"},  # referral
        "sieve": {"BYE"},
        "postgresql": {"57P03"},
        "irc": {"ERROR"},
        "rdp": {"DR/1"},
    },
    (SESSION, Stage.GREETING): {
        "smtp": {"521", "554"},
        "lmtp": {"554"},
        "pop3": {"-ERR"},
        "nntp": {"502"},
        "mysql": {"1130"},
        "sieve": {"NO"},
        "ftp": {"530"},
    },
    (SESSION, Stage.CAPABILITIES): {
        "smtp": {"504", "550"},
        "lmtp": {"550"},
        "xmpp-client": {"host-unknown"},
        "xmpp-server": {"host-unknown"},
    },
    (RATE, Stage.GREETING): {"smtp": {"421"}, "mysql": {"1040", "1129"}, "imap": {"BYE"}, "pop3": {"-ERR"}},
    (RATE, Stage.REPLY): {"smtp": {"421"}, "postgresql": {"53300"}},
    (Verdict.VIOLATION, Stage.REPLY): {
        "smtp": {"250"},
        "ftp": {"334"},
        "nntp": {"480", "483"},
        "rdp": {"3/1", "3/4"},  # SSL_REQUIRED, INCONSISTENT_FLAGS
        "postgresql": {None},  # a byte that it may not send
        "imap": {"OK"},  # the tag is not ours
    },
}


def evidence() -> dict[tuple[Verdict, Stage], dict[str, set[str | None]]]:
    """(verdict, stage) → protocol → codes, of all transcripts."""
    found: dict[tuple[Verdict, Stage], dict[str, set[str | None]]] = defaultdict(lambda: defaultdict(set))
    for protocol in SPOKEN:
        for each in upgrades(protocol):
            place = Verdict(each.expected["verdict"]), Stage(each.expected["stage"])
            found[place][protocol].add(each.expected["code"])
    return found


@pytest.mark.parametrize("place", ROWS, ids="-".join)
def test_every_code(place: tuple[Verdict, Stage]) -> None:
    """Each code that records.md names is said in a transcript, at its stage."""
    found = evidence()[place]
    missing = {protocol: codes - found[protocol] for protocol, codes in ROWS[place].items() if codes - found[protocol]}
    assert missing == {}


ANSWERS = set(Verdict) - OF_THE_WIRE - OF_THE_CONNECTION - {Verdict.VIOLATION, Verdict.PROTOCOL_MISMATCH, LIMIT}


@pytest.mark.parametrize("protocol", SPOKEN)
def test_stage_code_and_text_are_the_evidence(protocol: str) -> None:
    """Whatever a server answered, its words are in the result; a mismatch has its hint."""
    for each in upgrades(protocol):
        result, _ = each.run(lambda said: [said])
        assert isinstance(result, StartTls)
        if result.verdict in ANSWERS:
            assert result.text is not None, each.name  # LDAP's diagnostic message may be empty
            assert result.code or protocol in WITHOUT_CODES, each.name
        assert (result.hint is not None) == (result.verdict is Verdict.PROTOCOL_MISMATCH), each.name


WITHOUT_CODES = {"mysql"}  # of a handshake packet, the server's version is the text

# --- the end of the wire ----------------------------------------------------------------------------------------------

GREETING, CAPABILITIES, REPLY = Stage.GREETING, Stage.CAPABILITIES, Stage.REPLY

# At which stages a client waits for the server.
STAGES: dict[str, set[Stage]] = {
    "smtp": {GREETING, CAPABILITIES, REPLY},
    "lmtp": {GREETING, CAPABILITIES, REPLY},
    "imap": {GREETING, CAPABILITIES, REPLY},
    "pop3": {GREETING, CAPABILITIES, REPLY},
    "sieve": {GREETING, REPLY},  # the capabilities come unasked
    "ftp": {GREETING, CAPABILITIES, REPLY},
    "nntp": {GREETING, CAPABILITIES, REPLY},
    "xmpp-client": {GREETING, CAPABILITIES, REPLY},
    "xmpp-server": {GREETING, CAPABILITIES, REPLY},
    "ldap": {CAPABILITIES, REPLY},
    "postgresql": {REPLY},
    "mysql": {GREETING},
    "irc": {GREETING, REPLY},
    "rdp": {REPLY},
    "telnet": {GREETING, CAPABILITIES, REPLY},
    "mssql": {REPLY},
    "amqp": {REPLY},
}

OF_END = {
    End.EOF: Verdict.CLOSED,
    End.RESET: Verdict.RESET,
    End.TIMEOUT: Verdict.TIMEOUT,
    End.DEADLINE: Verdict.TARPIT,
    End.CAP: Verdict.LIMIT_EXCEEDED,
}
# Where an end of the wire is an answer, by records.md or by the protocol: (verdict, whether it always is).
ANSWERED_BY_END: dict[tuple[str, Stage, End], tuple[Verdict, bool]] = {
    ("irc", REPLY, End.TIMEOUT): (Verdict.NOT_OFFERED, True),  # "silence while PINGs go on"
    ("irc", REPLY, End.DEADLINE): (Verdict.NOT_OFFERED, False),  # the same, until the deadline
    ("irc", REPLY, End.EOF): (Verdict.NOT_OFFERED, False),  # behind a list without it, and patience for a login
    ("telnet", CAPABILITIES, End.TIMEOUT): (Verdict.NOT_OFFERED, True),  # "never mentions the option"
    ("ftp", GREETING, End.EOF): (Verdict.UNAVAILABLE, False),  # "120 that nothing follows"
    ("ftp", GREETING, End.RESET): (Verdict.UNAVAILABLE, False),
    ("ftp", GREETING, End.TIMEOUT): (Verdict.UNAVAILABLE, False),
    ("xmpp-client", CAPABILITIES, End.TIMEOUT): (Verdict.NOT_OFFERED, False),  # a stream of before version 1.0
}
MOST_BYTES = 600  # of a transcript that is cut at each of them


@pytest.mark.parametrize("protocol", SPOKEN)
def test_end_of_the_wire(protocol: str) -> None:
    """FIN, RST, silence, a tarpit and our cap stay apart at every stage that a protocol has, wherever they come."""
    found = defaultdict(set)
    for each in go_aheads(protocol):
        for at in range(min(len(each.server_bytes), MOST_BYTES)):
            for end in End:
                result, _ = each.stop_after(at, end)
                assert isinstance(result, StartTls)
                found[result.stage, end].add(result.verdict)
    expected = {}
    for stage in STAGES[protocol]:
        for end in End:
            answer, always = ANSWERED_BY_END.get((protocol, stage, end), (OF_END[end], True))
            expected[stage, end] = {answer} if always else {answer, OF_END[end]}
    assert found == expected


@pytest.mark.parametrize("protocol", SPOKEN)
def test_more_than_our_caps(protocol: str) -> None:
    """A line without end in place of each reply: over our caps, or it breaks the grammar before that."""
    for each in go_aheads(protocol):
        for number, stage in enumerate(stages_of(each)):
            said = [turn.server for turn in each.turns[:number]]
            result = play(SPOKEN[protocol].upgrade(NAMES), [*said, *[b"x" * 16_384] * 9]).value
            assert result.verdict in (LIMIT, Verdict.VIOLATION)
            assert result.stage is stage
