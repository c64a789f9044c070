"""What a run left in a folder."""

from pathlib import Path


def files(folder: Path) -> set[Path]:
    return {path for path in folder.rglob("*") if not path.is_dir()}
