"""What can only be mended by hand."""


class DefinitionError(Exception):
    """Something cannot be written; the text says what, and where."""
