"""Places, folders and types of files: each by itself."""

from __future__ import annotations

import datetime as dt
import os
import stat
import subprocess
import sys
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tap_zohovoice.exceptions import StorageError
from tap_zohovoice.recordings.audio import UNKNOWN, audio_type
from tap_zohovoice.recordings.paths import storage_path
from tap_zohovoice.recordings.storage import open_storage, trouble_with
from tap_zohovoice.recordings.storage.local import LocalStorage
from tap_zohovoice.recordings.storage.remote import FsspecStorage
from tests.support.folders import files
from zoho_voice_sandbox.audio_fixtures import build_wav

START = "2026-02-28T23:59:59.999000+00:00"
MOMENT = dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC)
NAMES = st.text() | st.text(alphabet="./\\~: ab\0\n\ud800*", max_size=300)


@given(NAMES)
def test_a_place_is_one_name_in_the_folder_of_its_day(name: str) -> None:
    place = PurePosixPath(storage_path(START, name))
    assert place.parts[:3] == ("2026", "02", "28")
    assert len(place.parts) == 4
    leaf = place.name
    assert not leaf.startswith(".")
    assert 0 < len(leaf.encode()) <= 255
    assert not set(leaf) & set('/\\:*?"<>|')
    assert leaf.isprintable()
    inside = os.path.normpath(Path("/calls") / place)
    assert inside.startswith("/calls/2026/02/28/")


@given(NAMES, NAMES)
def test_two_names_never_share_a_place(one: str, other: str) -> None:
    assert (storage_path(START, one) == storage_path(START, other)) == (one == other)


@pytest.mark.parametrize("name", ["0b1c_recording.mp3", "call 1, two (3).wav", "Rückruf ☎.ogg"])
def test_a_usual_name_stays_as_it_is(name: str) -> None:
    assert storage_path(START, name) == f"2026/02/28/{name}"


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (build_wav("x.wav"), "audio/wav"),
        (b"ID3\x04" + bytes(600), "audio/mpeg"),
        (b"\xff\xfb\x90\x64" + bytes(600), "audio/mpeg"),
        (b"\xff\xf1\x50\x80" + bytes(600), "audio/aac"),
        (b"OggS" + bytes(600), "audio/ogg"),
        (b"fLaC" + bytes(600), "audio/flac"),
        (b"\0\0\0\x20ftypM4A " + bytes(600), "audio/mp4"),
        (bytes(600), UNKNOWN),
        (b"\x80\x81\x7f" * 200, UNKNOWN),
        (b"", None),
        (b"<!DOCTYPE html><html>", None),
        (b'{"code": "500"}', None),
        ("Keine Datei gefunden für Sie".encode()[:26], None),
        ("<html>".encode("utf-16"), None),
        (b"PK\x03\x04" + bytes(600), None),
        (b"%PDF-1.7" + bytes(600), None),
        ("<p>Erreur\u00a0: fichier introuvable\f".encode(), None),
        ('{"message": "見つかりません\u3000"}'.encode(), None),
        ("<p>déjà supprimé</p>".encode("latin-1"), None),
        ("<html>ファイルが見つかりません".encode("shift-jis"), None),
        ("<html>見つかりません".encode("iso-2022-jp"), None),
        ("<html>déjà".encode("utf-16-le"), None),
        ('{"a": "é"}'.encode("utf-16-be"), None),
        (b"<\x00\x01\x7f" * 200, UNKNOWN),
    ],
)
def test_a_type_is_told_by_the_first_bytes(head: bytes, kind: str | None) -> None:
    assert audio_type(head[:512]) == kind


def test_what_the_server_calls_text_is_audio_only_if_it_looks_like_it() -> None:
    page = "Déjà supprimé".encode("latin-1")
    assert audio_type(page) == UNKNOWN
    for declared in ("text/html;charset=ISO-8859-1", "application/json", "Application/XML"):
        assert audio_type(page, declared) is None
        assert audio_type(build_wav("x.wav"), declared) == "audio/wav"


@pytest.fixture(params=["local", "remote"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    if request.param == "local":
        return LocalStorage(tmp_path / "calls")
    return FsspecStorage(pytest.importorskip("fsspec").filesystem("file"), f"{tmp_path}/calls")


def write(folder: Any, place: str, content: bytes) -> None:
    with folder.draft(place) as draft:
        draft.write(content)
        draft.keep(MOMENT)


def test_a_kept_draft_is_there_and_replaces_what_was(folder: Any, tmp_path: Path) -> None:
    assert folder.find("a/b/c.wav") is None
    for content in (b"first", b"second, longer"):
        write(folder, "a/b/c.wav", content)
        assert files(tmp_path) == {tmp_path / "calls/a/b/c.wav"}
        assert folder.find("a/b/c.wav").size == len(content)
        with folder.open("a/b/c.wav") as file:
            assert file.read() == content
    assert folder.uri("a/b/c.wav") == (tmp_path / "calls/a/b/c.wav").as_uri()


@pytest.mark.parametrize("error", [None, RuntimeError, KeyboardInterrupt])
def test_a_draft_that_is_not_kept_leaves_nothing(
    folder: Any, tmp_path: Path, error: type[BaseException] | None
) -> None:
    def give_up() -> None:
        with folder.draft("a/b.wav") as draft:
            draft.write(b"half")
            if error:
                raise error

    if error:
        with pytest.raises(error):
            give_up()
    else:
        give_up()
    assert files(tmp_path) == set()


def test_files_are_for_their_owner_alone_and_bear_their_moment(tmp_path: Path) -> None:
    folder = LocalStorage(tmp_path / "calls")
    write(folder, "2026/01/x.wav", b"content")
    path = tmp_path / "calls/2026/01/x.wav"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    for parent in (path.parent, path.parent.parent, tmp_path / "calls"):
        assert stat.S_IMODE(parent.stat().st_mode) == 0o700
    found = folder.find("2026/01/x.wav")
    assert found
    assert found.modified == MOMENT


def test_what_a_killed_run_left_is_swept_but_not_what_another_run_writes(tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path\n"
        "from tap_zohovoice.recordings.storage.local import LocalStorage\n"
        "with LocalStorage(Path(sys.argv[1])).draft('a/x.wav') as draft:\n"
        "    draft.write(b'half')\n"
        "    print('ready', flush=True)\n"
        "    time.sleep(60)\n"
    )
    mine = tmp_path / "a" / ".mine.part"
    mine.parent.mkdir()
    mine.touch()
    other = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE)
    assert other.stdout
    other.stdout.readline()
    (part,) = files(tmp_path) - {mine}
    assert LocalStorage(tmp_path).find("a/x.wav") is None
    assert part.exists()
    other.kill()
    other.wait()
    other.stdout.close()
    assert part.exists()
    assert LocalStorage(tmp_path).find("a/x.wav") is None
    assert files(tmp_path) == {mine}


def test_what_only_looks_like_a_part_does_not_hold_a_run_up(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    os.mkfifo(tmp_path / "a" / f".{'0' * 16}.part")
    assert LocalStorage(tmp_path).find("a/x.wav") is None


@pytest.mark.parametrize("error", [BlockingIOError(11, "held"), OSError(95, "not supported")])
def test_a_draft_needs_no_luck_and_no_locks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: OSError
) -> None:
    errors = [error]

    def claim(_file: object, _operation: int) -> None:
        if errors:
            raise errors.pop()

    monkeypatch.setattr("tap_zohovoice.recordings.storage.local.flock", claim)
    write(LocalStorage(tmp_path), "a/x.wav", b"content")
    assert (tmp_path / "a" / "x.wav").read_bytes() == b"content"
    assert len({path for path in files(tmp_path) if path.suffix != ".part"}) == 1


def test_two_runs_in_one_folder_write_whole_files(folder: Any, tmp_path: Path) -> None:
    with folder.draft("a/x.wav") as one, folder.draft("a/x.wav") as other:
        one.write(b"one " * 50_000)
        other.write(b"other " * 50_000)
        one.keep(MOMENT)
        assert (tmp_path / "calls/a/x.wav").read_bytes() == b"one " * 50_000
        other.keep(MOMENT)
    assert (tmp_path / "calls/a/x.wav").read_bytes() == b"other " * 50_000
    assert files(tmp_path) == {tmp_path / "calls/a/x.wav"}


def test_where_nothing_tells_who_writes_only_old_parts_are_swept(tmp_path: Path) -> None:
    system = pytest.importorskip("fsspec").filesystem("file")
    (tmp_path / "a").mkdir()
    for name, age in ((f".{'0' * 16}.part", 2), (f".{'1' * 16}.part", 0.5), (".mine.part", 9)):
        path = tmp_path / "a" / name
        path.touch()
        moment = dt.datetime.now(dt.UTC).timestamp() - age * 86_400
        os.utime(path, (moment, moment))
    write(FsspecStorage(system, str(tmp_path)), "a/x.wav", b"content")
    names = {path.name for path in files(tmp_path)}
    assert names == {"x.wav", ".mine.part", f".{'1' * 16}.part"}


def test_a_file_system_that_renames_to_free_names_only_is_served_too(tmp_path: Path) -> None:
    system = pytest.importorskip("fsspec").filesystem("file")

    class Strict(type(system)):  # type: ignore[misc]
        def mv(self, path1: str, path2: str) -> None:
            if self.exists(path2):
                raise FileExistsError
            super().mv(path1, path2)

    folder = FsspecStorage(Strict(), str(tmp_path))
    for content in (b"first", b"second"):
        write(folder, "a/x.wav", content)
        assert (tmp_path / "a/x.wav").read_bytes() == content
        assert len(files(tmp_path)) == 1


def test_a_full_disk_is_one_plain_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_handle: int) -> None:
        raise OSError(28, "No space left on device", "secret-name.wav")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError, match=r"^recordings_path: No space left on device$"):
        write(LocalStorage(tmp_path), "a/secret-name.wav", b"content")
    assert files(tmp_path) == set()


def test_what_is_no_file_is_not_taken_for_one(folder: Any, tmp_path: Path) -> None:
    (tmp_path / "calls/a/x.wav").mkdir(parents=True)
    with pytest.raises(StorageError):
        folder.find("a/x.wav")


def test_errors_of_drivers_are_told_without_their_text() -> None:
    class Broken:
        def info(self, path: str) -> None:
            message = f"secret token for {path}"
            raise RuntimeError(message)

    with pytest.raises(StorageError) as caught:
        FsspecStorage(Broken(), "bucket").find("x.wav")
    assert str(caught.value) == "recordings_path: the folder cannot be used (RuntimeError)"


def test_a_setting_is_a_path_or_an_address(tmp_path: Path) -> None:
    assert isinstance(open_storage(tmp_path.as_uri()), LocalStorage)
    assert open_storage(tmp_path.as_uri()).uri("x").startswith(tmp_path.as_uri())
    assert open_storage("~/calls").uri("x") == (Path.home() / "calls" / "x").as_uri()
    assert isinstance(open_storage("C:\\calls"), LocalStorage)
    assert isinstance(open_storage("memory://calls"), FsspecStorage)
    assert trouble_with("nosuch://bucket") == "recordings_path: fsspec knows no nosuch"
    with pytest.raises(StorageError):
        open_storage("nosuch://bucket")
    for unclear in ("file://calls/here", "file:calls", "FILE://x"):
        assert "write a path" in trouble_with(unclear)
        with pytest.raises(StorageError):
            open_storage(unclear)
