"""The least connections that decide all versions: what need not be asked, because another answer tells it.

Pure. The full handshake comes first, for it offers TLS 1.3 and all below, and stands for the hello of TLS 1.3; where a
dialogue comes before TLS it is the second, because its connection may ask more on the way there, and be turned away for
that. Then come the other versions one at a time, from TLS 1.2 down, until an answer tells of all that are left
(`versions.absent`). SSLv2 has a hello of its own, which no other stands for, and that is always sent.
"""

from collections.abc import Sequence

from scanner.question import Answer, Negotiate, OfferVersion, Question
from scanner.tls.hello import Shape
from scanner.tls.names import Version
from scanner.versions import absent, offers, proved_versions

# TLS 1.2 before TLS 1.3: that is only asked where no handshake could be made, and more servers answer the former.
_ORDER = (Version.TLS1_2, Version.TLS1_3, Version.TLS1_1, Version.TLS1_0, Version.SSLV3)


def needed(left: Sequence[Question], answers: list[Answer]) -> list[Question]:
    """Of what is left to ask, what has to be asked now."""
    # A version that a small hello proved, after silence to a handshake, is asked all the same: is it about the length?
    doubtful = {asked.version for asked, _ in offers(answers) if asked.shape is Shape.SMALL}
    told = (proved_versions(answers) | absent(answers)) - doubtful
    open_ones = [each for each in left if isinstance(each, OfferVersion) and each.version not in told]
    always = [each for each in open_ones if each.version is Version.SSLV2]
    handshakes = [each for each in left if isinstance(each, Negotiate)]
    in_turn = sorted((each for each in open_ones if each not in always), key=lambda each: _ORDER.index(each.version))
    return [*(handshakes or in_turn[:1]), *always]
