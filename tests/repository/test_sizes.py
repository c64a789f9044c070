"""The limits of size that `make lint` checks."""

import subprocess
import sys
from pathlib import Path

import pytest

from definitions import sizes

ROOT = Path(__file__).parents[2]


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(sizes, "PACKAGE_LINES", 1_000)
    folder = tmp_path / "package"
    (folder / "inner").mkdir(parents=True)
    (folder / "inner" / "module.py").write_text("\n" * 300)
    for number in range(12):
        (folder / f"module{number}.py").write_text("")
    return folder


def test_package_within_the_limits(package: Path) -> None:
    (package / "inner" / "slots.lua").write_text("\n" * 300)
    (package / "__pycache__").mkdir()
    assert sizes.complaints(package) == []


def test_long_module_is_named_with_its_lines(package: Path) -> None:
    module = package / "inner" / "module.py"
    module.write_text("\n" * 301)
    assert sizes.complaints(package) == [f"{module}: 301 lines, at most 300 are allowed"]


def test_full_top_folder_is_named(package: Path) -> None:
    (package / "py.typed").write_text("")
    message = f"{package}: 13 files beside folders, at most 12 are allowed"
    assert sizes.complaints(package) == [message]


def test_long_package_is_named_with_its_lines(package: Path) -> None:
    for name in ("a.py", "b.py", "c.lua"):
        (package / "inner" / name).write_text("\n" * 234)
    message = f"{package}: 1,002 lines, at most 1,000 are allowed"
    assert sizes.complaints(package) == [message]


def test_command_passes_for_the_tap() -> None:
    command = [sys.executable, "-m", "definitions.sizes"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
