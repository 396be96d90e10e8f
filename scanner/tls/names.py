"""The field's names for code points: protocol versions, cipher suites, groups and alerts.

Names are IANA's, from the tables in `registry.py`. Every look-up is one dict hit; a code point without a name
still has its id, so that an unknown one is a fact too.
"""

from enum import StrEnum

from scanner.tls.registry import ALERTS, CIPHERS, GROUPS, OPENSSL_GROUPS, OPENSSL_ONLY_CIPHERS, SSLV2_CIPHERS


class Version(StrEnum):
    """A protocol version, oldest first; the value is the spelling in records."""

    SSLV2 = "SSLv2"
    SSLV3 = "SSLv3"
    TLS1_0 = "TLSv1.0"
    TLS1_1 = "TLSv1.1"
    TLS1_2 = "TLSv1.2"
    TLS1_3 = "TLSv1.3"

    @property
    def code(self) -> int:
        """The two bytes on the wire; SSLv2 has 0x0002."""
        return _VERSION_CODES[self]


_VERSION_CODES: dict[Version, int] = {
    Version.SSLV2: 0x0002,
    Version.SSLV3: 0x0300,
    Version.TLS1_0: 0x0301,
    Version.TLS1_1: 0x0302,
    Version.TLS1_2: 0x0303,
    Version.TLS1_3: 0x0304,
}
_VERSIONS: dict[int, Version] = {code: version for version, code in _VERSION_CODES.items()}

# In lower case and without punctuation, so that "TLSv1.2", "tls1_2", "TLS 1.2" and "1.2" are three spellings.
# "TLSv1" is what OpenSSL calls TLS 1.0.
_VERSION_SPELLINGS: dict[str, Version] = {
    spelling: version
    for version, spellings in {
        Version.SSLV2: ("sslv2", "ssl2", "sslv20", "ssl20"),
        Version.SSLV3: ("sslv3", "ssl3", "sslv30", "ssl30"),
        Version.TLS1_0: ("tlsv10", "tls10", "10", "tlsv1", "tls1"),
        Version.TLS1_1: ("tlsv11", "tls11", "11"),
        Version.TLS1_2: ("tlsv12", "tls12", "12"),
        Version.TLS1_3: ("tlsv13", "tls13", "13"),
    }.items()
    for spelling in spellings
}
_PUNCTUATION = str.maketrans("", "", "._- ")


def version_of_code(code: int) -> Version | None:
    """The version with this code on the wire, or None: GREASE, drafts of TLS 1.3, DTLS and nonsense."""
    return _VERSIONS.get(code)


def versions_named(names: str) -> tuple[Version, ...]:
    """Versions for a comma-separated list such as `tls1.2,TLSv1.3,ssl3` or `all`: each once, oldest first.

    Raises ValueError with the name that is not a version.
    """
    found: set[Version] = set()
    for name in filter(None, (part.strip() for part in names.split(","))):
        spelling = name.lower().translate(_PUNCTUATION)
        if spelling == "all":
            found.update(Version)
        elif spelling in _VERSION_SPELLINGS:
            found.add(_VERSION_SPELLINGS[spelling])
        else:
            raise ValueError(f"no version is called {name!r}; there are: {', '.join([*Version, 'all'])}")
    if not found:
        raise ValueError("no version is named")
    return tuple(version for version in Version if version in found)


_CIPHER_NAMES: dict[int, str] = {code: names[0] for code, names in CIPHERS.items()}
_CIPHERS_OF_OPENSSL: dict[str, int] = OPENSSL_ONLY_CIPHERS | {
    name: code for code, names in CIPHERS.items() for name in names
}


def cipher_name(code: int) -> str | None:
    """IANA's name of a cipher suite, or None where nothing is registered."""
    return _CIPHER_NAMES.get(code)


def cipher_id(code: int) -> str:
    """A cipher suite's code point as records write it: `0xc02f`."""
    return f"0x{code:04x}"


def cipher_code_of_openssl(name: str) -> int | None:
    """The code point of a suite by OpenSSL's name (1.0.2 to 4.0), or by IANA's, which are OpenSSL's for TLS 1.3."""
    return _CIPHERS_OF_OPENSSL.get(name)


def sslv2_cipher_name(code: int) -> str | None:
    """The name of a three-byte SSLv2 cipher kind, or None."""
    return SSLV2_CIPHERS.get(code)


def sslv2_cipher_id(code: int) -> str:
    """An SSLv2 cipher kind as records write it: `0x010080`."""
    return f"0x{code:06x}"


_GROUP_CODES: dict[str, int] = {name.lower(): code for code, name in GROUPS.items()} | OPENSSL_GROUPS


def group_name(code: int) -> str | None:
    """IANA's name of a supported group, or None where nothing is registered."""
    return GROUPS.get(code)


def group_id(code: int) -> str:
    """A group's code point as records write it: `0x001d`."""
    return f"0x{code:04x}"


def group_code(name: str) -> int | None:
    """The code point of a group by IANA's or OpenSSL's name, in any case."""
    return _GROUP_CODES.get(name.lower())


# OpenSSL's reason strings: "sslv3 alert …", "tlsv1 alert …" and "tlsv13 alert …" up to 3.1, some of them
# "ssl/tls alert …" from 3.2 and "tls alert …" in 4.0. Those of RFC 6066 have always been without "alert".
_ALERTS_OF_OPENSSL: dict[str, str] = {
    f"{prefix} {name.replace('_', ' ')}": name
    for prefix in ("sslv3 alert", "tlsv1 alert", "tlsv13 alert", "ssl/tls alert", "tls alert", "tlsv1")
    for name in ALERTS.values()
} | {"tlsv1 alert user cancelled": "user_canceled"}


def alert_name(code: int) -> str:
    """IANA's name of an alert description; `alert_<n>` for an unknown one."""
    return ALERTS.get(code) or f"alert_{code}"


def alert_of_openssl(reason: str) -> str | None:
    """The alert that OpenSSL reports as received, by the reason of its error; None for any other error.

    With pyOpenSSL the reason is `error.args[0][-1][2]`. It is empty for an alert that OpenSSL has no text for, such
    as `ech_required`; then only `Context.set_info_callback` tells the number.
    """
    return _ALERTS_OF_OPENSSL.get(reason)
