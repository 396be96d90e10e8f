"""Options of `tlsweep about`: who scans."""

import re
from typing import Annotated

import typer

_NAME = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)+", re.IGNORECASE)
_CONTACT = re.compile(r"(mailto:|tel:|https://)?[!-~]+")  # RFC 9116 §2.5.3
_LANGUAGES = re.compile(r"[A-Za-z0-9-]+(, ?[A-Za-z0-9-]+)*")  # RFC 9116 §2.5.8


def contact_uri(text: str) -> str:
    """A contact as a URI; an address of mail need not be written as one."""
    scheme = re.match(r"mailto:|tel:|https://", text)
    if not _CONTACT.fullmatch(text) or not (scheme or "@" in text.strip("@")):
        raise typer.BadParameter(f"{text!r} is neither an address of mail, nor a mailto:, tel: or https: URI")
    return text if scheme else f"mailto:{text}"


def _check_host(text: str | None) -> str | None:
    if text is not None and (len(text) > 253 or not _NAME.fullmatch(text)):
        raise typer.BadParameter("a host name, such as scan.example.org")
    return text


def _check_line(text: str) -> str:
    if not text.isprintable() or not text.strip():
        raise typer.BadParameter("one line of text")
    return text.strip()


def _check_languages(text: str) -> str:
    if not _LANGUAGES.fullmatch(text):
        raise typer.BadParameter("language tags with commas between, such as en, fr")
    return text


Host = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="The name to which your addresses resolve, where the file is to be had.",
        callback=_check_host,
        show_default=False,
    ),
]
Contacts = Annotated[
    list[str] | None,
    typer.Option(
        "--contact",
        metavar="ADDRESS|URI",
        help="Where to reach you: an address of mail that a group reads, or a mailto:, tel: or https: URI. Repeatable,"
        " the preferred one first.",
        show_default=False,
    ),
]
Description = Annotated[
    str, typer.Option(metavar="TEXT", help="What the scan is for, on one line.", callback=_check_line)
]
Languages = Annotated[
    str, typer.Option(metavar="LIST", help="The languages that you answer in.", callback=_check_languages)
]
Days = Annotated[
    int, typer.Option(min=1, max=365, metavar="N", help="After how many days the file is no longer to be believed.")
]
FileAlone = Annotated[
    bool, typer.Option("--file", help="Print the file alone; --host and --contact are needed for it.")
]
