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


def speaks_of_too_many(text: bytes) -> bool:
    """Does a refusal say that it is about the number or the rate of our connections?"""
    return _TOO_MANY.search(text) is not None
