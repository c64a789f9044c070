"""Errors that must be fixed by hand."""


class DefinitionError(Exception):
    """A part cannot be generated; the text names the part and the file."""
