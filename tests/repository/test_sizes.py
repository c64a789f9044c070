"""The limits of size that `make lint` checks."""

from pathlib import Path

import pytest

from definitions import sizes


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(sizes, "PACKAGE_LINES", 1_000)
    folder = tmp_path / "package"
    (folder / "inner").mkdir(parents=True)
    (folder / "inner" / "module.py").write_text("\n" * 300)
    for number in range(12):
        (folder / f"module{number}.py").write_text("")
    return folder


@pytest.mark.parametrize(
    ("files", "complaint"),
    [
        ({"inner/slots.lua": 300, "__pycache__/a.pyc": 1}, ""),
        ({"inner/module.py": 301}, "/inner/module.py: 301 lines, at most 300 are allowed"),
        ({"py.typed": 0}, ": 13 files beside folders, at most 12 are allowed"),
        (
            {"inner/a.py": 234, "inner/b.py": 234, "inner/c.lua": 234},
            ": 1,002 lines, at most 1,000 are allowed",
        ),
    ],
)
def test_what_is_too_large_is_named(package: Path, files: dict[str, int], complaint: str) -> None:
    for name, lines in files.items():
        (package / name).parent.mkdir(exist_ok=True)
        (package / name).write_text("\n" * lines)
    assert sizes.complaints(package) == ([f"{package}{complaint}"] if complaint else [])
