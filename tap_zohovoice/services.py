"""What the streams of a run share: settings, session, access token, rate limits, progress."""

import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import KW_ONLY, dataclass, field
from functools import cached_property
from typing import Any

from tap_zohovoice._time import Clock, parse_date
from tap_zohovoice.auth import OAuthTokens, ThrottledAuthenticator
from tap_zohovoice.config.data_centers import SCOPE
from tap_zohovoice.config.settings import DEFAULT_START_DATE, Settings
from tap_zohovoice.exceptions import ZohoVoiceError
from tap_zohovoice.extract.page_size import PageRequester
from tap_zohovoice.http.api import ApiClient
from tap_zohovoice.http.response import parse_http_date
from tap_zohovoice.http.retry import RetryPolicy
from tap_zohovoice.http.session import PlainSession
from tap_zohovoice.progress import Reporter
from tap_zohovoice.rate_limit.limiter import SlidingWindowLimiter, SlotStore, Wait
from tap_zohovoice.rate_limit.sqlite_store import SQLiteSlotStore
from tap_zohovoice.singer.writer import MessageWriter


@dataclass(eq=False, repr=False)
class Services:
    """What the streams of a run share, created on first use: discovery has no settings."""

    config: Mapping[str, Any]
    _: KW_ONLY
    clock: Clock
    started: dt.datetime
    writer: MessageWriter
    check_scopes: Callable[[], None]  # of all selected streams, once a run
    user_agent: str
    _policies: dict[str, RetryPolicy] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        """Create what every run needs."""
        self.reporter = Reporter(self.clock, self._find_wait)

    @cached_property
    def settings(self) -> Settings:
        """The settings with defaults."""
        return Settings.from_config(self.config)

    @cached_property
    def pages(self) -> PageRequester:
        """Requests pages of the list of calls, in a size that all streams share."""
        return PageRequester(self.settings.page_size)

    @property
    def present(self) -> dt.datetime:
        """When the tap started, by the clock of the machine or a server, whichever is earliest."""
        dates = filter(None, map(parse_http_date, self.session.first_dates.values()))
        # A clock that was never set shows 1970, or the time of its firmware.
        set_after = parse_date(DEFAULT_START_DATE)
        return min([self.started, *(date for date in dates if date > set_after)])

    @cached_property
    def session(self) -> PlainSession:
        """The session, for all URLs."""
        return PlainSession(self.clock, self.settings.request_timeout)

    @cached_property
    def tokens(self) -> OAuthTokens:
        """The access token, for all URLs."""
        url = self.settings.accounts_url
        limiter = SlidingWindowLimiter(1, 1, self.clock)  # acquires no slot
        policy = RetryPolicy(limiter, lambda: False, self.settings.lock_seconds)
        return OAuthTokens(
            accounts_url=url,
            session=self.session,
            policy=self._policies.setdefault(url, policy),
            user_agent=self.user_agent,
            client_id=self.config["client_id"],
            client_secret=self.config["client_secret"],
            refresh_token=self.config["refresh_token"],
        )

    def _find_wait(self) -> Wait | None:
        waits = [policy.limiter.current_wait for policy in list(self._policies.values())]
        return next(filter(None, waits), None)

    def _slot_store(self, url: str) -> SlotStore:
        common = self.config["client_id"], url, self.settings.request_timeout, self.clock
        server = self.config.get("rate_limit_store")
        if not server:
            return SQLiteSlotStore(*common)
        try:
            from tap_zohovoice.rate_limit.redis_store import RedisStore  # noqa: PLC0415 - an extra
        except ImportError as error:
            message = "rate_limit_store needs the extra redis: pip install redis"
            raise ZohoVoiceError(message) from error
        return RedisStore(*common, server, self.settings.lock_seconds)

    def client_for(self, url: str, headers: Mapping[str, str], scope: str = SCOPE) -> ApiClient:
        """Return a client of a URL without a query."""
        tokens, settings = self.tokens, self.settings
        if url not in self._policies:  # Zoho counts the requests of each URL separately
            pace = settings.rate_limit_calls, settings.rate_limit_seconds
            limiter = SlidingWindowLimiter(*pace, self.clock, self._slot_store(url))
            self._policies[url] = RetryPolicy(limiter, tokens.invalidate, settings.lock_seconds)
        policy = self._policies[url]
        return ApiClient(
            url=url,
            headers=headers,
            session=self.session,
            authenticator=ThrottledAuthenticator(tokens=tokens, limiter=policy.limiter),
            policy=policy,
            redact=lambda: [*tokens.secrets, *settings.filters.values()],
            scope=scope,
        )
