"""The tap: its settings and streams, and the one clock, session, token and throttle they share."""

from __future__ import annotations

import datetime as dt
import os
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from singer_sdk import Tap
from singer_sdk.exceptions import ConfigValidationError
from singer_sdk.helpers.capabilities import PluginCapabilities, TapCapabilities

from tap_zohovoice._compat import override
from tap_zohovoice._time import Clock
from tap_zohovoice.auth import OAuthTokens, ThrottledAuthenticator, TokenEndpoint
from tap_zohovoice.cli.command import TapCommand
from tap_zohovoice.cli.signals import GracefulShutdown
from tap_zohovoice.config.settings import CONFIG_SCHEMA, Settings
from tap_zohovoice.config.validation import parse_env, problems
from tap_zohovoice.http.session import ThrottledSession
from tap_zohovoice.rate_limit.limiter import SlidingWindowLimiter
from tap_zohovoice.rate_limit.store import SQLiteSlotStore
from tap_zohovoice.singer.state import load_catalog, load_state
from tap_zohovoice.singer.writer import MessageWriter
from tap_zohovoice.streams.call_logs import CallLogsStream
from tap_zohovoice.streams.recordings import RecordingsStream
from tap_zohovoice.streams.transcripts import TranscriptsStream

if TYPE_CHECKING:
    from collections.abc import Sequence

    import click
    import requests
    from singer_sdk.helpers.capabilities import CapabilitiesEnum
    from singer_sdk.streams import Stream

_STREAMS = {CallLogsStream.name, RecordingsStream.name, TranscriptsStream.name}
_INVALID = "Config validation failed"


class TapZohoVoice(Tap):
    """Singer tap for Zoho Voice: every call of an account, once, into any target."""

    name = "tap-zohovoice"
    config_jsonschema: ClassVar[dict[str, Any]] = CONFIG_SCHEMA
    # BATCH is left out on purpose: its files would let STATE run ahead of what a target has.
    capabilities: ClassVar[list[CapabilitiesEnum]] = [
        TapCapabilities.CATALOG,
        TapCapabilities.STATE,
        TapCapabilities.DISCOVER,
        PluginCapabilities.ABOUT,
        PluginCapabilities.STREAM_MAPS,
        PluginCapabilities.FLATTENING,
        PluginCapabilities.STRUCTURED_LOGGING,
    ]
    clock: ClassVar[Clock] = Clock()

    def __init__(  # noqa: PLR0913 - the signature is the SDK's
        self,
        *,
        config: dict[str, Any] | None = None,
        catalog: Any = None,  # noqa: ANN401
        state: dict[str, Any] | None = None,
        parse_env_config: bool = False,
        validate_config: bool = True,
        setup_mapper: bool = True,
    ) -> None:
        """Make the tap.

        Args:
            config: Settings.
            catalog: Singer catalog.
            state: Singer state.
            parse_env_config: Whether to read settings from the environment too.
            validate_config: Whether wrong settings are an error.
            setup_mapper: Whether stream maps are applied.

        Raises:
            ConfigValidationError: If settings are wrong; its errors are one line each.
        """
        self.started = dt.datetime.fromtimestamp(self.clock.now(), dt.UTC)
        self._throttles: dict[str, SlidingWindowLimiter] = {}
        stopper = GracefulShutdown(self.write_last_state)
        self.writer = MessageWriter(stopper)
        try:
            # The SDK's own check of the settings would quote their values, secret or not.
            super().__init__(
                config=config,
                catalog=load_catalog(catalog),
                state=load_state(state, self.started, _STREAMS),
                parse_env_config=parse_env_config,
                validate_config=False,
                setup_mapper=False,
                message_writer=self.writer,
            )
        except ValueError as error:
            values, errors = parse_env(os.environ, CONFIG_SCHEMA, f"{self.name}_")
            if not errors or not parse_env_config:
                raise
            errors += problems({**(config or {}), **values}, CONFIG_SCHEMA)
            raise ConfigValidationError(_INVALID, errors=errors) from error
        stopper.install()
        if validate_config and (errors := problems(dict(self.config), self.config_jsonschema)):
            raise ConfigValidationError(_INVALID, errors=errors)
        if setup_mapper:
            self.setup_mapper()

    @override
    def discover_streams(self) -> Sequence[Stream]:
        calls = CallLogsStream(self)
        return [calls, RecordingsStream(self, calls), TranscriptsStream(self, calls)]

    @cached_property
    def settings(self) -> Settings:
        """The settings with defaults filled in."""
        return Settings.of(self.config)

    @cached_property
    def user_agent(self) -> str:
        """How the tap names itself; the SDK searches all packages for the version each time."""
        return self.config.get("user_agent") or f"{self.name}/{self.plugin_version}"

    @cached_property
    def session(self) -> requests.Session:
        """The connections to Zoho Voice, shared by all streams."""
        return ThrottledSession()

    @cached_property
    def tokens(self) -> OAuthTokens:
        """The access token, shared by all streams."""
        endpoint = TokenEndpoint(
            accounts_url=self.settings.accounts_url,
            clock=self.clock,
            timeout=self.settings.request_timeout,
            user_agent=self.user_agent,
        )
        return OAuthTokens(
            endpoint=endpoint,
            client_id=self.config["client_id"],
            client_secret=self.config["client_secret"],
            refresh_token=self.config["refresh_token"],
            clock=self.clock,
        )

    def throttle_for(self, url: str) -> SlidingWindowLimiter:
        """Return the throttle of a URL, since Zoho counts each URL by itself.

        Args:
            url: The URL, without a query.
        """
        if url not in self._throttles:
            settings = self.settings
            shared = SQLiteSlotStore(
                self.config["client_id"], url, settings.request_timeout, self.clock
            )
            self._throttles[url] = SlidingWindowLimiter(
                settings.rate_limit_calls, settings.rate_limit_seconds, self.clock, shared
            )
        return self._throttles[url]

    def authenticator_for(self, throttle: SlidingWindowLimiter) -> ThrottledAuthenticator:
        """Return an authenticator that lets requests pass as a throttle allows.

        Args:
            throttle: The throttle of the URL that is asked.
        """
        return ThrottledAuthenticator(tokens=self.tokens, limiter=throttle)

    def write_last_state(self) -> None:
        """Write what is known to be out, before the tap is stopped."""
        if self.state:
            self.state_writer.write_state(self.state)

    @classmethod
    @override
    def cb_config(cls, ctx: click.Context, param: click.Option, value: tuple[str, ...]) -> Any:
        try:
            return super().cb_config(ctx, param, value)
        except TypeError as error:
            message = "--config is not a JSON object"
            raise ConfigValidationError(message, errors=[message]) from error

    @classmethod
    @override
    def get_singer_command(cls) -> click.Command:
        return TapCommand.from_command(super().get_singer_command(), cls.logger)
