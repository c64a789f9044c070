"""A `.env` file in which some values are replaced, and nothing else."""

from __future__ import annotations

import os
import stat
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from dotenv import dotenv_values
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tap_zohovoice.cli.dotenv import DotenvFile, lines, quoted

if TYPE_CHECKING:
    from collections.abc import Callable

OTHERS = [
    "# a comment, it's one\n",
    "\n",
    "A=1\n",
    "export B='two words'  # why\n",
    'C="many\nX=inside\n#Y=\nlines"\n',
    "D='$HOME'\n",
    'E="it\'s"\n',
    "#X='off'\n",
    "XX=no\n",
]
OURS = [
    "X=old\n",
    "X='old' # why\n",
    "export X=old#er\n",
    "  X=old # why\n",
    "export X\n",
    "X=''\n",
    "Y=\n",
    "Y= # nothing\n",
    "export Y='a b'\n",
    'Y="a\\"b"\n',
]
VALUES = ["1000.abc", "a b", "it's", "back\\slash", 'say "hi"', "$x", "a`b", "#no", "a#b", "!x"]


def by_sh(path: Path, names: list[str]) -> dict[str, str]:
    """Read values as README.md says."""
    script = f"set -a; . {path}; set +a; for name; do printenv $name || :; printf '\\0'; done"
    out = subprocess.check_output(["/bin/sh", "-c", script, "sh", *names], env={"HOME": "/home"})
    return dict(zip(names, (text[:-1] for text in out.decode().split("\0")), strict=False))


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    parts=st.lists(st.sampled_from(OTHERS + OURS), max_size=8),
    is_cut=st.booleans(),
    x=st.sampled_from(VALUES),
    y=st.sampled_from(VALUES),
)
def test_sh_and_dotenv_read_what_was_written_and_the_rest_as_before(
    tmp_path: Path, parts: list[str], x: str, y: str, *, is_cut: bool
) -> None:
    path = tmp_path / ".env"
    text = "".join(parts)
    path.write_text(text.removesuffix("\n") if is_cut else text)
    expected = {**dotenv_values(path)} | {"X": x, "Y": y}
    DotenvFile(path).update({"X": x, "Y": y})
    assert dotenv_values(path) == expected
    assert by_sh(path, ["X", "Y"]) == {"X": x, "Y": y}
    left = path.read_text()
    for part in parts:
        if part in OTHERS:  # there, and after those before it
            assert part.strip("\n") in left
            left = left[left.index(part.strip("\n")) + len(part) - 1 :]
    written = path.read_bytes()
    DotenvFile(path).update({"X": x, "Y": y})
    assert path.read_bytes() == written


@pytest.mark.parametrize(
    ("value", "form"),
    [
        ("plain", "'plain'"),
        ('$HOME `x` "y" #z', "'$HOME `x` \"y\" #z'"),
        ("it's", '"it\'s"'),
        ('\\"', '"\\\\\\""'),
    ],
)
def test_a_value_is_quoted(value: str, form: str) -> None:
    assert quoted(value) == form
    assert lines({"A": value}) == [f"A={form}"]


@pytest.mark.parametrize("value", ["${HOME}", "it's $5", "it's `x`", "two\nlines", "bell\a"])
def test_a_value_without_a_common_form_is_refused(value: str, tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_text("A=1\n")
    with pytest.raises(ValueError, match="no form"):
        DotenvFile(path).update({"A": value})
    assert path.read_text() == "A=1\n"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"", b"X='new'\n"),
        (b"A=1", b"A=1\nX='new'\n"),
        (b"A=1\r\nX=old\r\n\r\nB=2\r\n", b"A=1\r\nX='new'\r\n\r\nB=2\r\n"),
        (b"A=1\r\nB=2", b"A=1\r\nB=2\r\nX='new'\r\n"),
        (b"\xef\xbb\xbfX=old\n", b"\xef\xbb\xbfX='new'\n"),
        (b"# \xe9t\xe9\nX=old\n", b"# \xe9t\xe9\nX='new'\n"),
        (b"X=1\nA=1\nexport X=2 # two\n", b"export X='new'\nA=1\n"),
        (b"X=1", b"X='new'"),
        (b"A='open\nX=1\n", b"A='open\nX='new'\n"),
        (b"  'X' = 1\n", b"X='new'\n"),
        (b"X=old#er # why\n", b"X='new'  # why\n"),
        (b"X='old'#why\n", b"X='new'  #why\n"),
        (b"X='back\\'\nA='1'\n", b"X='new'\nA='1'\n"),
        (b"X='it\\'s'\nA='1'\n", b"X='new'\nA='1'\n"),
        (b"not an assignment\n= nor this\n", b"not an assignment\n= nor this\nX='new'\n"),
    ],
)
def test_other_bytes_stay(tmp_path: Path, before: bytes, after: bytes) -> None:
    path = tmp_path / ".env"
    path.write_bytes(before)
    DotenvFile(path).check()
    DotenvFile(path).update({"X": "new"})
    assert path.read_bytes() == after


def test_names_are_those_with_a_value(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    assert DotenvFile(path).names() == set()
    path.write_text("A=1\nB=\nC=''\n#D=1\nexport E='1'\nF\n'G'=1\n")
    assert DotenvFile(path).names() == {"A", "E", "G"}


def test_a_link_stays_and_what_it_leads_to_is_written(tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    real = tmp_path / "kept" / "real"
    for exists in (False, True):
        link = tmp_path / f"link-{exists}"
        link.symlink_to(real)
        assert real.exists() == exists
        DotenvFile(link).check()
        DotenvFile(link).update({"X": str(exists)})
        assert link.is_symlink()
        assert real.read_text() == f"X='{exists}'\n"
    assert stat.S_IMODE(real.stat().st_mode) == 0o600


@pytest.mark.parametrize("mode", [0o644, 0o600, 0o660])
def test_only_its_owner_can_read_it_whatever_was_before(tmp_path: Path, mode: int) -> None:
    path = tmp_path / ".env"
    path.write_text("A=1\n")
    path.chmod(mode)
    before = path.stat()
    umask = os.umask(0)
    try:
        DotenvFile(path).update({"X": "new"})
    finally:
        os.umask(umask)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert (path.stat().st_uid, path.stat().st_gid) == (before.st_uid, before.st_gid)


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a file away")
def test_a_file_of_somebody_else_stays_theirs(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_text("A=1\n")
    os.chown(path, 1234, 1235)
    DotenvFile(path).update({"X": "new"})
    assert (path.stat().st_uid, path.stat().st_gid) == (1234, 1235)


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_what_fails_half_way_leaves_the_old_file_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    path = tmp_path / ".env"
    path.write_text("X=old\n")

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    if step == "fsync":
        monkeypatch.setattr(os, "fsync", fail)
    else:
        monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OSError, match="No space"):
        DotenvFile(path).update({"X": "new"})
    assert path.read_text() == "X=old\n"
    assert [file.name for file in tmp_path.iterdir()] == [".env"]


def test_whoever_reads_meanwhile_sees_the_old_file_or_the_new_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / ".env"
    path.write_text("A=1\n" * 10_000)
    seen: list[str] = []
    real: Callable[[int], None] = os.fsync

    def look(descriptor: int) -> None:
        real(descriptor)
        seen.append(path.read_text())

    monkeypatch.setattr(os, "fsync", look)
    DotenvFile(path).update({"X": "new"})
    assert seen == ["A=1\n" * 10_000]
    assert path.read_text() == "A=1\n" * 10_000 + "X='new'\n"
