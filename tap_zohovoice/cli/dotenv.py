"""Updates of `.env` files, each in one step."""

import os
import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from dotenv import set_key

from tap_zohovoice.exceptions import StorageError


def is_storable(value: str) -> bool:
    """Return whether python-dotenv, Meltano and sh read `NAME='value'` alike."""
    # python-dotenv expands ${...} even in single quotes, and has escapes that sh does not have.
    return value.isprintable() and "${" not in value and not {"'", "\\"} & set(value)


def update_dotenv(path: Path, values: Mapping[str, str]) -> None:
    """Set variables of a `.env` file, and make it readable by its owner alone.

    The target of a symbolic link is replaced in one step: readers see the old file or the new one.
    Without variables, the file is not changed.

    Raises:
        StorageError: If the file cannot be written, or cannot hold a value.
    """
    try:
        _update(Path(os.path.realpath(path)), values)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        if isinstance(error, UnicodeDecodeError):
            reason = "it is not UTF-8 text"
        message = f"{path} cannot be written: {reason}"
        raise StorageError(message) from error


def _update(target: Path, values: Mapping[str, str]) -> None:
    if not all(map(is_storable, values.values())):
        message = "a value contains characters that are not supported in a .env file"
        raise ValueError(message)
    text = ""
    if os.path.lexists(target):
        if not target.is_file():  # to open a pipe could block
            message = "it is not a regular file"
            raise OSError(message)
        text = target.read_text(encoding="utf-8-sig")
    with TemporaryDirectory(dir=target.parent, prefix=f".{target.name}.") as folder:
        copy = Path(folder, target.name)
        copy.touch(0o600)
        copy.write_text(text, encoding="utf-8")
        for key, value in values.items():
            set_key(copy, key, value, export="\nexport " in f"\n{text}")  # for sh without `set -a`
        if not values:
            return
        with copy.open("r+b") as file:
            os.fsync(file.fileno())
        with suppress(AttributeError, FileNotFoundError, PermissionError):  # Windows has none
            shutil.chown(copy, target.stat().st_uid, target.stat().st_gid)
        copy.replace(target)
