"""A `.env` file: some of its values replaced, everything else kept as it is."""

from __future__ import annotations

import os
import re
import stat
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

# A line as python-dotenv reads it; quoted values may hold line breaks. A single-quoted value ends
# at the next quote, as in sh, unless only python-dotenv's escapes make the line whole.
_LINE = re.compile(
    r"""
    [^\S\r\n]*
    (?P<export>export[^\S\r\n]+)?
    (?: '(?P<quoted>[^'\r\n]+)' | (?P<plain>[^=\#\s'][^=\#\s]*) )
    [^\S\r\n]*
    (?: = [^\S\r\n]*
        (?P<value>
            '[^']*' | '(?:\\.|[^'\\])*' | "(?:\\.|[^"\\])*"
            | (?: (?:(?<==)\#|[^\s'"\#]) [^\r\n]*? )?
        )
    )?
    [^\S\r\n]* (?P<comment> (?: (?<=[\s'"])\#[^\r\n]* )? )
    (?P<end> \r\n | \n | \r | \Z )
    """,
    re.VERBOSE | re.DOTALL,
)
_OTHER = re.compile(r"[^\r\n]*(?:\r\n|\n|\r|\Z)")
_BYTE_ORDER_MARK = "\ufeff"


def quoted(value: str) -> str:
    """Quote a value so that sh, python-dotenv and Meltano read the same.

    Args:
        value: Printable text.

    Returns:
        The value in quotes.

    Raises:
        ValueError: If there is no such form: python-dotenv replaces `${...}` even in quotes, and
            knows other escapes than sh.
    """
    if value.isprintable() and "${" not in value:
        if not {"'", "\\"} & set(value):
            return f"'{value}'"
        if not {"$", "`"} & set(value):
            return '"' + re.sub(r'(["\\])', r"\\\1", value) + '"'
    message = "no form of this value is the same to sh and to python-dotenv"
    raise ValueError(message)


def lines(values: Mapping[str, str]) -> list[str]:
    """Write assignments.

    Args:
        values: Value by name.

    Returns:
        One line for each, without a line break.

    Raises:
        ValueError: See `quoted`.
    """
    return [f"{name}={quoted(value)}" for name, value in values.items()]


class DotenvFile:
    """A `.env` file, which need not exist yet.

    Args:
        path: Where it is. A symbolic link stays, and the file that it leads to is written.
    """

    def __init__(self, path: Path) -> None:
        self._path = Path(os.path.realpath(path))

    def check(self) -> None:
        """Find out whether it could be written, so that nothing is begun in vain.

        Raises:
            OSError: If it could not.
            ValueError: If it is no text in UTF-8 or the like.
        """
        mode = self._path.stat().st_mode if self._path.exists() else None
        if mode is not None and not stat.S_ISREG(mode):
            message = "it is no ordinary file"
            raise OSError(message)
        # Root may write what is write-protected, but should not.
        if mode is not None and not (mode & 0o222 and os.access(self._path, os.W_OK)):
            message = "it is write-protected"
            raise PermissionError(message)
        self._text()
        with tempfile.NamedTemporaryFile(dir=self._path.parent, prefix=f".{self._path.name}."):
            pass

    def names(self) -> set[str]:
        """Return the names that have a value.

        Raises:
            OSError: If it cannot be read.
            ValueError: If it is no text in UTF-8 or the like.
        """
        found = (line for line in _split(self._text()) if isinstance(line, re.Match))
        return {_name(line) for line in found if (line["value"] or "").strip("'\"")}

    def update(self, values: Mapping[str, str]) -> None:
        """Set values, and leave everything else where it is; only its owner can read it then.

        The file is replaced in one step: whoever reads it, or is killed meanwhile, has the old
        one or the new one.

        Args:
            values: Value by name.

        Raises:
            OSError: If it cannot be written; it is as before then.
            ValueError: See `quoted`; or it is no text in UTF-8 or the like.
        """
        text = _merged(self._text(), values)
        descriptor, temporary = tempfile.mkstemp(
            dir=self._path.parent, prefix=f".{self._path.name}."
        )  # readable by its owner alone
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(text.encode("utf-8", "surrogateescape"))
                file.flush()
                os.fsync(descriptor)
            self._keep_owner(temporary)
            Path(temporary).replace(self._path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise

    def _text(self) -> str:
        try:
            content = self._path.read_bytes()
        except FileNotFoundError:
            return ""
        if b"\0" in content:
            message = "it is no text in UTF-8"
            raise ValueError(message)
        return content.decode("utf-8", "surrogateescape")

    def _keep_owner(self, temporary: str) -> None:
        with suppress(FileNotFoundError, PermissionError):
            old = self._path.stat()
            if hasattr(os, "chown") and (old.st_uid, old.st_gid) != (os.getuid(), os.getgid()):
                os.chown(temporary, old.st_uid, old.st_gid)


def _merged(text: str, values: Mapping[str, str]) -> str:
    mark = _BYTE_ORDER_MARK if text.startswith(_BYTE_ORDER_MARK) else ""
    parts = list(_split(text.removeprefix(mark)))
    of_name: dict[str, list[re.Match[str]]] = {name: [] for name in values}
    for part in parts:
        if isinstance(part, re.Match) and _name(part) in values:
            of_name[_name(part)].append(part)
    written = []
    for part in parts:
        if isinstance(part, str) or _name(part) not in values:
            written.append(part if isinstance(part, str) else part[0])
        elif part is of_name[_name(part)][0]:
            written.append(_replaced(of_name[_name(part)], values[_name(part)]))
    merged = "".join(written)
    new = lines({name: values[name] for name, found in of_name.items() if not found})
    newline = "\r\n" if text.partition("\n")[0].endswith("\r") else "\n"
    if new and merged and not merged.endswith(("\n", "\r")):
        merged += newline
    return mark + merged + "".join(line + newline for line in new)


def _replaced(found: list[re.Match[str]], value: str) -> str:
    """Write the one line that takes the place of all assignments of a name."""
    export = "export " if any(line["export"] for line in found) else ""
    comment = f"  {found[0]['comment']}" if found[0]["comment"] else ""
    return export + lines({_name(found[0]): value})[0] + comment + found[0]["end"]


def _split(text: str) -> Iterator[re.Match[str] | str]:
    """Take a file apart into assignments, and lines that are something else."""
    place = 0
    while place < len(text):
        found = _LINE.match(text, place)
        if found:
            yield found
            place = found.end()
        else:
            other = _OTHER.match(text, place)
            assert other  # noqa: S101 - it matches anything
            yield other[0]
            place = other.end()


def _name(line: re.Match[str]) -> str:
    return str(line["quoted"] or line["plain"])
