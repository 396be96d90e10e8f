"""The retry ladder: an answer that decides nothing is asked again with the hello that could explain it.

Pure. A server may stumble over the length of a hello, an extension, a name, a group or a suite, and then its answer
says nothing about the version. So the version is offered again, in a hello that leaves out what it may have stumbled
over: at most `MOST_RUNGS` times.

    alone    no hello of TLS was answered yet: few versions stand for all, and one hello is tried at a time
    beside   one was: what that had in it is no hindrance, so little is left that could explain another's refusal

Beside one that was answered, FIN, RST and silence in answer to a hello of the same shape need no second hello: it is
the version. But where a ServerHello's random tells that the server could do this version (RFC 8446 §4.1.3), it is not,
and every rung is tried.

What a server stumbles over is read from the same table of hellos and answers, when all is over.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum, auto

from scanner.outcome import Flag
from scanner.tls.exchange import Evidence, HelloAnswer
from scanner.tls.hello import SENTINELS, TLS1_3, Shape
from scanner.tls.names import Version

MOST_RUNGS = 3
CLOSE_NOTIFY, HANDSHAKE_FAILURE, MISSING_EXTENSION, UNRECOGNIZED_NAME = 0, 40, 109, 112


class _Kind(Enum):
    """What an answer that decides nothing may be about."""

    END = auto()  # the wire
    NOTHING_IN_COMMON = auto()  # suites, groups, signature algorithms, certificates
    CHOKED = auto()  # it could not read the hello, or broke over it
    NAME = auto()
    MISSING = auto()  # an extension
    APPLICATION = auto()  # ALPN


_KINDS = {
    CLOSE_NOTIFY: _Kind.END,
    HANDSHAKE_FAILURE: _Kind.NOTHING_IN_COMMON,
    71: _Kind.NOTHING_IN_COMMON,  # insufficient_security
    47: _Kind.CHOKED,  # illegal_parameter
    50: _Kind.CHOKED,  # decode_error
    80: _Kind.CHOKED,  # internal_error
    86: _Kind.CHOKED,  # inappropriate_fallback, to a hello that is none (RFC 7507)
    110: _Kind.CHOKED,  # unsupported_extension
    MISSING_EXTENSION: _Kind.MISSING,
    UNRECOGNIZED_NAME: _Kind.NAME,
    120: _Kind.APPLICATION,  # no_application_protocol
}
INCONCLUSIVE_ALERTS = frozenset(_KINDS)  # they ask for another hello before they are a "no"
_ENDS = {Evidence.CLOSED, Evidence.RESET, Evidence.TIMEOUT}


@dataclass(frozen=True, slots=True)
class Try:
    """One hello for a version. `answer` is None where the connection did not get as far."""

    shape: Shape
    answer: HelloAnswer | None

    @property
    def answered(self) -> bool:
        """Did a hello come back?"""
        return self.answer is not None and self.answer.is_hello

    @property
    def ended(self) -> bool:
        """Did the wire end, and nothing else?"""
        return self.answer is not None and _kind_of(self.answer) is _Kind.END


_ABOUT_A_NAME = {UNRECOGNIZED_NAME, MISSING_EXTENSION}
Tries = Mapping[Version, list[Try]]
_Rungs = Mapping[_Kind, tuple[Shape, ...]]

# Where nothing at all is answered, these stand for all: a server answers an offer of more with what it has; one that
# does not is old and knows TLS 1.0, or so new that it knows nothing but TLS 1.3.
_STAND_INS = (Version.TLS1_2, Version.TLS1_3, Version.TLS1_0)
_IN_TLS = (Version.TLS1_0, Version.TLS1_1, Version.TLS1_2, Version.TLS1_3)
_NOT_IN_TLS13 = {Shape.NO_EXTENSIONS, Shape.RSA, Shape.OTHER_SUITES, Shape.SHARED_SECRET}
_OLD = frozenset(Shape) - {Shape.NO_GREASE, Shape.OTHER_GROUPS}
SHAPES: dict[Version, frozenset[Shape]] = {  # in which a version can be offered
    Version.SSLV2: frozenset(),
    Version.SSLV3: frozenset({Shape.PLAIN, Shape.SMALL}),
    Version.TLS1_0: _OLD,
    Version.TLS1_1: _OLD,
    Version.TLS1_2: _OLD,
    Version.TLS1_3: frozenset(Shape) - _NOT_IN_TLS13,
}
# Below TLS 1.3 the plain hello has nothing that these have not.
_AS_PLAIN = {Shape.NO_GREASE: Shape.PLAIN, Shape.OTHER_GROUPS: Shape.PLAIN}
_NAMELESS = {Shape.NO_NAME, Shape.NO_EXTENSIONS}
_LONG = {Shape.PLAIN, Shape.NO_NAME, Shape.NO_GREASE, Shape.OTHER_GROUPS, Shape.ALPN}

# What could explain an answer, likeliest first; of a tuple, as many are tried as there are rungs. An extension is left
# out last, for all others go with it.
_FIRST_ALONE: _Rungs = {
    _Kind.END: (Shape.SMALL, Shape.NO_NAME, Shape.NO_EXTENSIONS),
    _Kind.CHOKED: (Shape.SMALL, Shape.NO_NAME, Shape.NO_EXTENSIONS),
    _Kind.NOTHING_IN_COMMON: (Shape.NO_NAME, Shape.OTHER_SUITES, Shape.SHARED_SECRET, Shape.ECDSA),
    _Kind.NAME: (Shape.NO_NAME,),
    _Kind.MISSING: (Shape.SMALL,),
    _Kind.APPLICATION: (Shape.ALPN,),
}
_FIRST_ALONE_TLS13: _Rungs = {
    **_FIRST_ALONE,
    _Kind.END: (Shape.NO_GREASE, Shape.SMALL, Shape.NO_NAME),
    _Kind.CHOKED: (Shape.NO_GREASE, Shape.SMALL, Shape.NO_NAME),
    _Kind.NOTHING_IN_COMMON: (Shape.NO_NAME, Shape.OTHER_GROUPS, Shape.ECDSA),
    _Kind.MISSING: (Shape.OTHER_GROUPS,),
}
# For those that stand for all besides the first: what that could not find out.
_NEXT_ALONE: _Rungs = {
    _Kind.END: (Shape.NO_EXTENSIONS,),
    _Kind.CHOKED: (Shape.NO_EXTENSIONS,),
    _Kind.NOTHING_IN_COMMON: (Shape.OTHER_SUITES,),
}
_NEXT_ALONE_TLS13: _Rungs = {
    _Kind.END: (Shape.SMALL,),  # which has no GREASE either
    _Kind.CHOKED: (Shape.SMALL,),
    _Kind.NOTHING_IN_COMMON: (Shape.OTHER_GROUPS,),
    _Kind.MISSING: (Shape.OTHER_GROUPS,),
}
# For a version that the server says by a sentinel that it could do, whatever the first answer was about.
_HINTED: dict[Version, tuple[Shape, ...]] = {
    Version.TLS1_2: (Shape.SMALL, Shape.OTHER_SUITES, Shape.SHARED_SECRET),
    Version.TLS1_3: (Shape.NO_GREASE, Shape.OTHER_GROUPS, Shape.SMALL),
}
_MAY_BE_ANYTHING = {_Kind.END, _Kind.CHOKED, _Kind.NOTHING_IN_COMMON}
_OLD_BESIDE: _Rungs = {
    _Kind.NOTHING_IN_COMMON: (Shape.OTHER_SUITES,),
    _Kind.CHOKED: (Shape.RSA,),  # OpenSSL's 80, when its security level leaves it no digest to sign with
    _Kind.NAME: (Shape.NO_NAME,),
    _Kind.MISSING: (Shape.SMALL,),
    _Kind.APPLICATION: (Shape.ALPN,),
}
_BESIDE: dict[Version, _Rungs] = {
    Version.SSLV2: {},
    Version.SSLV3: {_Kind.CHOKED: (Shape.SMALL,)},
    Version.TLS1_0: _OLD_BESIDE,
    Version.TLS1_1: _OLD_BESIDE,
    Version.TLS1_2: {
        **_OLD_BESIDE,
        _Kind.END: (Shape.SMALL,),
        _Kind.CHOKED: (Shape.SMALL,),
        _Kind.NOTHING_IN_COMMON: (Shape.OTHER_SUITES, Shape.SHARED_SECRET),
    },
    Version.TLS1_3: {
        **_OLD_BESIDE,
        _Kind.END: (Shape.NO_GREASE, Shape.SMALL),
        _Kind.CHOKED: (Shape.NO_GREASE, Shape.SMALL),
        _Kind.NOTHING_IN_COMMON: (Shape.OTHER_GROUPS, Shape.NO_GREASE),
        _Kind.MISSING: (Shape.OTHER_GROUPS,),
    },
}


def rungs(tries: Tries, *, named: bool, shaken: bool = False) -> dict[Version, Shape]:
    """What to offer now, one hello a version; nothing when all is decided, or nothing else could explain it.

    `named`: is there a name to send, and so one to leave out? `shaken`: was a full handshake made, with all that a
    plain hello may have in it?
    """
    answered = answered_shapes(tries) | ({Shape.PLAIN} if shaken else set())
    if answered:
        return dict(_rungs_beside(tries, answered, named=named, shaken=shaken))
    return dict(list(_rungs_alone(tries, named=named))[:1])


def deciding(tries: Iterable[Try]) -> Try | None:
    """The try that the verdict rests on: the plain hello's where that came to something, else the first that did."""
    tries = list(tries)
    firm = [each for each in tries if each.answer and not is_inconclusive(each.answer)]
    plain = [each for each in firm if each.shape is Shape.PLAIN]
    return next(iter([*plain, *firm, *tries]), None)


def is_inconclusive(answer: HelloAnswer) -> bool:
    """May the same version, in another hello, be answered otherwise?"""
    return _kind_of(answer) is not None


def is_open(version: Version, answer: HelloAnswer) -> bool:
    """Does this answer leave the version undecided? For SSLv3, which has no alert 70, a 40 is good."""
    return is_inconclusive(answer) and not (version is Version.SSLV3 and answer.alert == HANDSHAKE_FAILURE)


def answered_shapes(tries: Tries) -> set[Shape]:
    """The shapes of hellos of TLS that were answered with a hello; what TLS has in them, SSL has not."""
    return {each.shape for version, made in tries.items() if version in _IN_TLS for each in made if each.answered}


def has_control(version: Version, tries: Tries) -> bool:
    """May FIN, RST or silence be a "no" to this version?

    Another hello was answered; and where that took another shape than the plain one, this version was offered in it
    too.
    """
    if tries[version] and all(each.answered for each in tries[version]):
        return True  # it met none of these
    if not any(each.answered for made in tries.values() for each in made):
        return False
    answered = answered_shapes(tries)
    if version not in _IN_TLS or not answered:
        return True
    if version is Version.TLS1_3 and answered == {Shape.NO_EXTENSIONS}:
        return True  # who takes no extension cannot speak TLS 1.3, which is one
    if version is Version.TLS1_3 and Shape.OTHER_SUITES in answered:
        return True  # its suites are others, and all were offered; so were the signatures of any certificate
    offered = {each.shape for each in tries[version]}
    return not offered.isdisjoint(_as_plain(answered))


def hinted_versions(tries: Tries, *, newest: bool = False) -> set[Version]:
    """Versions that no hello was answered with, and that a ServerHello of a lower one shows that the server could do.

    One sentinel is TLS 1.3's, and the other is that of TLS 1.2 or TLS 1.3 (RFC 8446 §4.1.3), and proves neither where
    one of the two is known. `newest`: was a handshake of TLS 1.3 made?
    """
    answers = [each.answer for version in _IN_TLS for each in tries.get(version, []) if each.answer]
    hints = {flag for answer in answers for flag in answer.flags}
    if hints.isdisjoint(SENTINELS.values()):
        return set()
    known = {answer.version for answer in answers if answer.is_hello} | ({TLS1_3} if newest else set())
    if "tls13_hint" in hints:
        return {Version.TLS1_3} if TLS1_3 not in known else set()
    return {Version.TLS1_2, Version.TLS1_3} if known.isdisjoint({TLS1_3, Version.TLS1_2.code}) else set()


def is_doubtful(version: Version, answer: HelloAnswer) -> bool:
    """Does this refusal of a version that the server could do by a sentinel of its own prove nothing?

    It has to be about the very offer, and of whoever heard that: alert 70 is (RFC 8446 §6.2), and so is a lower
    version, unless its own random says that it comes of a lower offer than ours, which a client has to take for a
    downgrade by somebody else (§4.1.3).
    """
    if answer.evidence is Evidence.LOWER_VERSION:
        return version in _HINTED and not answer.flags.isdisjoint(SENTINELS.values())
    return is_open(version, answer)


# --- What it stumbles over --------------------------------------------------------------------------------------------


def stumbles(tries: Tries, *, named: bool, shaken: bool) -> set[Flag]:
    """What the endpoint stumbles over: hellos without it were answered, and none with it.

    `named`: was there a name to send? `shaken`: was a full handshake made, with all that a hello may have in it?
    """
    said = _alerts(each for made in tries.values() for each in made)
    about_a_name = not said.isdisjoint(_ABOUT_A_NAME)
    if shaken and not about_a_name:
        return set()
    answered, flags = answered_shapes(tries), set[Flag]()
    if answered <= {Shape.PLAIN} and not about_a_name:
        return flags
    if not shaken:
        if any(_is_length_intolerant(version, tries.get(version, [])) for version in _IN_TLS):
            flags.add(Flag.LENGTH_INTOLERANT)
        if answered == {Shape.NO_EXTENSIONS}:
            flags.add(Flag.EXTENSION_INTOLERANT)
        if named and Shape.NO_NAME in answered and answered <= _NAMELESS:
            flags.add(Flag.SNI_REJECTED)
    for version, made in tries.items():
        with_name = [each for each in made if named and version in _IN_TLS and each.shape not in _NAMELESS]
        if UNRECOGNIZED_NAME in _alerts(with_name):
            flags.add(Flag.SNI_REJECTED)
        if _wants_a_name(version, [each for each in made if each not in with_name]):
            flags.add(Flag.SNI_REQUIRED)
    return flags


def is_grease_intolerant(tries: Tries) -> bool:
    """Was TLS 1.3 agreed on once the values of RFC 8701 were left out? An end has to come twice to count."""
    made = tries.get(Version.TLS1_3, [])
    if not _answered_without_grease(made):
        return False
    plain = [each for each in made if each.shape is Shape.PLAIN and each.answer]
    ends = sum(each.ended for each in plain)
    return not any(each.answered for each in plain) and (ends > 1 or len(plain) > ends)


def _is_length_intolerant(version: Version, made: list[Try]) -> bool:
    """Was a short hello answered, and no long one? In TLS 1.3 it may be GREASE that the short one has not."""
    answered = {each.shape for each in made if each.answered}
    told_from_grease = version is not Version.TLS1_3 or any(each.shape is Shape.NO_GREASE for each in made)
    return Shape.SMALL in answered and answered.isdisjoint(_LONG) and told_from_grease


def _wants_a_name(version: Version, nameless: list[Try]) -> bool:
    """Is an alert to a hello without a name about that?

    Of what a server may miss in a hello of TLS 1.3, the name is all that ours may be without (RFC 8446 §9.2).
    """
    about_it = _ABOUT_A_NAME if version is Version.TLS1_3 else {UNRECOGNIZED_NAME}
    return not about_it.isdisjoint(_alerts(nameless)) and not any(each.answered for each in nameless)


def _alerts(made: Iterable[Try]) -> set[int | None]:
    return {each.answer.alert for each in made if each.answer and each.answer.evidence is Evidence.ALERT}


# --- The rungs --------------------------------------------------------------------------------------------------------


def _rungs_alone(tries: Tries, *, named: bool) -> Iterator[tuple[Version, Shape]]:
    """The next rung of each version that stands for all, where no hello of TLS was answered."""
    open_ones = [version for version in _STAND_INS if _is_open(version, tries.get(version, []))]
    if not open_ones and _is_open(Version.TLS1_1, tries.get(Version.TLS1_1, [])):
        open_ones = [Version.TLS1_1]
    for version in open_ones:
        first, tls13 = version is open_ones[0], version is Version.TLS1_3
        if first:
            possible = _FIRST_ALONE_TLS13 if tls13 else _FIRST_ALONE
        else:
            possible = _NEXT_ALONE_TLS13 if tls13 else _NEXT_ALONE
        if shape := _untried(version, tries[version], possible.get(_first_kind(tries[version]), ()), named=named):
            yield version, shape


def _rungs_beside(tries: Tries, answered: set[Shape], *, named: bool, shaken: bool) -> Iterator[tuple[Version, Shape]]:
    """The next rung of each version that is open, where hellos of TLS in these shapes were answered."""
    hinted = hinted_versions(tries)
    for version, made in tries.items():
        if version is Version.TLS1_3 and _is_to_be_confirmed(made):
            yield version, Shape.PLAIN
        elif _is_open(version, made) and (version in hinted or not _is_the_version(version, tries, shaken=shaken)):
            possible = (*_learnt(answered), *_BESIDE[version].get(_first_kind(made), ()))
            if version in hinted and _first_kind(made) in _MAY_BE_ANYTHING:
                possible += _HINTED[version]
            if version is Version.TLS1_3 and answered == {Shape.NO_EXTENSIONS}:
                possible = (Shape.SMALL,)  # one more, for certainty: TLS 1.3 is an extension
            if shape := _untried(version, made, possible, named=named):
                yield version, shape
                hinted -= {Version.TLS1_3} if version is Version.TLS1_2 else set()  # it waits for what comes of that


def _learnt(answered: set[Shape]) -> tuple[Shape, ...]:
    """The shapes that were answered where the plain hello was not."""
    return tuple(shape for shape in Shape if shape in _as_plain(answered) - {Shape.PLAIN})


def _is_the_version(version: Version, tries: Tries, *, shaken: bool) -> bool:
    """Does the last answer, an end, tell enough, because a hello like that was answered?

    The hello of TLS 1.2 is longer than those below, and has more suites; that of TLS 1.3 has more extensions, and
    GREASE, which a full handshake has not. But where TLS 1.2 met the same end, TLS 1.3 may wait for what comes of that,
    and then it is no more than that.
    """
    if not tries[version][-1].ended:
        return False
    if version is Version.TLS1_3:
        below = tries.get(Version.TLS1_2, [])
        return not shaken and bool(below) and all(each.ended for each in below)
    like_it = {Version.TLS1_3: tries.get(Version.TLS1_3, [])} if version is Version.TLS1_2 else tries
    answered = answered_shapes(like_it) | ({Shape.PLAIN} if shaken else set())
    return tries[version][-1].shape in _as_plain(answered)


def _is_to_be_confirmed(made: list[Try]) -> bool:
    """Was TLS 1.3 agreed on without GREASE, after a single end with it? That end may have been by chance."""
    plain = [each for each in made if each.shape is Shape.PLAIN]
    return _answered_without_grease(made) and len(plain) == 1 and plain[0].ended


def _answered_without_grease(made: list[Try]) -> bool:
    return any(each.shape is Shape.NO_GREASE and each.answered for each in made)


def _is_open(version: Version, made: list[Try]) -> bool:
    """Was it asked for, and not answered for good?"""
    return bool(made) and all(each.answer and is_open(version, each.answer) for each in made)


def _untried(version: Version, made: list[Try], possible: tuple[Shape, ...], *, named: bool) -> Shape | None:
    """The first of these that the version can be offered in and was not, as long as there are rungs."""
    first, tried = made[0].answer, {each.shape for each in made}
    if first is None or first.partial or first.tarpit or len(tried) > MOST_RUNGS:
        return None  # who had begun to answer did not stumble over the hello
    left = SHAPES[version] - tried - (set() if named else {Shape.NO_NAME})
    return next((shape for shape in possible if shape in left), None)


def _kind_of(answer: HelloAnswer) -> _Kind | None:
    """What it may be about; None for an answer that decides."""
    if answer.evidence is Evidence.ALERT and answer.alert is not None:
        return _KINDS.get(answer.alert)
    return _Kind.END if answer.evidence in _ENDS else None


def _first_kind(made: list[Try]) -> _Kind:
    kind = _kind_of(made[0].answer) if made[0].answer else None
    assert kind is not None  # it is open
    return kind


def _as_plain(shapes: set[Shape]) -> set[Shape]:
    return {_AS_PLAIN.get(shape, shape) for shape in shapes}
