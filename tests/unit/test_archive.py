"""Archives of several files, hostile ones too."""

import io
import tracemalloc
import warnings
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from zipfile import ZIP_BZIP2, ZIP_DEFLATED, ZIP_LZMA, ZIP_STORED, ZipFile, ZipInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tap_zohovoice.exceptions import RetryableError
from tap_zohovoice.recordings.archive import MAGIC, open_archive

FILES = {"a.wav": b"RIFF" + bytes(range(256)) * 9, "b.wav": b"short", "c.wav": b""}
MEBI = 1024 * 1024


def build(entries: Iterable[tuple[str, bytes]], method: int = ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with ZipFile(buffer, "w", method) as archive, warnings.catch_warnings(action="ignore"):
        for name, content in entries:
            archive.writestr(ZipInfo(name), content, method)
    return buffer.getvalue()


def read(data: bytes, name: str) -> bytes:
    return b"".join(open_archive(io.BytesIO(data))[name][1])


@pytest.mark.parametrize("method", [ZIP_STORED, ZIP_DEFLATED])
@pytest.mark.parametrize("folder", ["", "2026/02/", "/", "../../", "C:\\calls\\", "a.wav/"])
@pytest.mark.parametrize(
    "prefix", [b"", b"PK\x07\x08", b"PK00", b"\r\n", b"\xef\xbb\xbf", bytes(508)]
)
def test_entries_are_found_behind_folders_and_bytes(
    prefix: bytes, folder: str, method: int
) -> None:
    data = prefix + build(((folder + name, content) for name, content in FILES.items()), method)
    assert MAGIC.search(data[:512])
    assert {name: read(data, name) for name in FILES} == FILES


@pytest.mark.parametrize(
    ("name", "entries"),
    [
        *((name, ["2026/a.wav", "2026/"]) for name in ("d.wav", "2026/a.wav", ".wav")),
        # A doubled entry is not used.
        *(("a.wav", ["a.wav", "b.wav", f"{folder}a.wav"]) for folder in ("", "again/", "again\\")),
    ],
)
def test_other_and_doubled_names_are_missing(name: str, entries: list[str]) -> None:
    data = build((entry, b"x") for entry in entries)
    assert name not in open_archive(io.BytesIO(data))
    assert "b.wav" not in entries or read(data, "b.wav") == b"x"


@pytest.mark.parametrize(
    "head", [b"", b"PK", b"RIFF\0\0\0\0WAVEPK\0\0", b"<html>PK</html>", bytes(512) + b"PK\x03\x04"]
)
def test_other_bytes_are_no_archive(head: bytes) -> None:
    assert not MAGIC.search(head[:512])


@contextmanager
def little_memory(most: int = MEBI) -> Generator[None]:
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < most
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("method", [ZIP_BZIP2, ZIP_LZMA])
def test_compression_without_a_bound_is_not_inflated(method: int) -> None:
    data = build([("a.wav", bytes(16 * MEBI))], method)
    with little_memory():
        assert "a.wav" not in open_archive(io.BytesIO(data))


def test_bomb_is_read_in_small_chunks() -> None:
    data = build([("a.wav", bytes(16 * MEBI))], ZIP_DEFLATED)
    with little_memory():
        sizes = [len(chunk) for chunk in open_archive(io.BytesIO(data))["a.wav"][1]]
    assert sum(sizes) == 16 * MEBI
    assert max(sizes) <= 64 * 1024


def test_huge_list_of_entries_is_not_read() -> None:
    data = build((f"{number}.wav", b"") for number in range(20_000))
    with little_memory(), pytest.raises(RetryableError):
        open_archive(io.BytesIO(data))


def test_each_cut_is_noticed() -> None:
    data = build(FILES.items(), ZIP_DEFLATED)
    for size in range(len(data)):
        with pytest.raises(RetryableError):
            open_archive(io.BytesIO(data[:size]))


@given(
    method=st.sampled_from([ZIP_STORED, ZIP_DEFLATED]),
    damage=st.lists(
        st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1, max_size=4
    ),
)
def test_damage_never_gives_wrong_content(method: int, damage: list[tuple[float, int]]) -> None:
    data = bytearray(build(FILES.items(), method))
    for place, value in damage:
        data[int(place * len(data))] = value
    for name, content in FILES.items():
        try:
            found = read(bytes(data), name)
        except (KeyError, RetryableError):
            continue
        assert found == content
