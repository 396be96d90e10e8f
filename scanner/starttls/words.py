"""The words in which servers of every protocol say that there are too many connections.

The one place where text counts: Dovecot, Postfix, Courier, Exim and the big hosters tell it by code, by text, or by
both, and a "no" from a busy server is no answer to the question.
"""

import re

_TOO_MANY = re.compile(
    rb"too (?:many|much)\b.{0,40}\b(?:connect|session|client|mail|log)"
    rb"|too fast|(?:rate|connection)s?[- ]limit|limit exceeded"
    rb"|(?:maximum|max) (?:number of )?(?:\w+ )?(?:connections|clients|users|sessions)|\(the maximum\)"
    rb"|connection (?:rate|frequency|count)|try again later.{0,20}connections|throttl",
    re.IGNORECASE | re.DOTALL,
)


# "try again in 5 minutes", "please wait 300 seconds", "Service ready in 005 minutes" (FTP 120)
_WAIT = re.compile(
    r"\b(?:in|after|wait|for)\s+(?:about |at least )?(\d{1,6})\s*(s|sec|second|m|min|minute|h|hr|hour)s?\b",
    re.IGNORECASE,
)
_UNITS_S = {"s": 1, "m": 60, "h": 3600}


def speaks_of_too_many(text: bytes) -> bool:
    """Does a refusal say that it is about the number or the rate of our connections?"""
    return _TOO_MANY.search(text) is not None


def seconds_asked_for(text: str) -> int:
    """How long a server asks us to stay away; 0 when it does not say."""
    found = _WAIT.search(text)
    return int(found[1]) * _UNITS_S[found[2][0].lower()] if found else 0
