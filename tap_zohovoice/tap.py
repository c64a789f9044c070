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
from tap_zohovoice.cli.command import TapCommand
from tap_zohovoice.cli.signals import GracefulShutdown
from tap_zohovoice.client import Services
from tap_zohovoice.config.settings import CONFIG_SCHEMA
from tap_zohovoice.config.validation import parse_env, validation_errors
from tap_zohovoice.singer.state import load_catalog, load_state
from tap_zohovoice.singer.stream_maps import build_mapper
from tap_zohovoice.singer.writer import MessageWriter
from tap_zohovoice.streams.call_logs import CallLogsStream
from tap_zohovoice.streams.recordings import RecordingsStream
from tap_zohovoice.streams.transcripts import TranscriptsStream

if TYPE_CHECKING:
    from collections.abc import Sequence

    import click
    from singer_sdk.helpers.capabilities import CapabilitiesEnum
    from singer_sdk.streams import Stream

_STREAMS = (CallLogsStream, RecordingsStream, TranscriptsStream)
_KINDS = ({"kind": "recording"}, {"kind": "voicemail"})
_PARTITIONS = {"call_logs": (), "recordings": _KINDS, "transcripts": _KINDS}
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
        stopper = GracefulShutdown(self.write_last_state)
        self.writer = MessageWriter(stopper.deferred)
        try:
            # The SDK's own check of the settings would quote their values, secret or not.
            super().__init__(
                config=config,
                catalog=load_catalog(catalog),
                state=load_state(state, self.started, _PARTITIONS),
                parse_env_config=parse_env_config,
                validate_config=False,
                setup_mapper=False,
                message_writer=self.writer,
            )
        except ValueError as error:
            values, errors = parse_env(os.environ, CONFIG_SCHEMA, f"{self.name}_")
            if not errors or not parse_env_config:
                raise
            errors += validation_errors({**(config or {}), **values}, CONFIG_SCHEMA)
            raise ConfigValidationError(_INVALID, errors=errors) from error
        stopper.install()
        if validate_config and (
            errors := validation_errors(dict(self.config), self.config_jsonschema)
        ):
            raise ConfigValidationError(_INVALID, errors=errors)
        if setup_mapper:
            self.setup_mapper()

    @classmethod
    @override
    def append_builtin_config(cls, config_jsonschema: dict[str, Any]) -> None:
        super().append_builtin_config(config_jsonschema)
        # The SDK's schema of the maps is invalid JSON Schema, at which its own check may crash.
        properties = config_jsonschema["properties"]
        shown = ("type", "title", "description")
        properties["stream_maps"] = {name: properties["stream_maps"][name] for name in shown}

    @override
    def setup_mapper(self) -> None:
        self.mapper = build_mapper(self.config, self.catalog, self.logger)

    @override
    def discover_streams(self) -> Sequence[Stream]:
        return [stream(self, self.services) for stream in _STREAMS]

    @cached_property
    def services(self) -> Services:
        """What the streams share."""
        return Services(
            self.config,
            clock=self.clock,
            started=self.started,
            writer=self.writer,
            user_agent=f"{self.name}/{self.plugin_version}",
        )

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


# Since 0.55 the SDK adds its own settings to a copy, which validation does not see.
TapZohoVoice.append_builtin_config(TapZohoVoice.config_jsonschema)
