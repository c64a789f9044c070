"""Updates of `.env` files, as python-dotenv and sh read them."""

import os
import stat
import subprocess
from pathlib import Path

import pytest
from dotenv import dotenv_values
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tap_zohovoice.cli.dotenv import update_dotenv
from tap_zohovoice.exceptions import StorageError

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
VALUES = ["1000.abc", "a b", 'say "hi"', "$HOME", "a`b", "#no", "a#b", "!x", '$5 "`#']
REFUSED = ["${HOME}", "it's", "it's $5", "it's `x`", "back\\slash", "\\", "two\nlines", "bell\a"]


def by_sh(path: Path, names: list[str]) -> dict[str, str]:
    """Read values as the documentation says."""
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
@example(parts=["\n"], is_cut=False, x=VALUES[0], y=VALUES[1])
@example(parts=["\n"], is_cut=True, x=VALUES[0], y=VALUES[1])
@example(parts=["\n", "\n"], is_cut=True, x=VALUES[0], y=VALUES[1])
def test_update_is_read_alike_and_keeps_the_rest(
    tmp_path: Path, parts: list[str], x: str, y: str, *, is_cut: bool
) -> None:
    path = tmp_path / ".env"
    text = "".join(parts)
    path.write_text(text.removesuffix("\n") if is_cut else text)
    expected = {**dotenv_values(path)} | {"X": x, "Y": y}
    update_dotenv(path, {"X": x, "Y": y})
    assert dotenv_values(path) == expected
    assert by_sh(path, ["X", "Y"]) == {"X": x, "Y": y}
    left = path.read_text()
    for part in parts:
        if part in OTHERS:  # there, and after those before it
            assert part.strip("\n") in left
            left = left[left.index(part.strip("\n")) + len(part) - 1 :]
    written = path.read_text().split()  # blank lines aside
    update_dotenv(path, {"X": x, "Y": y})
    assert path.read_text().split() == written


@pytest.mark.parametrize("value", REFUSED)
def test_value_that_is_read_differently_is_refused(tmp_path: Path, value: str) -> None:
    path = tmp_path / ".env"
    path.write_text("A=1\n")
    with pytest.raises(StorageError, match=r"characters that are not supported in a \.env file"):
        update_dotenv(path, {"X": "new", "A": value})
    assert path.read_text() == "A=1\n"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"", b"X='new'\n"),
        (b"A=1", b"A=1\nX='new'\n"),
        (b"A=1\r\nX=old\r\n\r\nB=2\r\n", b"A=1\nX='new'\n\nB=2\n"),
        (b"A=1\r\nB=2", b"A=1\nB=2\nX='new'\n"),
        (b"\xef\xbb\xbfX=old\n", b"X='new'\n"),
        (b"# \xc3\xa9t\xc3\xa9\nX=old\n", b"# \xc3\xa9t\xc3\xa9\nX='new'\n"),
        (b"X=1\nA=1\nexport X=2 # two\n", b"export X='new'\nA=1\nexport X='new'\n"),
        (b"X=1", b"X='new'\n"),
        (b"A='open\nX=1\n", b"A='open\nX='new'\n"),
        (b"  'X' = 1\n", b"X='new'\n"),
        (b"X=old#er # why\n", b"X='new'\n"),
        (b"X='old'#why\n", b"X='new'\n"),
        (b"X='back\\'\nA='1'\n", b"X='back\\'\nA='1'\nX='new'\n"),
        (b"X='it\\'s'\nA='1'\n", b"X='new'\nA='1'\n"),
        (b"not an assignment\n= nor this\n", b"not an assignment\n= nor this\nX='new'\n"),
    ],
)
def test_other_lines_are_unchanged(tmp_path: Path, before: bytes, after: bytes) -> None:
    path = tmp_path / ".env"
    path.write_bytes(before)
    update_dotenv(path, {"X": "new"}, dry_run=True)
    assert path.read_bytes() == before
    update_dotenv(path, {"X": "new"})
    assert path.read_bytes() == after


@pytest.mark.parametrize("before", ["", "X='old'\n"])
def test_target_of_a_symbolic_link_is_written(tmp_path: Path, before: str) -> None:
    link, real = tmp_path / "link", tmp_path / "real"
    if before:
        real.write_text(before)
    link.symlink_to(real)
    update_dotenv(link, {}, dry_run=True)
    assert real.exists() == bool(before)
    update_dotenv(link, {"X": "new"})
    assert link.is_symlink()
    assert real.read_text() == "X='new'\n"
    assert stat.S_IMODE(real.stat().st_mode) == 0o600


@pytest.mark.parametrize("mode", [0o644, 0o600, 0o660])
def test_file_becomes_private_and_keeps_its_owner(tmp_path: Path, mode: int) -> None:
    path = tmp_path / ".env"
    path.write_text("A=1\n")
    if os.getuid() == 0:  # only root can give a file away
        os.chown(path, 1234, 1235)
    path.chmod(mode)
    before = path.stat()
    umask = os.umask(0)
    try:
        update_dotenv(path, {"X": "new"})
    finally:
        os.umask(umask)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert (path.stat().st_uid, path.stat().st_gid) == (before.st_uid, before.st_gid)


@pytest.mark.parametrize("step", ["os.fsync", "pathlib.Path.replace"])
def test_failure_of_the_last_steps_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    path = tmp_path / ".env"
    path.write_text("X=old\n")

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(step, fail)
    with pytest.raises(StorageError, match="No space"):
        update_dotenv(path, {"X": "new"})
    assert path.read_text() == "X=old\n"
    assert [file.name for file in tmp_path.iterdir()] == [".env"]
