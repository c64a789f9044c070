"""The folder that files of recordings go to: on this machine, or wherever fsspec reaches."""

from tap_zohovoice.folders.base import Draft, Folder, FolderError, Stored
from tap_zohovoice.folders.choice import folder_at, is_url, trouble_with

__all__ = ["Draft", "Folder", "FolderError", "Stored", "folder_at", "is_url", "trouble_with"]
