"""Which hello is tried next, given the answers so far; and what they tell of the server."""

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scanner.ladder import (
    INCONCLUSIVE_ALERTS,
    MOST_RUNGS,
    Try,
    answered_shapes,
    deciding,
    has_control,
    is_grease_intolerant,
    rungs,
    stumbles,
)
from scanner.outcome import Flag
from scanner.tls.exchange import Evidence, HelloAnswer
from scanner.tls.hello import Shape
from scanner.tls.names import Version
from tests.scanner.answers import CLOSED, ECHO, GARBAGE, PLAINTEXT, RESET, SSLV2, TIMEOUT, alert, lower, yes

SSL2, SSL3, TLS10, TLS11, TLS12, TLS13 = Version
PLAIN, SMALL, BARE, NAMELESS, NO_GREASE = (
    Shape.PLAIN,
    Shape.SMALL,
    Shape.NO_EXTENSIONS,
    Shape.NO_NAME,
    Shape.NO_GREASE,
)
RSA, ECDSA, OTHER, ALPN = Shape.RSA, Shape.ECDSA, Shape.OTHER_GROUPS, Shape.ALPN
SUITES, SECRET = Shape.OTHER_SUITES, Shape.SHARED_SECRET
ENDS = [CLOSED, RESET, TIMEOUT]
Tries = dict[Version, list[Try]]


def plain(**answers: HelloAnswer | None) -> Tries:
    """The answers to plain hellos, by version: ssl3, tls10 and so on."""
    names = dict(zip(("ssl2", "ssl3", "tls10", "tls11", "tls12", "tls13"), Version, strict=True))
    return {names[name]: [Try(PLAIN, answer)] for name, answer in answers.items()}


def climb(tries: Tries, answer: Callable[[Version, Shape], HelloAnswer | None], *, named: bool = True) -> list[str]:
    """Every rung, in order, when the hellos are answered like this."""
    made = []
    while found := rungs(tries, named=named):
        for version, shape in found.items():
            made.append(f"{version.value.removeprefix('TLSv')}:{shape}")
            tries[version].append(Try(shape, answer(version, shape)))
        assert len(made) < 50
    return made


def climbed(
    version: Version, answer: HelloAnswer, *, control: HelloAnswer | None = None, named: bool = True
) -> list[Shape]:
    """The rungs, when every hello for this version meets the same answer, and another version met `control`."""
    tries = {version: [Try(PLAIN, answer)]}
    if control:
        tries[TLS11 if version is not TLS11 else TLS12] = [Try(PLAIN, control)]
    while shape := rungs(tries, named=named).get(version):
        tries[version].append(Try(shape, answer))
    return [each.shape for each in tries[version][1:]]


@pytest.mark.parametrize("version", Version)
@pytest.mark.parametrize("came", [alert(70), lower(SSL3), PLAINTEXT, GARBAGE, ECHO, alert(42)])
def test_what_decides_needs_no_ladder(version: Version, came: HelloAnswer) -> None:
    """A firm answer, and one that is none of TLS, is asked once."""
    assert climbed(version, came) == climbed(version, came, control=yes(TLS11)) == []
    assert climbed(version, yes(version)) == []


@pytest.mark.parametrize("came", [*ENDS, alert(0)])
def test_an_end_beside_a_control(came: HelloAnswer) -> None:
    """FIN, RST and silence beside a hello like it that was answered: it is the version."""
    for version in (SSL3, TLS10):
        assert climbed(version, came, control=yes(TLS11)) == []
    assert climbed(TLS11, came, control=yes(TLS12)) == []
    assert climbed(TLS12, came, control=yes(TLS11)) == [SMALL]  # the hello of TLS 1.2 is longer
    assert climbed(TLS13, came, control=yes(TLS11)) == [NO_GREASE, SMALL]  # and that of TLS 1.3 has more in it


def test_an_end_beside_a_handshake() -> None:
    """A full handshake has all in it that a plain hello may have but for GREASE: so it is a control like one."""
    for version, shapes in ((SSL3, []), (TLS10, []), (TLS11, []), (TLS12, []), (TLS13, [NO_GREASE, SMALL])):
        for ended in (CLOSED, RESET, TIMEOUT):
            tries = {version: [Try(PLAIN, ended)]}
            while shape := rungs(tries, named=True, shaken=True).get(version):
                tries[version].append(Try(shape, ended))
            assert [each.shape for each in tries[version][1:]] == shapes
    # Of an alert it says no more than another hello that was answered.
    assert rungs({TLS12: [Try(PLAIN, alert(40))]}, named=True, shaken=True) == {TLS12: SUITES}


def test_an_end_of_tls13_beside_the_same_of_tls12() -> None:
    """Where TLS 1.2 met the same, TLS 1.3 has no rungs of its own; what helps with one is tried with the other."""
    tries = plain(tls11=yes(TLS11), tls12=CLOSED, tls13=CLOSED)
    assert climb(tries, lambda *_: CLOSED) == ["1.2:small"]
    tries = plain(tls11=yes(TLS11), tls12=CLOSED, tls13=CLOSED)
    takes_small = climb(tries, lambda version, shape: yes(version) if shape is SMALL else CLOSED)
    assert takes_small == ["1.2:small", "1.3:small"]


@pytest.mark.parametrize("came", [*ENDS, *map(alert, (0, 47, 50, 80, 86, 110))])
def test_alone(came: HelloAnswer) -> None:
    """Where nothing is answered, one version stands for all, and two more for what it cannot find out."""
    tries = plain(ssl2=came, ssl3=came, tls10=came, tls11=came, tls12=came, tls13=came)
    assert climb(tries, lambda *_: came) == [
        *("1.2:small", "1.2:no_name", "1.2:no_extensions"),
        *("1.3:small", "1.0:no_extensions"),
    ]
    assert climbed(TLS13, came) == [NO_GREASE, SMALL, NAMELESS]
    assert climbed(TLS12, came) == climbed(TLS11, came) == climbed(TLS10, came) == [SMALL, NAMELESS, BARE]
    assert climbed(TLS12, came, named=False) == [SMALL, BARE]
    assert climbed(SSL3, came) == climbed(SSL2, came) == []


@pytest.mark.parametrize("number", [40, 71])
def test_nothing_in_common_alone(number: int) -> None:
    """The name first, then what suites and groups there are besides, then a kind of key by itself."""
    tries = {version: [Try(PLAIN, alert(number))] for version in Version}
    assert climb(tries, lambda *_: alert(number)) == [
        *("1.2:no_name", "1.2:other_suites", "1.2:shared_secret"),
        *("1.3:other_groups", "1.0:other_suites"),
    ]
    assert climbed(TLS12, alert(number), named=False) == [SUITES, SECRET, ECDSA]
    assert climbed(TLS13, alert(number)) == [NAMELESS, OTHER, ECDSA]


def test_a_firm_no_stands_for_nobody() -> None:
    """Where TLS 1.2 is refused for good, TLS 1.3 stands for all."""
    tries = plain(tls10=alert(70), tls11=alert(70), tls12=alert(70), tls13=alert(40))
    assert climb(tries, lambda *_: alert(40)) == ["1.3:no_name", "1.3:other_groups", "1.3:ecdsa"]


@pytest.mark.parametrize(
    ("number", "version", "shapes"),
    [
        (40, TLS12, [SUITES, SECRET]),
        (71, TLS10, [SUITES]),
        (40, TLS11, [SUITES]),
        (40, TLS13, [OTHER, NO_GREASE]),
        (40, SSL3, []),  # it is offered all that there is
        (47, TLS12, [SMALL]),
        (50, TLS11, [RSA]),
        (80, TLS10, [RSA]),
        (80, TLS13, [NO_GREASE, SMALL]),
        (47, SSL3, [SMALL]),
        (110, TLS10, [RSA]),
        (109, TLS13, [OTHER]),
        (109, TLS12, [SMALL]),
        (112, TLS12, [NAMELESS]),
        (120, TLS12, [ALPN]),
        (86, TLS12, [SMALL]),
    ],
)
def test_alerts_beside_a_control(number: int, version: Version, shapes: list[Shape]) -> None:
    """Each alert by what could still have caused it, beside a hello that was answered."""
    assert climbed(version, alert(number), control=yes(TLS11)) == shapes
    assert NAMELESS not in climbed(version, alert(number), control=yes(TLS11), named=False)


@pytest.mark.parametrize("number", sorted(INCONCLUSIVE_ALERTS))
@pytest.mark.parametrize("version", Version)
def test_never_more_than_three(number: int, version: Version) -> None:
    """At most three connections more a version, and none twice."""
    for control in (None, yes(TLS11), yes(SSL3)):
        shapes = climbed(version, alert(number), control=control)
        assert len(set(shapes)) == len(shapes) <= MOST_RUNGS
        assert PLAIN not in shapes


def test_half_an_answer_is_no_hint() -> None:
    """A server that had begun to answer did not stumble over the hello."""
    assert climbed(TLS12, HelloAnswer(Evidence.CLOSED, partial=True)) == []
    assert climbed(TLS12, HelloAnswer(Evidence.TIMEOUT, tarpit=True)) == []


def test_what_made_the_difference_is_tried_first() -> None:
    """A shape that was answered for one version is the first rung of the others, where they could be had so."""
    tries = plain(ssl3=CLOSED, tls10=CLOSED, tls11=CLOSED, tls13=CLOSED) | {
        TLS12: [Try(PLAIN, CLOSED), Try(SMALL, yes(TLS12))],
    }
    assert rungs(tries, named=True) == dict.fromkeys((SSL3, TLS10, TLS11, TLS13), SMALL)
    tries[TLS12] = [Try(PLAIN, CLOSED), Try(NAMELESS, yes(TLS12))]
    assert rungs(tries, named=True) == dict.fromkeys((TLS10, TLS11, TLS13), NAMELESS)
    # Without extensions there is no TLS 1.3; it gets one hello more. What SSLv3 was asked with had none.
    tries[TLS12] = [Try(PLAIN, CLOSED), Try(BARE, lower(TLS10))]
    assert rungs(tries, named=True) == {TLS10: BARE, TLS11: BARE, TLS13: SMALL}


def test_ssl_is_no_control_of_the_shape() -> None:
    """A hello of SSLv3 or SSLv2 that was answered has nothing in it that a server of TLS may stumble over."""
    came = {"tls10": CLOSED, "tls11": CLOSED, "tls12": CLOSED, "tls13": CLOSED}
    tries = plain(ssl2=SSLV2, ssl3=yes(SSL3), **came)
    assert answered_shapes(tries) == set()
    made = climb(tries, lambda version, shape: yes(TLS10) if (version, shape) == (TLS10, BARE) else CLOSED)
    assert made == [
        *("1.2:small", "1.2:no_name", "1.2:no_extensions", "1.3:small", "1.0:no_extensions"),
        "1.1:no_extensions",
    ]


def test_grease_is_made_sure_of() -> None:
    """An end that came once is asked for again, when TLS 1.3 was had without GREASE; an alert is no chance."""
    tries = plain(tls12=yes(TLS12), tls13=CLOSED)
    assert climb(tries, lambda _, shape: yes(TLS13) if shape is NO_GREASE else CLOSED) == [
        "1.3:no_grease",
        "1.3:plain",
    ]
    assert is_grease_intolerant(tries)
    tries = plain(tls12=yes(TLS12), tls13=CLOSED)
    climb(tries, lambda *_: yes(TLS13))
    assert [each.shape for each in tries[TLS13]] == [PLAIN, NO_GREASE, PLAIN]
    assert not is_grease_intolerant(tries)
    tries = plain(tls12=yes(TLS12), tls13=alert(47))
    assert climb(tries, lambda *_: yes(TLS13)) == ["1.3:no_grease"]
    assert is_grease_intolerant(tries)


def test_a_rung_that_was_not_reached_ends_it() -> None:
    """A server that turns us away now will not tell more about its versions."""
    assert rungs({TLS12: [Try(PLAIN, alert(40)), Try(RSA, None)]}, named=True) == {}
    assert rungs({TLS12: [Try(PLAIN, None)], TLS10: []}, named=True) == {}


def test_the_deciding_try() -> None:
    """The first firm answer, of the plain hello before all others; without one, the first of all."""
    first, second = Try(PLAIN, alert(40)), Try(RSA, alert(47))
    assert deciding([first, second]) is first
    assert deciding([first, firm := Try(RSA, yes(TLS12))]) is firm
    assert deciding([first, firm := Try(RSA, alert(70))]) is firm
    assert deciding([first, Try(NO_GREASE, yes(TLS13)), firm := Try(PLAIN, yes(TLS13))]) is firm
    assert deciding([]) is None


CONTROLS = [
    (plain(tls10=CLOSED), TLS10, False),
    (plain(tls10=CLOSED, tls12=alert(40)), TLS10, False),
    (plain(tls10=CLOSED, tls12=yes(TLS12)), TLS10, True),
    (plain(tls10=CLOSED, tls12=lower(SSL3)), TLS10, True),
    (plain(tls10=CLOSED, ssl3=yes(SSL3)), TLS10, True),
    (plain(tls10=CLOSED, ssl2=SSLV2), TLS10, True),
    (plain(tls10=CLOSED) | {TLS12: [Try(PLAIN, CLOSED), Try(SMALL, yes(TLS12))]}, TLS10, False),
    (plain(ssl3=CLOSED) | {TLS12: [Try(PLAIN, CLOSED), Try(SMALL, yes(TLS12))]}, SSL3, True),
    (plain(ssl2=CLOSED) | {TLS12: [Try(PLAIN, CLOSED), Try(SMALL, yes(TLS12))]}, SSL2, True),
    ({TLS10: [Try(SMALL, CLOSED)], TLS12: [Try(PLAIN, CLOSED), Try(SMALL, yes(TLS12))]}, TLS10, True),
    (plain(tls12=CLOSED) | {TLS13: [Try(PLAIN, CLOSED), Try(NO_GREASE, yes(TLS13))]}, TLS12, True),
    (plain(tls13=CLOSED) | {TLS10: [Try(PLAIN, CLOSED), Try(BARE, yes(TLS10))]}, TLS13, True),
    (plain(tls11=CLOSED) | {TLS10: [Try(PLAIN, CLOSED), Try(BARE, yes(TLS10))]}, TLS11, False),
]


@pytest.mark.parametrize(("tries", "version", "control"), CONTROLS)
def test_a_control_is_of_the_same_shape(tries: Tries, version: Version, control: bool) -> None:
    """A hello that was answered is a control where this version was offered in its shape."""
    assert has_control(version, tries) == control


LENGTH, EXTENSIONS = Flag.LENGTH_INTOLERANT, Flag.EXTENSION_INTOLERANT
REQUIRED, REJECTED = Flag.SNI_REQUIRED, Flag.SNI_REJECTED


def after(version: Version, first: HelloAnswer, **others: HelloAnswer) -> Tries:
    """The plain hello of one version, and those of other shapes."""
    return {version: [Try(PLAIN, first), *(Try(Shape(shape), answer) for shape, answer in others.items())]}


STUMBLES: dict[str, tuple[Tries, set[Flag], set[Flag]]] = {  # with a name, and without one
    "nothing": (plain(tls12=yes(TLS12)), set(), set()),
    "length": (after(TLS12, CLOSED, small=yes(TLS12)), {LENGTH}, {LENGTH}),
    "length, by a lower version": (after(TLS12, alert(47), small=lower(TLS10)), {LENGTH}, {LENGTH}),
    "a small hello that came first": ({TLS12: [Try(SMALL, yes(TLS12))]}, {LENGTH}, {LENGTH}),
    "length, and yet a long hello was answered": (
        after(TLS12, CLOSED, small=yes(TLS12), no_name=yes(TLS12)),
        set(),
        set(),
    ),
    "length or GREASE": (after(TLS13, CLOSED, small=yes(TLS13)), set(), set()),
    "length, and not GREASE": (after(TLS13, CLOSED, no_grease=CLOSED, small=yes(TLS13)), {LENGTH}, {LENGTH}),
    "extensions": (after(TLS10, CLOSED, no_extensions=yes(TLS10)), {EXTENSIONS}, {EXTENSIONS}),
    "extensions, and yet some were taken": (
        after(TLS10, CLOSED, no_extensions=yes(TLS10)) | after(TLS12, CLOSED, small=lower(TLS10)),
        {LENGTH},
        {LENGTH},
    ),
    "the name": (after(TLS12, alert(40), no_name=yes(TLS12)), {REJECTED}, set()),
    "the name, and yet it was taken": (
        after(TLS12, alert(40), no_name=yes(TLS12)) | plain(tls10=yes(TLS10)),
        set(),
        set(),
    ),
    "the name, by its alert": (plain(tls12=alert(112)), {REJECTED}, {REQUIRED}),
    "no name is right, and none is wrong": (
        after(TLS12, alert(112), no_name=alert(112)),
        {REJECTED, REQUIRED},
        {REQUIRED},
    ),
    "a name in SSLv3, which has none": (plain(ssl3=alert(112), tls12=yes(TLS12)), {REQUIRED}, {REQUIRED}),
    "missing_extension": (plain(tls13=alert(109)), set(), {REQUIRED}),
    "missing_extension, and it was the group": (after(TLS13, alert(109), other_groups=yes(TLS13)), set(), set()),
    "missing_extension before TLS 1.3": (plain(tls12=alert(109)), set(), set()),
    "groups and suites are no flag": (
        after(TLS12, alert(40), other_suites=yes(TLS12)) | after(TLS13, alert(40), other_groups=yes(TLS13)),
        set(),
        set(),
    ),
}


@pytest.mark.parametrize(("tries", "with_name", "without"), STUMBLES.values(), ids=STUMBLES)
def test_what_it_stumbles_over(tries: Tries, with_name: set[Flag], without: set[Flag]) -> None:
    """What no hello was answered with, and some without."""
    assert stumbles(tries, named=True, shaken=False) == with_name
    assert stumbles(tries, named=False, shaken=False) == without


def test_a_handshake_shows_what_is_tolerated() -> None:
    """A full handshake has length, extensions and the name in it: where one was made, it was no matter of these."""
    for tries, flags, _ in STUMBLES.values():
        assert stumbles(tries, named=True, shaken=True) <= flags & {REJECTED, REQUIRED}


ANSWERS: list[HelloAnswer | None] = [
    *(*ENDS, PLAINTEXT, GARBAGE, SSLV2, None),
    *(alert(number) for number in (0, 40, 42, 47, 50, 70, 71, 80, 86, 109, 110, 112, 120, 255)),
    *(yes(version) for version in Version),
    *(lower(version) for version in (SSL3, TLS10, TLS12)),
]


@given(data=st.data(), named=st.booleans())
@settings(max_examples=300, deadline=None, derandomize=True)
def test_any_answers(data: st.DataObject, named: bool) -> None:
    """Whatever is answered, the ladder ends, has three rungs at most, and no shape twice but to make sure of GREASE."""

    def drawn(*_: object) -> HelloAnswer | None:
        return data.draw(st.sampled_from(ANSWERS))

    tries = {version: [Try(PLAIN, drawn())] for version in Version}
    climb(tries, drawn, named=named)
    for version, made in tries.items():
        shapes = [each.shape for each in made]
        again = version is TLS13 and NO_GREASE in shapes and shapes.count(PLAIN) == 2
        assert len(set(shapes)) == len(shapes) - again
        assert len(set(shapes)) <= 1 + MOST_RUNGS
    stumbles(tries, named=named, shaken=False)
    for version in Version:
        has_control(version, tries)
