"""As much of DER as finds one extension of a certificate (RFC 5280 §4.1), where a parser of all of it refuses another.

Lengths are definite (X.690 §10.1), and nothing is nested deeper than an extension, so the work is that of one pass.
"""

from collections.abc import Iterator

_SEQUENCE, _OID, _OCTET_STRING, _EXTENSIONS = 0x30, 0x06, 0x04, 0xA3


def extension_in(certificate: bytes, oid: bytes) -> bytes | None:
    """What is in the extension with this OID (its content octets), None where there is none. ValueError for no DER."""
    ((_, whole),) = _elements(certificate)
    (_, tbs), *_ = _elements(whole)
    for tag, listed in _elements(tbs):
        if tag == _EXTENSIONS:
            ((_, extensions),) = _elements(listed)
            for _, extension in _elements(extensions):
                (kind, name), *rest = _elements(extension)
                if (kind, name) == (_OID, oid) and rest and rest[-1][0] == _OCTET_STRING:
                    return rest[-1][1]
    return None


def oids_in(value: bytes) -> list[bytes]:
    """The OIDs of a sequence of them, as content octets. Raises ValueError."""
    ((tag, listed),) = _elements(value)
    if tag != _SEQUENCE:
        raise ValueError("not a sequence")
    return [content for kind, content in _elements(listed) if kind == _OID]


def bits_in(value: bytes) -> int:
    """The first eight of a bit string, the first of them the highest. Raises ValueError."""
    ((_, content),) = _elements(value)
    return content[1] if len(content) > 1 else 0


def _elements(data: bytes) -> Iterator[tuple[int, bytes]]:
    """(tag, content) of each element in a row."""
    at = 0
    while at < len(data):
        if at + 2 > len(data):
            raise ValueError("an element that ends in its middle")
        tag, length, at = data[at], data[at + 1], at + 2
        if length > 0x80:
            length, at = int.from_bytes(data[at : at + length - 0x80], "big"), at + length - 0x80
        elif length == 0x80:
            raise ValueError("a length that is not definite")
        if at + length > len(data):
            raise ValueError("an element that ends in its middle")
        yield tag, data[at : at + length]
        at += length
