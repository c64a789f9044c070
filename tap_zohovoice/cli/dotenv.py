"""`.env` files: validation of values, checks before writing, atomic update."""

from __future__ import annotations

import io
import os
import re
import shutil
import stat
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from dotenv.parser import parse_stream

if TYPE_CHECKING:
    from collections.abc import Mapping


def validate_value(value: str) -> None:
    """Raise ValueError unless python-dotenv, Meltano and sh read `NAME='value'` alike."""
    # python-dotenv expands ${...} even in single quotes, and has escapes that sh does not have.
    if not value.isprintable() or "${" in value or {"'", "\\"} & set(value):
        message = "contains characters that are not supported in a .env file"
        raise ValueError(message)


def check_writable(path: Path) -> None:
    """Raise OSError or ValueError if a `.env` file could not be updated, or created, later."""
    target = Path(os.path.realpath(path))
    if target.exists():
        mode = target.stat().st_mode
        # Root may write to a write-protected file, but should not.
        is_writable = mode & 0o222 and os.access(target, os.W_OK)
        if not (stat.S_ISREG(mode) and is_writable):
            kind = "write-protected" if stat.S_ISREG(mode) else "not a regular file"
            message = f"it is {kind}"
            raise OSError(message)
    _read(target)
    with tempfile.NamedTemporaryFile(dir=target.parent, prefix=f".{target.name}."):
        pass


def update_dotenv(path: Path, values: Mapping[str, str]) -> None:
    """Set variables of a `.env` file, and make it readable by its owner alone.

    The target of a symbolic link is replaced in one step: readers see the old file or the new one.

    Raises:
        OSError: If the file cannot be written.
        ValueError: If it is not UTF-8 text, or cannot hold a value.
    """
    for value in values.values():
        validate_value(value)
    target = Path(os.path.realpath(path))
    text = _read(target)
    descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")  # mode 600
    os.close(descriptor)
    copy = Path(name)
    try:
        for key, value in values.items():
            text = _set(text, key, value)
        copy.write_text(text, encoding="utf-8")
        with copy.open("r+b") as file:
            os.fsync(file.fileno())
        with suppress(AttributeError, FileNotFoundError, PermissionError):  # Windows has none
            shutil.chown(copy, target.stat().st_uid, target.stat().st_gid)
        copy.replace(target)
    except BaseException:
        copy.unlink(missing_ok=True)
        raise


def _set(text: str, key: str, value: str) -> str:
    """Set a variable in the text of a file, in place of its assignments or at the end.

    `dotenv.set_key` would drop blank lines before an assignment with each update.
    """
    is_exported = re.search(rf"^\s*export\s+{key}\b", text, re.MULTILINE) is not None
    line = f"{'export ' * is_exported}{key}='{value}'\n"
    parts, is_new = [], True
    for binding in parse_stream(io.StringIO(text)):
        part = binding.original.string
        if binding.key == key:
            blank = part[: len(part) - len(part.lstrip())]
            part, is_new = blank[: blank.rfind("\n") + 1] + line, False
        parts.append(part)
    if is_new:
        is_cut = bool(text) and not text.endswith("\n")
        parts.append("\n" * is_cut + line)
    return "".join(parts)


def _read(target: Path) -> str:
    try:
        return target.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        return ""
    except UnicodeDecodeError as error:
        message = "it is not UTF-8 text"
        raise ValueError(message) from error
