"""`.env` files: validation of values, checks before writing, atomic update."""

import os
import re
import shutil
import stat
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from dotenv import set_key


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
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}.") as folder:
        copy = Path(folder, target.name)
        copy.touch(0o600)
        copy.write_text(text, encoding="utf-8")
        for key, value in values.items():
            is_exported = re.search(rf"^\s*export\s+{key}\b", text, re.MULTILINE) is not None
            set_key(copy, key, value, export=is_exported)
        with copy.open("r+b") as file:
            os.fsync(file.fileno())
        with suppress(AttributeError, FileNotFoundError, PermissionError):  # Windows has none
            shutil.chown(copy, target.stat().st_uid, target.stat().st_gid)
        copy.replace(target)


def _read(target: Path) -> str:
    try:
        return target.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        return ""
    except UnicodeDecodeError as error:
        message = "it is not UTF-8 text"
        raise ValueError(message) from error
