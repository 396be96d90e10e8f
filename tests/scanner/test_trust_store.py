"""Trust stores: the file that is named, and what the system has."""

import os
from pathlib import Path

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from scanner import trust_store
from scanner.trust import TrustStore
from scanner.trust_store import TrustStoreError, read_store, system_store

AUTHORITY, OTHER = trustme.CA(), trustme.CA()
PEM, OTHER_PEM = AUTHORITY.cert_pem.bytes(), OTHER.cert_pem.bytes()
KEY = AUTHORITY.private_key_pem.bytes()
DER = x509.load_pem_x509_certificate(PEM).public_bytes(Encoding.DER)
BROKEN = PEM.replace(PEM[100:140], b"A" * 40)


def pem_of(store: TrustStore | None) -> set[bytes]:
    """The certificates of a store."""
    return {each.to_cryptography().public_bytes(Encoding.PEM) for each in store.anchors} if store else set()


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (PEM, {PEM}),
        (PEM + OTHER_PEM, {PEM, OTHER_PEM}),
        (b"# our CA\r\n" + PEM.replace(b"\n", b"\r\n") + b"\r\nand the \xe4lder one\r\n" + OTHER_PEM, {PEM, OTHER_PEM}),
        (KEY + PEM, {PEM}),
        (PEM.replace(b" CERTIFICATE", b" X509 CERTIFICATE"), {PEM}),
    ],
    ids=["one", "two", "text around them", "a key before it", "the old name"],
)
def test_files(data: bytes, expected: set[bytes], tmp_path: Path) -> None:
    """Certificates in PEM, whatever else there is."""
    path = tmp_path / "ca.pem"
    path.write_bytes(data)
    store = read_store(str(path))
    assert (pem_of(store), store.sources) == (expected, (str(path),))


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "there is no certificate in it (PEM)"),
        (b"garbage\x00\xff", "there is no certificate in it (PEM)"),
        (DER, "there is no certificate in it (PEM)"),
        (KEY, "there is no certificate in it (PEM)"),
        (BROKEN, "certificate 1 in it cannot be parsed"),
        (PEM + BROKEN, "certificate 2 in it cannot be parsed"),
        (PEM + OTHER_PEM[:-40], "certificate 2 in it cannot be parsed"),
    ],
    ids=["empty", "garbage", "DER", "a key", "broken", "the second broken", "cut off"],
)
def test_files_that_are_none(data: bytes, why: str, tmp_path: Path) -> None:
    """A file is read whole or not at all."""
    path = tmp_path / "ca.pem"
    path.write_bytes(data)
    with pytest.raises(TrustStoreError) as raised:
        read_store(str(path))
    assert str(raised.value) == f"{path}: {why}"


def test_no_file(tmp_path: Path) -> None:
    """What cannot be opened says why."""
    with pytest.raises(TrustStoreError, match=r"missing\.pem: No such file or directory$"):
        read_store(str(tmp_path / "missing.pem"))
    with pytest.raises(TrustStoreError, match=r"Is a directory$"):
        read_store(str(tmp_path))


@pytest.fixture
def system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A system of its own, with two places for files and one for directories, and nothing in them."""
    monkeypatch.setattr(trust_store, "FILES", (str(tmp_path / "first.crt"), str(tmp_path / "second.crt")))
    monkeypatch.setattr(trust_store, "DIRECTORIES", (str(tmp_path / "certs"),))
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    monkeypatch.delenv("SSL_CERT_DIR", raising=False)
    return tmp_path


def test_a_system_without_a_store(system: Path) -> None:
    """Nothing is found, or nothing that is a certificate: that is no store, and not an empty one."""
    assert system_store() is None
    (system / "first.crt").write_bytes(b"garbage")
    (system / "second.crt").mkdir()
    (system / "certs").mkdir()
    (system / "certs" / "README").write_text("none here")
    assert system_store() is None


def test_the_first_file_that_has_any(system: Path) -> None:
    """One bundle is all of it; what is broken in it is passed over."""
    (system / "first.crt").write_bytes(b"")
    (system / "second.crt").write_bytes(PEM + BROKEN)
    (system / "certs").mkdir()
    (system / "certs" / "other.pem").write_bytes(OTHER_PEM)
    store = system_store()
    assert store
    assert (pem_of(store), store.sources) == ({PEM}, (str(system / "second.crt"),))


def test_a_directory(system: Path) -> None:
    """Without a bundle, all files of a directory, each certificate once."""
    certificates = system / "certs"
    certificates.mkdir()
    (certificates / "one.pem").write_bytes(PEM)
    (certificates / "other.pem").write_bytes(OTHER_PEM)
    (certificates / "5f15c80c.0").symlink_to("one.pem")
    (certificates / "lost.0").symlink_to("nowhere.pem")
    (certificates / "below").mkdir()
    store = system_store()
    assert store
    assert (len(store.anchors), pem_of(store), store.sources) == (2, {PEM, OTHER_PEM}, (str(certificates),))


def test_the_environment_goes_first(system: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SSL_CERT_FILE and SSL_CERT_DIR are obeyed, both together, and nothing else is then looked at."""
    (system / "first.crt").write_bytes(PEM)
    (system / "mine.pem").write_bytes(OTHER_PEM)
    for name in ("a", "b"):
        (system / name).mkdir()
    (system / "b" / "one.pem").write_bytes(PEM)
    monkeypatch.setenv("SSL_CERT_FILE", str(system / "mine.pem"))
    assert pem_of(system_store()) == {OTHER_PEM}
    monkeypatch.setenv("SSL_CERT_DIR", os.pathsep.join(str(system / name) for name in ("a", "b")))
    assert pem_of(system_store()) == {PEM, OTHER_PEM}
    monkeypatch.delenv("SSL_CERT_FILE")
    monkeypatch.setenv("SSL_CERT_DIR", str(system / "a"))
    assert system_store() is None
