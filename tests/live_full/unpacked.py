"""Servers whose packages conflict with one another: unpacked into a root of their own, and started there by chroot.

`tests/live_full/download` fetches the packages; nothing of them is installed. A root is made anew for each run in the
run's own directory. It holds what the packages hold, the libraries that the machine has already, the certificates, and
the users that a server becomes when it lays down its privileges: none of these is known outside.
"""

import re
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

from tests.live.certificates import Certificates
from tests.live.servers import NotStartedError

PACKAGES = Path("/var/cache/tlsweep-live")  # as in the script
LIBRARIES = ("usr/lib", "lib", "usr/lib/*-linux-gnu", "lib/*-linux-gnu")
CERTIFICATES = Path("/certificates")  # inside a root
NOBODY = 65534
FIRST_ACCOUNT = 64_700  # of a range that Debian's policy leaves to the machine (§9.2.2)

_LIBRARY = re.compile(r"(?:\S+ => )?(/\S+) \(0x[0-9a-f]+\)")


def unpacked(
    name: str,
    directory: Path,
    certificates: Certificates,
    *,
    programs: Iterable[str],
    libraries: Iterable[str] = (),
    accounts: Iterable[str] = (),
) -> Path:
    """The root of this set of packages, which servers that are given the same directory share.

    `programs`: paths in it, of which globs, that are to find their libraries; `libraries`: where they have their own.
    """
    packages = sorted((PACKAGES / name).glob("*.deb"))
    if not packages:
        raise NotStartedError(f"{PACKAGES / name} holds no packages: run tests/live_full/install")
    root = directory / f"root-of-{name}"
    if root.exists():
        return root
    root.mkdir()
    for package in packages:
        subprocess.run(["dpkg", "-x", package, root], check=True)
    _copy_libraries(root, libraries, [path for each in programs for path in root.glob(each.lstrip("/"))])
    _make_system(root, accounts)
    shutil.copytree(certificates.directory, root / CERTIFICATES.relative_to("/"))
    return root


def inside(root: Path, path: str) -> Path:
    """A path of the root as we see it; the directory that it is in is there."""
    outside = root / path.lstrip("/")
    outside.parent.mkdir(parents=True, exist_ok=True)
    return outside


def library_path(root: Path, libraries: Iterable[str] = ()) -> str:
    """LD_LIBRARY_PATH for a program that runs outside of its root."""
    return ":".join(str(path) for each in (*LIBRARIES, *libraries) for path in root.glob(each.lstrip("/")))


def directory_of(root: Path, account: str, path: str, mode: int = 0o755) -> None:
    """Make a directory in the root that belongs to one of its accounts."""
    made = inside(root, path)
    made.mkdir(exist_ok=True)
    made.chmod(mode)
    accounts = (line.split(":") for line in inside(root, "/etc/passwd").read_text().splitlines())
    uid, gid = next((int(fields[2]), int(fields[3])) for fields in accounts if fields[0] == account)
    shutil.chown(made, uid, gid)


def _copy_libraries(root: Path, libraries: Iterable[str], programs: list[Path]) -> None:
    """What the packages' programs need and the packages do not bring is installed on this machine: copy it."""
    own = {"LD_LIBRARY_PATH": library_path(root, libraries)}
    found = subprocess.run(["ldd", *programs], env=own, capture_output=True, text=True, check=True).stdout
    if "not found" in found:
        raise NotStartedError(f"libraries are missing; remove {PACKAGES} and run tests/live_full/install:\n{found}")
    for library in set(_LIBRARY.findall(found)):
        if not library.startswith(str(root)):
            shutil.copy2(library, inside(root, library))


def _make_system(root: Path, accounts: Iterable[str]) -> None:
    """The few files that a C library wants of a system."""
    numbered = [
        ("root", 0),
        *((name, FIRST_ACCOUNT + place) for place, name in enumerate(accounts)),
        ("nobody", NOBODY),
    ]
    passwd = [f"{name}:x:{number}:{number}::/nonexistent:/bin/false\n" for name, number in numbered]
    inside(root, "/etc/passwd").write_text("".join(passwd))
    inside(root, "/etc/group").write_text("".join(f"{name}:x:{number}:\n" for name, number in numbered))
    inside(root, "/etc/hosts").write_text("127.0.0.1 localhost\n")
    inside(root, "/dev/null").touch()  # an empty file reads and writes alike, and a directory may forbid devices
    inside(root, "/dev/null").chmod(0o666)
    for path in ("/tmp", "/var/tmp"):
        inside(root, path).mkdir(exist_ok=True)
        inside(root, path).chmod(0o1777)
