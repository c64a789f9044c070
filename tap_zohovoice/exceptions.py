"""What can end a request, or the run."""

from __future__ import annotations

import os
import traceback


class ZohoVoiceError(Exception):
    """Something that ends the run; its text is one plain line that says what to do.

    Attributes:
        brief: What one answer said, without advice, where it was an answer to one question.
        is_outage: Whether no service answered.
    """

    def __init__(self, text: str = "", *, brief: str = "", is_outage: bool = False) -> None:
        super().__init__(text)
        self.brief = brief
        self.is_outage = is_outage


class RetriesExhaustedError(ZohoVoiceError):
    """The server gave no usable answer, however often it was asked."""


class RateLimitLockoutError(ZohoVoiceError):
    """The server is locked, for longer or more often than is waited for."""


class UnexpectedResponseError(Exception):
    """An answer that is no error, but not what it should be either."""


class InvalidParameterError(ZohoVoiceError):
    """The server refuses a value that was asked for: a size, an offset, dates.

    Attributes:
        blames: `size` or `dates` where the answer names what it refuses, else an empty text.
        is_value: Whether the answer says that it was a value (`ZVT015`).
    """

    def __init__(
        self, text: str, *, blames: str = "", is_value: bool = False, brief: str = ""
    ) -> None:
        super().__init__(text, brief=brief)
        self.blames = blames
        self.is_value = is_value


def unexpected(error: Exception) -> str:
    """Describe a mistake of the tap by its place, since its text may hold personal data.

    Args:
        error: The error, which was raised.

    Returns:
        One plain line.
    """
    place = traceback.extract_tb(error.__traceback__)[-1]
    where = f"{os.path.basename(place.filename)}:{place.lineno}"  # noqa: PTH119
    kind = type(error).__name__
    return f"Unexpected {kind} at {where}; please report this as a bug of the tap"
