"""Which kind of folder a setting means."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

from tap_zohovoice.exceptions import StorageError
from tap_zohovoice.recordings.storage.base import told_plainly
from tap_zohovoice.recordings.storage.local import LocalStorage

if TYPE_CHECKING:
    from tap_zohovoice.recordings.storage.base import Folder


def is_url(path: str) -> bool:
    """Tell whether a setting is an address rather than a path.

    Args:
        path: The setting.
    """
    return bool(re.match(r"[A-Za-z][A-Za-z0-9+.-]+:(?://|:)", path))


def trouble_with(path: str) -> str:
    """Tell why a setting cannot be a folder, as far as its text shows.

    Args:
        path: The setting.

    Returns:
        A plain line, empty if nothing is wrong.
    """
    if path.lower().startswith("file:") and not path.lower().startswith("file:///"):
        return "recordings_path: write a path, or an address such as file:///srv/calls"
    if not is_url(path):
        return ""
    try:
        import fsspec  # noqa: PLC0415 - an extra, of use for addresses alone
    except ImportError:
        return "recordings_path: install 'tap-zohovoice[recordings]' for addresses"
    for part in path.split("::"):
        scheme = part.partition("://")[0]
        try:
            fsspec.get_filesystem_class(scheme)
        except ValueError:
            return f"recordings_path: fsspec knows no {scheme}"
        except ImportError:
            return f"recordings_path: fsspec has no driver for {scheme} installed"
    return ""


def open_storage(path: str) -> Folder:
    """Return the folder that a setting means.

    Args:
        path: A path of this machine, or an address that fsspec knows, such as `s3://bucket/calls`.

    Raises:
        StorageError: If fsspec or its driver is missing, or the address is of no use.
    """
    if trouble := trouble_with(path):
        raise StorageError(trouble)
    if path.lower().startswith("file:///"):
        path = unquote(path.removeprefix(path[: len("file://")]))
    if not is_url(path):
        return LocalStorage(Path(path).expanduser().absolute())
    import fsspec  # noqa: PLC0415 - as above

    from tap_zohovoice.recordings.storage.remote import FsspecStorage  # noqa: PLC0415 - needs it

    with told_plainly():
        system, root = fsspec.core.url_to_fs(path)
        return FsspecStorage(system, root)
