"""The folder that files of recordings go to: on this machine, or wherever fsspec reaches."""

from tap_zohovoice.recordings.storage.base import Draft, Folder, StoredFile
from tap_zohovoice.recordings.storage.choice import is_url, open_storage, trouble_with

__all__ = [
    "Draft",
    "Folder",
    "StorageError",
    "StoredFile",
    "is_url",
    "open_storage",
    "trouble_with",
]
