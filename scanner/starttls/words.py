"""The words in which servers of every protocol say that there are too many connections, and how long to stay away.

Replies are decided on by their codes and their grammar. Here text counts, because Dovecot, Postfix, Courier, Exim and
the big hosters tell of load by code, by text, or by both, and a "no" from a busy server is no answer to the question.
What only one protocol's servers say stands in its own module: ftp.py (is a 530 about TLS?), irc.py and postgresql.py.
"""

import re

from scanner.outcome import Verdict

_TOO_MANY = re.compile(
    rb"too (?:many|much)\b.{0,40}\b(?:connect|session|client|user|mail|log)"
    rb"|too fast|\b(?:rate|connection|session|client|user|login)s?[- ]limit"
    rb"|\b(?:connection|session|login)s?\b[^.;\n]{0,24}\blimit\b|\blimit\b[^.;\n]{0,24}\b(?:connection|session|login)s?\b"
    rb"|(?:maximum|max) (?:number of )?(?:\w{1,20} ){0,3}(?:connections|clients|users|sessions)|\(the maximum\)"
    rb"|connections (?:are )?(?:already )?in use"
    rb"|connection (?:rate|frequency|count)|try again later.{0,20}connections|throttl",
    re.IGNORECASE | re.DOTALL,
)

# What servers of several protocols say, where TLS or a greeting is due, when they cannot serve anybody just now.
_PASSING = re.compile(r"4\d\d[ -]|\* BYE\b|BYE\b|ERROR :|-ERR \[(?:SYS/TEMP|IN-USE|LOGIN-DELAY)\]", re.IGNORECASE)

# Every repetition is bounded, so that hostile text costs no more than its length.
_UNIT = r"(?:days?|d|hours?|hrs?|h|minutes?|mins?|m|seconds?|secs?|s)(?![a-z])"
_PART = rf"\d{{1,6}}\s{{0,2}}{_UNIT}"  # "5 minutes", "90s"
_HOW_LONG = (
    r"(?:(?:about|at least|around|another|the next|up to)\s{1,3})?(?P<how_long>"
    r"(?<!after\s)\d\d:[0-5]\d:[0-5]\d(?![\d:])"  # "come back in 00:05:00"; behind "after" it is a time of the day
    rf"|an?\s{{1,3}}{_UNIT}"
    rf"|(?:\d{{1,6}}\s?(?:-|to|or)\s?)?{_PART}(?:(?:,|\sand)?\s?{_PART}){{0,3}}"  # "5-10 minutes", "1m30s"
    rf"|(?<=retry-after:\s)\d{{1,6}}(?!\s?[\w.:-]))"  # seconds, as in RFC 9110 §10.2.3
)
_BETWEEN = r"(?:(?!time|exceed|many|connections)[^.;:,()\d]){0,24}?"
# A length of time alone is as often a rate ("20 connections in 3600 seconds") or our own slowness ("timeout after 300
# seconds"). It is a pause where the same clause has spoken of coming back, or of being kept away, before.
_WAIT = re.compile(
    rf"(?:\b(?:try|again|retry|reconnect|return|wait)\b{_BETWEEN}\b(?:in|after|within|for)\s{{1,3}}"
    rf"|\b(?:ready|available|back)\b{_BETWEEN}\b(?:in|within|for)\s{{1,3}}"  # FTP: "Service ready in 005 minutes"
    r"|\b(?:blocked|banned|locked|limited|refused|rejected|suspended|deferred|delayed|greylisted|throttled|unavailable)"
    rf"\b{_BETWEEN}\bfor\s{{1,3}}"
    r"|\bwait\s{1,3}|\bfor\s{1,3}(?=the next\s)|\bretry-after:\s"
    rf"|\[login-delay\].{{0,80}}?\bis\s{{1,3}}){_HOW_LONG}",  # RFC 2449 §8.1.1
    re.IGNORECASE | re.ASCII,  # without it, the long s (U+017F) is an s, and no unit
)
_COUNTED = re.compile(r"(?:(\d{1,6})\s{0,2}|\ban?\s{1,3})([dhms])", re.IGNORECASE | re.ASCII)
_UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def speaks_of_too_many(text: bytes) -> bool:
    """Does a refusal say that it is about the number or the rate of our connections?"""
    return _TOO_MANY.search(text) is not None


def busy_verdict(text: str | None) -> Verdict | None:
    """Is it no other protocol, but a server of this one that is too busy? None where it does not say so."""
    if text is not None and speaks_of_too_many(text.encode()):
        return Verdict.RATE_LIMITED
    return Verdict.UNAVAILABLE if text and _PASSING.match(text) else None


def seconds_asked_for(text: str) -> int:
    """How long a server asks us to stay away; 0 when it does not say."""
    found = _WAIT.search(text)
    return _seconds(found["how_long"]) if found else 0


def _seconds(how_long: str) -> int:
    if how_long.isdigit():
        return int(how_long)
    if ":" in how_long:
        hours, minutes, seconds = map(int, how_long.split(":"))
        return 3600 * hours + 60 * minutes + seconds
    return sum(int(number or 1) * _UNITS_S[unit.lower()] for number, unit in _COUNTED.findall(how_long))
