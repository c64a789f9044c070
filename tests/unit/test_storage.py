"""Unit tests of storage, paths and media types of files."""

import datetime as dt
import os
import socket
import stat
import tempfile
from contextlib import nullcontext
from pathlib import Path, PurePosixPath
from typing import Any
from unittest.mock import Mock

import fsspec
import pytest
from fsspec.implementations.local import LocalFileSystem
from hypothesis import given
from hypothesis import strategies as st

from tap_zohovoice._compat import override
from tap_zohovoice.exceptions import StorageError
from tap_zohovoice.recordings.audio import UNKNOWN, guess_audio_type
from tap_zohovoice.recordings.storage import (
    LocalStorage,
    Storage,
    StoredFile,
    open_storage,
    storage_path,
)
from tests.support.recordings import files
from zoho_voice_sandbox.audio_fixtures import build_wav

START = "2026-02-28T23:59:59.999000+00:00"
MOMENT = dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC)
NAMES = st.text() | st.text(alphabet="./\\~: ab\0\n\ud800*", max_size=300)


@given(NAMES, NAMES)
def test_path_is_one_name_in_its_day(name: str, other: str) -> None:
    path = PurePosixPath(storage_path(START, name))
    assert path.parts[:3] == ("2026", "02", "28")
    assert len(path.parts) == 4
    leaf = path.name
    assert not leaf.startswith(".")
    assert 0 < len(leaf.encode()) <= 255
    assert not set(leaf) & set('/\\:*?"<>|')
    assert leaf.isprintable()
    assert os.path.normpath(Path("/calls") / path).startswith("/calls/2026/02/28/")
    assert (storage_path(START, other) == str(path)) == (other == name)


@pytest.mark.parametrize("name", ["0b1c_recording.mp3", "call 1, two (3).wav", "Rückruf ☎.ogg"])
def test_usual_name_is_kept(name: str) -> None:
    assert storage_path(START, name) == f"2026/02/28/{name}"


REST = bytes(600)
HEADS: dict[str | None, list[bytes]] = {
    "audio/wav": [build_wav("x.wav")],
    "audio/mpeg": [b"ID3\x04" + REST, b"\xff\xfb\x90\x64" + REST],
    "audio/aac": [b"\xff\xf1\x50\x80" + REST],
    "audio/ogg": [b"OggS" + REST],
    "audio/flac": [b"fLaC" + REST],
    "audio/mp4": [b"\0\0\0\x20ftypM4A " + REST],
    UNKNOWN: [REST, b"\x80\x81\x7f" * 200, b"<\x00\x01\x7f" * 200],
    None: [
        *[b"", b"<!DOCTYPE html><html>", b'{"code": "500"}', b"PK\x03\x04" + REST],
        *[b"%PDF-1.7" + REST, "Keine Datei gefunden für Sie".encode()[:26]],
        *("<html>".encode("utf-16"), "<p>Erreur\u00a0: fichier introuvable\f".encode()),
        *('{"message": "見つかりません\u3000"}'.encode(), "<p>déjà supprimé</p>".encode("latin-1")),
        "<html>ファイルが見つかりません".encode("shift-jis"),
        "<html>見つかりません".encode("iso-2022-jp"),
        *("<html>déjà".encode("utf-16-le"), '{"a": "é"}'.encode("utf-16-be")),
        *("見つかりません".encode("utf-16"), "<p>丁見つかりません".encode("utf-16-le")),
    ],
}


@pytest.mark.parametrize(
    ("head", "kind"), [(head, kind) for kind, heads in HEADS.items() for head in heads]
)
def test_media_type_is_guessed_by_first_bytes(head: bytes, kind: str | None) -> None:
    assert guess_audio_type(head[:512]) == kind


@pytest.mark.parametrize(
    "declared", ["text/html;charset=ISO-8859-1", "application/json", "Application/XML"]
)
def test_declared_text_is_audio_only_by_its_bytes(declared: str) -> None:
    page = "Déjà supprimé".encode("latin-1")
    assert guess_audio_type(page) == UNKNOWN
    assert guess_audio_type(page, declared) is None
    assert guess_audio_type(build_wav("x.wav"), declared) == "audio/wav"


class Strict(LocalFileSystem):  # type: ignore[misc]
    """A driver that does not replace files."""

    @override
    def put_file(self, path1: str, path2: str, callback: Any = None, **more: Any) -> None:
        if self.exists(path2):
            raise FileExistsError
        super().put_file(path1, path2, callback, **more)


@pytest.fixture(params=["local", "fsspec", "strict"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    if request.param == "local":
        return LocalStorage(tmp_path / "calls")
    driver = Strict() if request.param == "strict" else fsspec.filesystem("file")
    return Storage(driver, f"{tmp_path}/calls")


@pytest.fixture
def temp_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let temporary files of remote storage go to a folder of the test."""
    folder = tmp_path / "temp"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def write(storage: Storage, path: str, content: bytes) -> None:
    with storage.open_temporary() as file:
        file.write(content)
        storage.publish(file, path, MOMENT)


def test_committed_file_replaces_older_one(storage: Storage, tmp_path: Path) -> None:
    assert storage.stat("a/b/c.wav") == StoredFile(0)
    for content in (b"first", b"second, longer"):
        write(storage, "a/b/c.wav", content)
        assert files(tmp_path) == {tmp_path / "calls/a/b/c.wav"}
        assert storage.stat("a/b/c.wav").size == len(content)
        assert b"".join(storage.read("a/b/c.wav")) == content
    assert storage.uri("a/b/c.wav") == (tmp_path / "calls/a/b/c.wav").as_uri()


@pytest.mark.parametrize("error", [None, RuntimeError, KeyboardInterrupt])
def test_uncommitted_file_leaves_nothing(
    temp_folder: Path, storage: Storage, tmp_path: Path, error: type[BaseException] | None
) -> None:
    with pytest.raises(error) if error else nullcontext(), storage.open_temporary() as file:
        file.write(b"half")
        (part,) = files(tmp_path)
        assert stat.S_IMODE(part.stat().st_mode) == 0o600
        if error:
            raise error
    assert files(tmp_path) == files(temp_folder) == set()


def test_local_files_are_private_and_bear_commit_time(tmp_path: Path) -> None:
    storage = LocalStorage(tmp_path / "calls")
    write(storage, "2026/01/x.wav", b"content")
    path = tmp_path / "calls/2026/01/x.wav"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    for parent in (path.parent, path.parent.parent, tmp_path / "calls"):
        assert stat.S_IMODE(parent.stat().st_mode) == 0o700
    assert storage.stat("2026/01/x.wav").modified == MOMENT


@pytest.mark.parametrize("url", ["{}/calls", "file://{}/calls", "memory://calls"])
def test_parts_of_killed_runs_are_removed(temp_folder: Path, tmp_path: Path, url: str) -> None:
    url = url.format(tmp_path)
    mine = {tmp_path / "calls" / ".mine.part", temp_folder / ".mine.part"}
    for path in mine:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    with open_storage(url).open_temporary():
        (part,) = files(tmp_path) - mine
        left = part.with_name(".tap-zohovoice-0.part")  # nobody holds its lock
        left.touch()
        open_storage(url)
        assert files(tmp_path) == {part, *mine}


def test_file_system_may_have_no_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flock = Mock(side_effect=OSError(95, "not supported"))
    monkeypatch.setattr("tap_zohovoice.recordings.storage.flock", flock)
    stale, path = tmp_path / ".tap-zohovoice-0.part", tmp_path / "a" / "x.wav"
    stale.touch()
    write(LocalStorage(tmp_path), "a/x.wav", b"content")
    assert path.read_bytes() == b"content"
    assert files(tmp_path) == {stale, path}


def test_two_writers_of_one_file_do_not_mix(storage: Storage, tmp_path: Path) -> None:
    with storage.open_temporary() as one, storage.open_temporary() as other:
        one.write(b"one " * 50_000)
        other.write(b"other " * 50_000)
        storage.publish(one, "a/x.wav", MOMENT)
        assert (tmp_path / "calls/a/x.wav").read_bytes() == b"one " * 50_000
        storage.publish(other, "a/x.wav", MOMENT)
    assert (tmp_path / "calls/a/x.wav").read_bytes() == b"other " * 50_000
    assert files(tmp_path) == {tmp_path / "calls/a/x.wav"}


@pytest.mark.parametrize("modified", [None, "yesterday", NotImplementedError()])
def test_unknown_time_of_change_is_none(modified: object) -> None:
    store = Mock(spec=["info", "modified"])
    store.info.return_value = {"size": 7}
    store.modified.side_effect = [modified]
    assert Storage(store, "bucket").stat("x.wav") == StoredFile(7, None)


def test_full_disk_is_one_plain_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    full = OSError(28, "No space left on device", "secret-name.wav")
    monkeypatch.setattr(os, "fsync", Mock(side_effect=full))
    with pytest.raises(StorageError, match=r"^recordings_path: No space left on device$"):
        write(LocalStorage(tmp_path), "a/secret-name.wav", b"content")
    assert files(tmp_path) == set()


def test_folder_in_place_of_file_is_an_error(storage: Storage, tmp_path: Path) -> None:
    (tmp_path / "calls/a/x.wav").mkdir(parents=True)
    with pytest.raises(StorageError, match="Is a directory"):
        write(storage, "a/x.wav", b"content")


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (RuntimeError("secret token"), "RuntimeError"),
        (PermissionError("secret user"), "PermissionError"),
        (OSError(13, "secret bucket"), "Permission denied"),
        (socket.gaierror(-2, "secret host"), "gaierror"),
    ],
)
def test_driver_errors_are_reported_without_their_text(error: Exception, reason: str) -> None:
    store = Mock(spec=["info"])
    store.info.side_effect = error
    with pytest.raises(StorageError) as caught:
        Storage(store, "bucket").stat("x.wav")
    assert str(caught.value) == f"recordings_path: {reason}"


def test_setting_is_a_path_or_a_url(tmp_path: Path) -> None:
    assert isinstance(open_storage(tmp_path.as_uri()), LocalStorage)
    assert open_storage(tmp_path.as_uri()).uri("x").startswith(tmp_path.as_uri())
    assert open_storage("file:///srv/a%20b").uri("x") == "file:///srv/a%20b/x"
    assert open_storage("~/calls").uri("x") == (Path.home() / "calls" / "x").as_uri()
    assert isinstance(open_storage("C:\\calls"), LocalStorage)
    assert type(open_storage("memory://calls")) is Storage
    for path in ("nosuch://bucket", "~nobody-of-that-name/calls"):
        with pytest.raises(StorageError, match=r"^recordings_path: "):
            open_storage(path)
