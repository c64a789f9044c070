"""Validation of query parameters, in the way all endpoints of the API share."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    import re
    from collections.abc import Mapping

    from zoho_voice_sandbox.dialect import Dialect


class InvalidParameterError(Exception):
    """A request with an unknown parameter or an invalid value.

    Attributes:
        code: Zoho's error code.
        message: Zoho's error message.
        parameter: The parameter that the message names, empty if it names none.
    """

    def __init__(self, code: str, message: str, parameter: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.parameter = parameter


def validate_params(
    params: Mapping[str, str], patterns: Mapping[str, re.Pattern[str]], dialect: Dialect
) -> None:
    """Validate names and values; known parameters may be empty.

    Raises:
        InvalidParameterError: If a parameter is unknown or its value does not match its pattern.
    """
    for name, value in params.items():
        if name not in patterns:
            code = "ZVT010"
            raise InvalidParameterError(code, f"Extra parameter found: {name[:40]}", name)
        if value and not patterns[name].fullmatch(value):
            reject_value(name, dialect)


def reject_value(name: str, dialect: Dialect) -> NoReturn:
    """Reject the value of a parameter.

    Args:
        name: The parameter, empty if the message does not name it.
        dialect: May forbid that the message names it.

    Raises:
        InvalidParameterError: Always.
    """
    if dialect.bad_value_message == "neutral":
        name = ""
    message = f"Invalid value for parameter: {name}" if name else "Invalid request."
    code = "ZVT015"
    raise InvalidParameterError(code, message, name)
