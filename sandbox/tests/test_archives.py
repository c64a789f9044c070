"""Several files in one response: archives, correct and faulty ones, and other responses."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING
from zipfile import BadZipFile, ZipFile
from zlib import decompressobj

import pytest

from sandbox_client import set_dialect

if TYPE_CHECKING:
    import requests

    from sandbox_client import Caller

NAMES = ["a.wav", "b.wav", "c.wav"]


def fetch(caller: Caller, names: list[str], form: str, **fields: object) -> requests.Response:
    for name in NAMES:
        caller.box.audio.put(name, f"audio of {name}".encode() * 9)
    set_dialect(caller, several_files=form, **fields)
    return caller.get("zv/logs/voicerecording", recording_filename=",".join(names))


def open_archive(caller: Caller, form: str, **fields: object) -> ZipFile:
    response = fetch(caller, NAMES, form, **fields)
    assert response.status_code == 200
    return ZipFile(io.BytesIO(response.content))


def content_of(caller: Caller, name: str) -> bytes:
    return caller.box.audio.read(name) or b""


@pytest.mark.parametrize(("form", "folder"), [("zip", ""), ("zip_folders", "recordings/2026/")])
def test_entries_of_an_archive(caller: Caller, form: str, folder: str) -> None:
    with open_archive(caller, form) as archive:
        assert archive.namelist() == [folder + name for name in NAMES]
        assert archive.testzip() is None
        for name in NAMES:
            assert archive.read(folder + name) == content_of(caller, name)


@pytest.mark.parametrize(
    ("form", "names"), [("zip_missing", NAMES[:2]), ("zip_doubled", [*NAMES, "c.wav"])]
)
def test_last_entry_is_missing_or_doubled(caller: Caller, form: str, names: list[str]) -> None:
    with open_archive(caller, form) as archive:
        assert archive.namelist() == names


def test_unknown_file_is_missing_in_the_archive(caller: Caller) -> None:
    assert fetch(caller, ["a.wav", "none.wav"], "zip").status_code == 404
    response = fetch(caller, ["a.wav", "none.wav", "b.wav"], "zip_missing")
    with ZipFile(io.BytesIO(response.content)) as archive:
        assert archive.namelist() == ["a.wav"]
    assert fetch(caller, ["none.wav", "nor.wav"], "zip_missing").status_code == 404


def test_last_entry_is_broken(caller: Caller) -> None:
    with open_archive(caller, "zip_broken") as archive:
        assert archive.testzip() == "c.wav"
        assert archive.read("b.wav") == content_of(caller, "b.wav")


@pytest.mark.parametrize(("form", "declared"), [("zip_bomb", 3 << 20), ("zip_lying", 44)])
def test_last_entry_is_a_bomb(caller: Caller, form: str, declared: int) -> None:
    response = fetch(caller, NAMES, form, bomb_mb=3)
    assert len(response.content) < 20_000
    with ZipFile(io.BytesIO(response.content)) as archive:
        info = archive.infolist()[-1]
        assert (info.filename, info.file_size) == ("c.wav", declared)
        assert archive.read("a.wav") == content_of(caller, "a.wav")
    name_length = int.from_bytes(response.content[info.header_offset + 26 :][:2], "little")
    extra_length = int.from_bytes(response.content[info.header_offset + 28 :][:2], "little")
    start = info.header_offset + 30 + name_length + extra_length
    assert len(decompressobj(-15).decompress(response.content[start:])) == 3 << 20


def test_entries_are_encrypted(caller: Caller) -> None:
    with open_archive(caller, "zip_encrypted") as archive:
        assert archive.namelist() == NAMES
        for name in NAMES:
            with pytest.raises(RuntimeError, match="encrypted"):
                archive.read(name)


def test_archive_is_cut(caller: Caller) -> None:
    response = fetch(caller, NAMES, "zip_cut")
    assert response.content.startswith(b"PK")
    with pytest.raises(BadZipFile):
        ZipFile(io.BytesIO(response.content))


def test_several_names_may_get_no_archive(caller: Caller) -> None:
    assert fetch(caller, NAMES, "first").content == content_of(caller, "a.wav")
    assert fetch(caller, ["none.wav", "a.wav"], "first").status_code == 404
    assert fetch(caller, NAMES, "refuse").json()["code"] == "ZVT015"
    assert fetch(caller, NAMES, "html").text.startswith("<!DOCTYPE html>")


@pytest.mark.parametrize("form", ["zip_cut", "first", "refuse", "html"])
def test_single_file_comes_as_it_is(caller: Caller, form: str) -> None:
    assert fetch(caller, ["b.wav"], form).content == content_of(caller, "b.wav")
