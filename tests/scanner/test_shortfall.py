"""Servers that our TLS library is too short for: a limit of our own, and never a handshake that fails."""

from dataclasses import dataclass, replace
from typing import Any

import pytest

from scanner.outcome import Outcome, Stage, Verdict
from scanner.question import Answer, Negotiate, OfferVersion
from scanner.shortfall import as_our_limit, within_reach
from scanner.tls.exchange import Evidence, HelloAnswer
from scanner.tls.handshake import Handshake
from tests.peers.tls_table import (
    RSA_AEAD,
    RSA_CBC,
    RSA_OLD,
    SSL2,
    SSL3,
    TLS10,
    TLS11,
    TLS12,
    TLS13,
    TLS13_SUITES,
    End,
    Table,
    codes,
    needs_alpn,
    refuses_extensions,
    refuses_name,
)
from tests.scanner.test_ladder_on_peers import KINDS, see

FFDHE4096, SECP384R1MLKEM1024, BRAINPOOL, SECP224R1 = 0x0102, 0x11ED, 0x001F, 0x0015
RC4, TRIPLE_DES, EXPORT, STATIC_ECDH = codes("0005 0004"), codes("000a"), codes("0003 0008"), codes("c00e c00f")
ANONYMOUS_RC4 = codes("0018")


@dataclass(frozen=True, slots=True)
class Case:
    """A server, and what becomes of a full handshake with it."""

    table: Table
    error: tuple[str, str] | None  # verdict; and what the library lacks, or the alert, or the cause
    version: str | None = None  # of the handshake that was made


def limit(*lacking: str) -> tuple[str, str]:
    """What our library has not is all that the server was seen to choose."""
    return "local_limitation", f"not in our library: {', '.join(lacking)}"


def told(tls: dict[str, Any]) -> tuple[str, str] | None:
    """Of an error, as in a Case."""
    error = tls["error"]
    if error is None or error["verdict"] == "local_limitation":
        return error and (error["verdict"], error["detail"])
    return error["verdict"], error["alert"] or error["cause"]


OLD_TLS = (TLS10, TLS11, TLS12)
RC4_SHA = "TLS_RSA_WITH_RC4_128_SHA"
CASES = {
    "RC4 alone": Case(Table(dict.fromkeys(OLD_TLS, RC4)), limit(RC4_SHA)),
    "RC4 alone, refused by 71": Case(Table({TLS12: RC4}, nothing=71), limit(RC4_SHA)),
    "RC4 alone, refused by 47": Case(Table({TLS12: RC4}, nothing=47), limit(RC4_SHA)),
    "RC4 alone, refused by 80": Case(Table({TLS10: RC4}, nothing=80), limit(RC4_SHA)),
    "RC4 alone, and it hangs up": Case(Table({TLS12: RC4}, nothing=End.FIN), limit(RC4_SHA)),
    "RC4 alone, and RST": Case(Table({TLS12: RC4}, nothing=End.RST), limit(RC4_SHA)),
    "3DES alone": Case(Table({TLS10: TRIPLE_DES}), limit("TLS_RSA_WITH_3DES_EDE_CBC_SHA")),
    "EXPORT alone": Case(Table({TLS10: EXPORT}), limit("TLS_RSA_EXPORT_WITH_RC4_40_MD5")),
    "static ECDH alone": Case(Table({TLS12: STATIC_ECDH}), limit("TLS_ECDH_RSA_WITH_AES_128_CBC_SHA")),
    "anonymous, by RC4": Case(Table({TLS12: ANONYMOUS_RC4}), limit("TLS_DH_anon_WITH_RC4_128_MD5")),
    "another suite in each version": Case(
        Table({TLS10: TRIPLE_DES, TLS12: RC4}), limit("TLS_RSA_WITH_3DES_EDE_CBC_SHA", RC4_SHA)
    ),
    "SSLv3 alone": Case(Table({SSL3: RSA_OLD}), limit("SSLv3")),
    "SSLv3 with suites that we have": Case(Table({SSL3: RSA_CBC}), ("local_limitation", "unsupported protocol")),
    "SSLv2 alone": Case(Table({SSL2: KINDS}), limit("SSLv2")),
    "SSLv2, and RC4": Case(Table({SSL2: KINDS, TLS10: RC4}), limit("SSLv2", RC4_SHA)),
    "a rare group alone": Case(Table({TLS13: TLS13_SUITES}, groups=(FFDHE4096,)), limit("ffdhe4096")),
    "a hybrid one that we are not told to offer": Case(
        Table({TLS13: TLS13_SUITES}, groups=(SECP384R1MLKEM1024,)), limit("SecP384r1MLKEM1024")
    ),
    "a brainpool curve": Case(Table({TLS13: TLS13_SUITES}, groups=(BRAINPOOL,)), limit("brainpoolP256r1tls13")),
    "an old curve alone": Case(
        Table({TLS10: codes("c013"), TLS12: codes("c02f")}, groups=(SECP224R1,)), limit("secp224r1")
    ),
    # The curve is only seen when both handshakes were made.
    "an old curve, and key transport below": Case(
        Table({TLS10: codes("002f"), TLS12: codes("c02f")}, groups=(SECP224R1,)),
        ("handshake_failed", "handshake_failure"),
    ),
    **{
        f"no extension, else {says}": Case(
            Table({TLS10: RSA_CBC}, quirks=(refuses_extensions(says),)), limit("a hello without extensions")
        )
        for says in (47, 50, 110, End.FIN, End.RST)
    },
    # Something of it we could do as well.
    "a rare group, and TLS 1.2": Case(
        Table({TLS12: codes("009d 009c"), TLS13: TLS13_SUITES}, groups=(FFDHE4096,)), None, "TLSv1.2"
    ),
    "RC4 above, and AES below": Case(Table({TLS11: RSA_CBC, TLS12: RC4}), None, "TLSv1.1"),
    "RC4, and a flight that breaks": Case(
        Table({TLS11: RC4, TLS12: codes("c013")}, hands_over=False), ("handshake_failed", "broken")
    ),
    # It is about something else.
    "ALPN": Case(Table({TLS12: RC4}, quirks=(needs_alpn(120),)), limit(RC4_SHA)),
    "silence": Case(Table({TLS12: RC4}, nothing=End.SILENCE), ("timeout", "timeout")),
    "a certificate": Case(Table({TLS12: RC4}, nothing=42), ("handshake_failed", "bad_certificate")),
    "RC4 alone, and a name that it does not know": Case(
        Table({TLS12: RC4}, quirks=(refuses_name(112, "other.test"),)), limit(RC4_SHA)
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
async def test_whose_limit_it_is(autojump_clock: object, case: Case) -> None:
    """A limit of ours is told as that, and what it is; there is no finding then."""
    seen = await see(case.table)
    assert seen.record["status"] == "tls"
    assert (told(seen.record["tls"]), seen.record["tls"]["version"]) == (case.error, case.version)
    fails = case.error is not None and case.error[0] == "handshake_failed"
    assert ("handshake-fails" in seen.findings) is fails
    if case.error and case.error[0] == "local_limitation":
        assert seen.record["tls"]["error"]["cause"] == "tls_library"


async def test_what_programs_get(autojump_clock: object) -> None:
    """Those of others may have what our library has not."""
    seen = await see(Table({TLS12: RC4}), service="smtp")
    assert seen.record["tls"]["error"]["verdict"] == "local_limitation"
    assert seen.record["starttls"]["verdict"] == "ok"
    assert seen.record["clients"]["starttls"] == "unknown"


async def test_a_newer_version_by_a_rare_group_is_no_matter_of_length(autojump_clock: object) -> None:
    """The handshake that is made below it is short; that is not why it is made."""
    table = Table({TLS12: RSA_AEAD[-2:], TLS13: TLS13_SUITES}, groups=(FFDHE4096,), nothing=End.FIN)
    seen = await see(table)
    assert seen.record["tls"]["version"] == "TLSv1.2"
    assert not seen.findings


# --- The rule by itself -----------------------------------------------------------------------------------------------

ALERT_40 = Outcome(Verdict.HANDSHAKE_FAILED, Stage.TLS, "alert", alert="handshake_failure")
REFUSED = Handshake(failure=ALERT_40)
OURS, THEIRS = (HelloAnswer(Evidence.SERVER_HELLO, TLS12.code, cipher) for cipher in (0xC02F, 0x0005))


def judged(*hellos: HelloAnswer, handshake: Handshake = REFUSED) -> Outcome | None:
    """The error of an endpoint that answered so."""
    answers = [Answer(OfferVersion(TLS12), 0.0, hello=hello) for hello in hellos]
    return as_our_limit(handshake.failure, [*answers, Answer(Negotiate(), 0.0, handshake=handshake)])


def test_what_shows_nothing() -> None:
    """No hello at all; one that broke the rules; one choice of several that we have; or a ServerHello to ours."""
    assert judged() == ALERT_40
    assert judged(replace(THEIRS, flags=frozenset({"unoffered_cipher"}))) == ALERT_40
    assert judged(replace(THEIRS, evidence=Evidence.HIGHER_VERSION)) == ALERT_40
    assert judged(HelloAnswer(Evidence.ALERT, alert=40)) == ALERT_40
    assert judged(THEIRS, OURS) == ALERT_40
    assert judged(THEIRS, handshake=replace(REFUSED, answered=True)) == ALERT_40
    reset = Outcome(Verdict.RESET, Stage.TLS, "reset")
    assert judged(THEIRS, handshake=Handshake(failure=reset, partial=True)) == reset


def test_what_shows_that_it_is_our_limit() -> None:
    """The alert stays known."""
    detail = f"not in our library: {RC4_SHA}"
    limited = replace(ALERT_40, verdict=Verdict.LOCAL_LIMITATION, cause="tls_library", detail=detail)
    assert judged(THEIRS) == judged(THEIRS, replace(THEIRS, evidence=Evidence.LOWER_VERSION)) == limited


def test_no_connection_is_another_matter() -> None:
    """What did not get to TLS is no limit of the library's, and no error stays none."""
    refused = Outcome(Verdict.UNREACHABLE, Stage.CONNECT, "refused")
    answers = [Answer(OfferVersion(TLS12), 0.0, hello=THEIRS), Answer(Negotiate(), 0.0, handshake=REFUSED)]
    assert as_our_limit(refused, answers) == refused
    assert as_our_limit(None, answers) is None


def test_versions_within_reach() -> None:
    """Those that were chosen with what we have."""
    rare = HelloAnswer(Evidence.HELLO_RETRY_REQUEST, TLS13.code, 0x1301, FFDHE4096)
    lower = HelloAnswer(Evidence.LOWER_VERSION, TLS10.code, 0x002F)
    answers = [Answer(OfferVersion(TLS13), 0.0, hello=hello) for hello in (rare, THEIRS, lower)]
    assert within_reach(answers) == {TLS10}
