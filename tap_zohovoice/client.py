"""Base class of all streams, on the SDK's `RESTStream`."""

import datetime as dt
import logging
from abc import abstractmethod
from collections.abc import Generator, Iterable, Iterator, Sequence
from functools import cached_property, partial
from itertools import islice
from typing import Any, ClassVar

import requests
from singer_sdk import Tap
from singer_sdk.helpers.conform import TypeConformanceLevel
from singer_sdk.helpers.types import Auth, Context, RequestFunc
from singer_sdk.streams import RESTStream

from tap_zohovoice._compat import override
from tap_zohovoice._time import format_timestamp, parse_date
from tap_zohovoice.config.data_centers import SCOPE
from tap_zohovoice.exceptions import ZohoVoiceError
from tap_zohovoice.http.api import ApiClient
from tap_zohovoice.http.session import ACCEPT_ENCODING
from tap_zohovoice.pagination import PageRequest, SeamPaginator
from tap_zohovoice.schemas.conversion import Record
from tap_zohovoice.services import Services
from tap_zohovoice.singer.state import lower_future_bookmark


class ZohoVoiceStream(RESTStream[Any]):
    """A stream of the REST API of Zoho Voice."""

    TYPE_CONFORMANCE_LEVEL = TypeConformanceLevel.NONE  # records already have exact types
    replication_key: str | None = None
    selected_by_default = False
    scope: ClassVar[str] = SCOPE  # required by the path
    owner_scope: ClassVar[str] = ""  # of another list that the stream reads, if there is one
    fixed_partitions: ClassVar[Sequence[dict[str, str]] | None] = ()
    """Contexts of the partitions, if there are any; None if they are known only at run time."""
    schema: ClassVar[dict[str, Any]]
    _sampled = 0
    _paginator: SeamPaginator
    _outcome: object  # of the last request: a page or an error, which the paginator receives

    def __init__(self, tap: Tap, services: Services) -> None:
        self.tap = tap
        self.services = services
        if isinstance(chosen := tap.config.get("streams"), list) and chosen:
            self.selected_by_default = self.name in chosen
        super().__init__(tap)
        # Lines for single requests are logged at DEBUG.
        self.metrics_logger = self.metrics_logger.getChild("requests")
        for logger in filter(None, (self.metrics_logger, self.metrics_logger.parent)):
            logger.addFilter(_filter_metrics)

    @property
    @override
    def url_base(self) -> str:
        return f"{self.services.settings.api_url}/rest/json/"

    @property
    @override
    def http_headers(self) -> dict[str, str]:
        return {
            "Accept": "application/json",
            "Accept-Encoding": ACCEPT_ENCODING,
            "User-Agent": self.services.user_agent,
        }

    @cached_property
    def api(self) -> ApiClient:
        """Client of the URL of the stream."""
        return self.services.client_for(self.get_url(None), self.http_headers, self.scope)

    @property
    @override
    def requests_session(self) -> requests.Session:
        return self.api.session

    @property
    @override
    def authenticator(self) -> Auth:
        return self.api.authenticator

    @property
    def is_connection_test(self) -> bool:
        """Whether a few records are enough: `--test`."""
        return self.ABORT_AT_RECORD_COUNT is not None

    @override
    def get_records(self, context: Context | None) -> Iterator[Record]:
        if not self.is_connection_test:
            self.services.check_scopes()
            yield from self.read_records(context)
        elif self.selected_by_default:  # `--test` selects all streams, whether wanted or not
            missing = (self.ABORT_AT_RECORD_COUNT or 0) - self._sampled  # one more aborts the sync
            for record in islice(self.read_sample(context), missing):
                self._sampled += 1
                yield record

    @abstractmethod
    def read_records(self, context: Context | None) -> Iterable[Record]:
        """Return all records of a sync; the scopes of all streams are checked before."""

    def read_sample(self, context: Context | None) -> Iterable[Record]:
        """Return a few records, to test the connection."""
        return self.read_records(context)

    def check_access(self) -> None:
        """Raise `MissingScopeError` if the token lacks a scope beyond that for calls."""

    @override
    def post_process(self, row: Record, context: Context | None = None) -> Record:
        # Without type conformance, the SDK does not leave out what the catalog leaves out.
        record = {name: value for name, value in row.items() if name not in self._hidden}
        extra = record.get("additional_fields") or {}
        raw = [path for path in extra if self._replaced & {path, path.partition(".")[0]}]
        if raw:  # values of another type than that of their field
            kept = {path: value for path, value in extra.items() if path not in raw}
            record["additional_fields"] = kept or None
        return record

    @cached_property
    def _hidden(self) -> set[str]:
        """Fields, and members of objects with a dot, that the catalog leaves out or deselects."""
        declared = self.effective_schema["properties"]
        left_out = {name for name in self.schema["properties"] if name not in declared}
        return left_out | {".".join(path[1::2]) for path, chosen in self.mask.items() if not chosen}

    @cached_property
    def _replaced(self) -> set[str]:
        """Hidden fields, and those of all stream maps, whose raw values must not be emitted."""
        maps = self.config.get("stream_maps", {}).values()
        return self._hidden.union(*(fields for fields in maps if isinstance(fields, dict)))

    def record_key(self, record: Record) -> str:
        """Return the key of a record as one text."""
        return "|".join(str(record[name]) for name in self.primary_keys)

    @override
    def log(self, message: str, *args: Any, level: int = logging.INFO, **kwargs: Any) -> None:
        # The SDK logs each error as unhandled; the command line reports it, once and plainly.
        level = logging.DEBUG if level == logging.ERROR else level
        super().log(message, *args, level=level, **kwargs)

    # --- the SDK's request loop ---

    @abstractmethod
    def read_pages(self) -> Generator[Any, Any, None]:
        """Yield page requests, each of which gets what `parse_page` returns, and results."""

    @abstractmethod
    def parse_page(self, request: PageRequest, body: dict[str, Any]) -> object:
        """Parse a response, or raise `UnexpectedResponseError`."""

    @override
    def get_new_paginator(self) -> SeamPaginator:
        self._paginator = SeamPaginator(self.read_pages())
        return self._paginator

    @override
    def get_url_params(self, context: Context | None, next_page_token: Any) -> dict[str, str]:
        request: PageRequest = next_page_token
        return request.to_query_params()

    @override
    def build_prepared_request(self, *args: Any, **kwargs: Any) -> requests.PreparedRequest:
        # The SDK signs here and again when it sends, so that each request would take two slots.
        return requests.Request(*args, **kwargs).prepare()

    @override
    def request_decorator(self, func: RequestFunc) -> RequestFunc:
        def request(*args: Any) -> requests.Response:  # noqa: ANN401 - the SDK's
            try:
                limits = self._paginator.current_value.retry_limits
                return self.api.retry(partial(func, *args), limits)
            except ZohoVoiceError as error:
                self._outcome = error  # the paginator's flow recovers from it, or raises it
                return requests.Response()

        return request

    @override
    def validate_response(self, response: requests.Response) -> None:
        parse = partial(self.parse_page, self._paginator.current_value)
        self._outcome = self.api.parse_json(response, parse)

    @override
    def parse_response(self, response: requests.Response) -> Iterator[Any]:
        yield from self._paginator.receive(self._outcome)

    # --- bookmarks ---

    @cached_property
    def max_bookmark(self) -> str:
        """The latest possible bookmark, known after the first response."""
        return format_timestamp(self.services.present)

    def get_starting_time(self, context: Context | None) -> dt.datetime:
        """Return from when to read rows: the bookmark minus the lookback."""
        settings, state = self.services.settings, self.get_context_state(context)
        if state.get("replication_key_value"):
            self.services.tokens.access_token()  # the first response has the server's time
            lower_future_bookmark(self.name, state, self.services.present)
        value = state.get("replication_key_value")
        bookmark = max(settings.start, parse_date(value)) if value else settings.start
        return max(settings.start, bookmark - settings.lookback)

    def advance_bookmark(self, timestamp: str, context: Context | None) -> None:
        """Advance the bookmark after all earlier records, but not back or into the future."""
        # The clock of a phone may be ahead.
        state, latest = self.get_context_state(context), min(timestamp, self.max_bookmark)
        if latest > (state.get("replication_key_value") or "") and not self.is_connection_test:
            state.update(replication_key=self.replication_key, replication_key_value=latest)

    def write_state(self) -> None:
        """Write STATE after all records that it covers are emitted."""
        self.tap.state_writer.write_state(self.tap_state)

    @override
    def _increment_stream_state(self, *_: Any, **__: Any) -> None:
        """Keep single records from moving the bookmark; the SDK has no public hook for that."""

    @override
    def _process_record(self, *_: Any, **__: Any) -> None:
        """Add no context, whose fields a catalog may leave out; there are no children either."""


def _filter_metrics(record: logging.LogRecord) -> bool:
    """Remove the ids of agents, queues and campaigns, and log single requests at DEBUG."""
    for point in record.args or ():
        getattr(point, "tags", {}).pop("context", None)
    if record.name.endswith(".requests"):
        record.levelno, record.levelname = logging.DEBUG, logging.getLevelName(logging.DEBUG)
    return logging.getLogger(record.name).isEnabledFor(record.levelno)
