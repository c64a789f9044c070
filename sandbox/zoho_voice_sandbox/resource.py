"""An endpoint that lists the rows of one kind."""

from __future__ import annotations

import re
import threading
from copy import deepcopy
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, Literal

from zoho_voice_sandbox.params import InvalidParameterError, validate_params
from zoho_voice_sandbox.responses import empty_response, error_response, json_response
from zoho_voice_sandbox.row_forms import rewrite
from zoho_voice_sandbox.row_order import order_places

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from werkzeug import Response

    from zoho_voice_sandbox.calls import Row
    from zoho_voice_sandbox.dialect import Dialect
    from zoho_voice_sandbox.filters import Parameter
    from zoho_voice_sandbox.paging import Paging


@dataclass(frozen=True)
class Resource:
    """The declaration of a list.

    Attributes:
        rows_key: The key of the rows in a response.
        key: The key of a row that identifies it.
        paging: How the list is paged.
        parameters: The parameters beside those of paging.
        total: Whether `meta.total` is documented: always, -1 unless `totalCount` asks for it, or
            never.
        success: What a success holds beside the rows.
        ids: Keys of ids, which may be numbers.
        numbers: Keys of numbers, which may be in other forms.
        sort: The key by which a value of `sortBy` sorts.
        finish: Turns a row into those that the dialect sends.
        is_ordered: Whether the rows are by time, and are sent in the order of the dialect.
    """

    rows_key: str
    key: str
    paging: Paging
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    total: Literal["always", "on_request", "never"] = "never"
    success: Mapping[str, str] = field(default_factory=lambda: {"code": "200", "status": "SUCCESS"})
    ids: frozenset[str] = frozenset()
    numbers: frozenset[str] = frozenset()
    sort: Mapping[str, str] = field(default_factory=dict)
    finish: Callable[[Row, Dialect], Iterable[Row]] | None = None
    is_ordered: bool = False


class ResourceRows:
    """The rows of a list, which tests may change; they are built when they are first used."""

    def __init__(self, rows: Iterable[Row], key: str) -> None:
        self._source = rows
        self._built: list[Row] | None = None
        self._key = key
        self._mutex = threading.Lock()

    def __len__(self) -> int:
        """Return the number of rows."""
        with self._mutex:
            return len(self._rows)

    def rows(self) -> list[Row]:
        """Return all rows, which must not be changed."""
        with self._mutex:
            return list(self._rows)

    def add(self, row: Row, *, place: int | None = None) -> None:
        """Add a row as it is, by default at the end."""
        with self._mutex:
            rows = self._rows
            rows.insert(len(rows) if place is None else place, deepcopy(row))

    def remove(self, key: str) -> None:
        """Remove the rows with this value of the key.

        Raises:
            KeyError: If there is none.
        """
        with self._mutex:
            rows = self._rows
            kept = [row for row in rows if row.get(self._key) != key]
            if len(kept) == len(rows):
                raise KeyError(key)
            self._built = kept

    @property
    def _rows(self) -> list[Row]:
        # Most accounts are asked for few of their lists, if for any. Held by the mutex.
        if self._built is None:
            self._built = list(self._source)
        return self._built


class ResourceHandler:
    """Responds to requests for a list.

    Attributes:
        rows: The rows.
    """

    def __init__(
        self,
        resource: Resource,
        rows: Iterable[Row],
        current: Callable[[list[Row]], Iterable[Row]] = iter,
    ) -> None:
        """Create the handler.

        Args:
            resource: The declaration of the list.
            rows: Its rows at the start.
            current: Returns those rows as they are at the moment of a request.
        """
        self._resource = resource
        self.rows = ResourceRows(rows, resource.key)
        self._current = current
        self._requests = count(1)
        patterns = {name: param.pattern for name, param in resource.parameters.items()}
        patterns |= resource.paging.patterns
        self._patterns = {name: re.compile(text, re.ASCII) for name, text in patterns.items()}

    def handle(self, params: Mapping[str, str], dialect: Dialect) -> Response:
        """Respond to a request with these parameters."""
        resource = self._resource
        try:
            validate_params(params, self._patterns, dialect)
            rows = self._select(params, dialect)
            offsets = resource.paging.offsets(params, dialect, len(rows))
        except InvalidParameterError as error:
            return error_response(error.code, error.message)
        places = self._places(len(rows), offsets, dialect)
        sent = [rewrite(rows[place], resource.ids, resource.numbers, dialect) for place in places]
        if not sent and dialect.rows_form in {"no_content", "body", "bare_list", "error"}:
            return empty_response(dialect.rows_form)
        total = self._total(len(rows), params, dialect)
        body: dict[str, object] = {} if total is None else {"meta": {"total": total}}
        if sent or dialect.rows_form != "missing":
            body[resource.rows_key] = sent if sent or dialect.rows_form == "list" else None
        return json_response({**body, **resource.success})

    def _select(self, params: Mapping[str, str], dialect: Dialect) -> list[Row]:
        """Return all rows that match, in their order."""
        resource = self._resource
        predicates = [
            parameter.build(params.get(name, ""), dialect)
            for name, parameter in resource.parameters.items()
            if parameter.build and (params.get(name) or parameter.is_implied)
        ]
        finish = resource.finish or (lambda row, _dialect: [row])
        rows = [
            sent
            for row in self._current(self.rows.rows())
            if all(matches(row) for matches in predicates)
            for sent in finish(row, dialect)
        ]
        if by := resource.sort.get(params.get("sortBy", "")):
            rows.sort(key=lambda row: str(row.get(by, "")))
        return rows

    def _places(self, length: int, offsets: range, dialect: Dialect) -> Sequence[int]:
        if not self._resource.is_ordered:
            return offsets
        return order_places(length, offsets, dialect, next(self._requests))

    def _total(self, length: int, params: Mapping[str, str], dialect: Dialect) -> int | None:
        if dialect.list_total == "absent" or self._resource.total == "never":
            return None
        is_asked = self._resource.total == "always" or params.get("totalCount") == "true"
        return length if is_asked and dialect.list_total == "documented" else -1
