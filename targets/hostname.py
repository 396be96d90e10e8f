"""Host names in the one form that is looked up and sent as SNI: lower case, A-labels, no final dot.

Letters, digits and hyphens are RFC 952 and RFC 1123 §2.1; underscores are let in because names with them are in
the DNS and have addresses (RFC 2181 §11). Other scripts become A-labels: UTS #46, RFC 5891.
"""

import re

import idna

from targets.target import TargetError

MAX_NAME = 253  # RFC 1035 §2.3.4: 255 octets on the wire, two of them for the first length and the root
MAX_LABEL = 63  # RFC 1035 §2.3.4
MAX_WRITTEN = 1024  # characters before mapping; mapping only shortens, and nobody's name is this long
MAX_REASON = 200  # characters of a library's message that are passed on

_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_NAME = re.compile(rf"(?:{_LABEL}\.)*(?!\d+\Z){_LABEL}")
_CONTROL = re.compile(r"[\x80-\x9f]")
_ACE = "xn--"  # RFC 5890 §2.3.2.1
_FOREIGN = re.compile(r"[^a-z0-9_.-]")
_WHAT_IT_MAY_BE = {
    " ": "a space cannot be in a host name; one target a line",
    "\t": "a tab cannot be in a host name; one target a line",
    ",": "a comma cannot be in a host name; one target a line, "
    "or CSV whose first line names the columns (host, address, port, service)",
    "@": "'@' cannot be in a host name; leave out the user name before it",
    "*": "'*' cannot be looked up; name the hosts that it stands for",
}


def canonical_name(written: str) -> str:
    """The name as it is looked up. Raises TargetError with what is wrong with it."""
    name = written.lower() if written.isascii() else _a_labels(written)
    name = name.removesuffix(".")
    if len(name) > MAX_NAME or not _NAME.fullmatch(name):
        raise TargetError(_what_is_wrong(name))
    if _ACE in name:
        _check_a_labels(name)
    return name


def _a_labels(written: str) -> str:
    """Only labels that need it are encoded: `_dmarc` beside `bücher` is not for IDNA to judge."""
    if len(written) > MAX_WRITTEN:
        raise TargetError(f"a host name has at most {MAX_NAME} characters")
    try:
        labels = idna.uts46_remap(written, std3_rules=False).split(".")
        return ".".join(label if label.isascii() else idna.alabel(label).decode() for label in labels)
    except idna.IDNAError as error:
        raise TargetError(f"not an internationalised host name: {str(error)[:MAX_REASON]}") from error


def _check_a_labels(name: str) -> None:
    """Refuse what nobody can have registered. Which characters a registry takes is its own matter: some take emoji."""
    for label in name.split("."):
        if label.startswith(_ACE) and not _is_punycode(label.removeprefix(_ACE)):
            raise TargetError(f"the label {label!r} begins as an internationalised one and is not Punycode (RFC 3492)")


def _is_punycode(encoded: str) -> bool:
    """Is it what some label that is not ASCII is written as? One of control characters is none."""
    try:
        label = encoded.encode().decode("punycode")
        return not label.isascii() and not _CONTROL.search(label) and label.encode("punycode").decode() == encoded
    except UnicodeError:
        return False


def _what_is_wrong(name: str) -> str:
    labels = name.split(".")
    if not name:
        return "the host name is empty"
    if foreign := _FOREIGN.search(name):
        character = foreign.group()
        return _WHAT_IT_MAY_BE.get(character, f"{character!r} cannot be in a host name")
    if "" in labels:
        return "the host name has an empty label (a dot at its beginning, or two in a row)"
    if len(name) > MAX_NAME:
        return f"the host name has {len(name)} characters; the most is {MAX_NAME}"
    longest = max(labels, key=len)
    if len(longest) > MAX_LABEL:
        return f"a label of the host name has {len(longest)} characters; the most is {MAX_LABEL}"
    if labels[-1].isdigit():
        return f"not a host name (its last label, {labels[-1]!r}, is all digits) and not an address"
    return "a label of the host name begins or ends with a hyphen"
