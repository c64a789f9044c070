"""Limits of the size of the package, which are meant to be lowered, not raised."""

from __future__ import annotations

import sys
from pathlib import Path

PACKAGE = Path("tap_zohovoice")
MODULE_LINES = 300
TOP_FILES = 12
PACKAGE_LINES = 8_602


def complaints(package: Path) -> list[str]:
    """Return a line for each limit that the files of a package exceed."""
    files = [path for path in sorted(package.rglob("*")) if path.suffix in {".lua", ".py"}]
    lines = {path: path.read_bytes().count(b"\n") for path in files}
    found = [
        f"{path}: {count} lines, at most {MODULE_LINES} are allowed"
        for path, count in lines.items()
        if count > MODULE_LINES
    ]
    top = sum(path.is_file() for path in package.iterdir())
    if top > TOP_FILES:
        found.append(f"{package}: {top} files beside folders, at most {TOP_FILES} are allowed")
    if (total := sum(lines.values())) > PACKAGE_LINES:
        found.append(f"{package}: {total:,} lines, at most {PACKAGE_LINES:,} are allowed")
    return found


if __name__ == "__main__":
    sys.exit("\n".join(complaints(PACKAGE)) or None)
