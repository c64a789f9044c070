"""The Singer tap: its streams, its inputs and its command line."""

import io
import sys
from collections.abc import Sequence
from functools import cache, cached_property
from typing import IO, Any, ClassVar

import click
import simplejson
from dotenv import find_dotenv, load_dotenv
from singer_sdk import Tap
from singer_sdk.cli import plugin_cli
from singer_sdk.helpers.capabilities import CapabilitiesEnum, PluginCapabilities, TapCapabilities
from singer_sdk.streams import Stream

from tap_zohovoice._compat import override
from tap_zohovoice._time import Clock
from tap_zohovoice.cli.command import (
    GracefulShutdown,
    TapCommand,
    drop_invalid_log_levels,
    input_file,
)
from tap_zohovoice.client import ZohoVoiceStream
from tap_zohovoice.config.settings import CONFIG_SCHEMA
from tap_zohovoice.config.validation import clean_settings, parse_env, validation_errors
from tap_zohovoice.exceptions import InvalidInputError, MissingScopeError, ZohoVoiceError
from tap_zohovoice.progress import Snapshot
from tap_zohovoice.services import Services
from tap_zohovoice.singer.state import load_catalog, load_state
from tap_zohovoice.singer.stream_maps import build_mapper
from tap_zohovoice.singer.writer import MessageWriter
from tap_zohovoice.streams.call_logs import CallLogsStream
from tap_zohovoice.streams.directory import DIRECTORY_STREAMS, SmsLogsStream
from tap_zohovoice.streams.owned import CALL_LINK_STREAMS, AgentStatusChangesStream
from tap_zohovoice.streams.recordings import RecordingsStream
from tap_zohovoice.streams.transcripts import TranscriptsStream

STREAMS = (
    *(CallLogsStream, RecordingsStream, TranscriptsStream, *CALL_LINK_STREAMS),
    *(*DIRECTORY_STREAMS, SmsLogsStream, AgentStatusChangesStream),
)

_HELP = """
tap-zohovoice-authorize gets a refresh token. --about lists the settings; --config=ENV reads them
from variables such as TAP_ZOHOVOICE_CLIENT_ID. The documentation is in README.md and docs/ of the
repository.
"""


class TapZohoVoice(Tap):
    """Singer tap for Zoho Voice: every call of an account, once, into any target."""

    name = "tap-zohovoice"
    config_jsonschema: ClassVar[dict[str, Any]] = CONFIG_SCHEMA
    # No BATCH: the tap would emit STATE before the target has stored the files.
    capabilities: ClassVar[list[CapabilitiesEnum]] = [
        *(TapCapabilities.CATALOG, TapCapabilities.STATE, TapCapabilities.DISCOVER),
        *(PluginCapabilities.ABOUT, PluginCapabilities.STREAM_MAPS),
        *(PluginCapabilities.FLATTENING, PluginCapabilities.STRUCTURED_LOGGING),
    ]
    clock: ClassVar[Clock] = Clock()

    def __init__(
        self,
        *,
        config: dict[str, Any] | None = None,
        catalog: Any = None,  # noqa: ANN401
        state: dict[str, Any] | None = None,
        parse_env_config: bool = False,
        validate_config: bool = True,
        **options: Any,  # noqa: ANN401 - the SDK's
    ) -> None:
        """Create the tap, or raise `InvalidInputError` with one line for each invalid input."""
        self.started = self.clock.utcnow()
        settings = clean_settings(config or {})
        if parse_env_config:
            path = find_dotenv()
            with input_file(path, "text"):
                load_dotenv(path, encoding="utf-8-sig")
            settings |= clean_settings(parse_env(self.config_jsonschema))
        errors = validation_errors(settings, self.config_jsonschema, self.started)
        if errors and validate_config:  # discovery needs no settings
            raise InvalidInputError(*errors)
        self._shutdown = GracefulShutdown(self.write_last_state)
        self.writer = MessageWriter(self._shutdown.deferred)
        with self._shutdown.deferred():  # until there is a state
            # The SDK's own check of the settings would quote their values, secret or not.
            super().__init__(
                config=settings,
                catalog=load_catalog(catalog, STREAMS),
                state=load_state(state, self.started, STREAMS),
                validate_config=False,
                message_writer=self.writer,
                **options,
            )

    @override
    def _setup_signal_handlers(self) -> None:
        self._shutdown.install()  # the SDK's own would end with exit code 0

    @override
    def setup_mapper(self) -> None:
        self.mapper = build_mapper(self.config, self.catalog, self.logger)
        if self.input_catalog is not None:
            if not any(stream.selected for stream in self.streams.values()):
                self.logger.warning("The catalog selects no stream of the tap; nothing is read")
            if self.config.get("streams"):
                self.logger.warning("The setting streams is ignored because there is a catalog")
        if self.config.get("recordings_path") and not self.streams["recordings"].selected:
            self.logger.warning(
                "recordings_path is set, but the stream recordings is not selected: no file is "
                "downloaded"
            )

    @override
    def discover_streams(self) -> Sequence[Stream]:
        return [stream(self, self.services) for stream in STREAMS]

    @cached_property
    def services(self) -> Services:
        """What the streams share."""
        return Services(
            self.config,
            clock=self.clock,
            started=self.started,
            writer=self.writer,
            check_scopes=cache(self.check_scopes),
            user_agent=self.config.get("user_agent") or f"{self.name}/{self.plugin_version}",
        )

    def check_scopes(self) -> None:
        """Raise `MissingScopeError` if the token lacks scopes that selected streams need."""
        missing: dict[str, list[str]] = {}  # names of streams by scope
        with self.services.reporter.task(lambda: Snapshot("access", "checking access")):
            for stream in self.streams.values():
                if isinstance(stream, ZohoVoiceStream) and stream.selected:
                    try:
                        stream.check_access()
                    except MissingScopeError as error:
                        missing.setdefault(error.scope, []).append(stream.name)
                    except ZohoVoiceError as error:  # before any stream begins
                        suffix = "" if error.concerns_all else f" (stream {stream.name})"
                        message = f"{error}{suffix}"
                        raise ZohoVoiceError(message) from error
        if missing:
            listed = "; ".join(f"{scope} for {', '.join(of)}" for scope, of in missing.items())
            advice = "Create a new token with them, or deselect these streams"
            message = f"The refresh token lacks scopes: {listed}. {advice}"
            raise MissingScopeError(message)

    def write_last_state(self, name: str) -> None:
        """Write the state of the emitted records before the tap stops by a signal."""
        if self.state:
            self.state_writer.write_state(self.state)
        self.logger.warning("Stopped by %s; the next run can continue from the last STATE", name)

    @classmethod
    @override
    def cb_config(cls, ctx: click.Context, param: click.Option, value: tuple[str, ...]) -> Any:
        with input_file("--config"):
            return super().cb_config(ctx, param, value)

    @classmethod
    @override
    def cb_test(cls, ctx: click.Context, param: click.Option, value: str) -> None:
        try:
            super().cb_test(ctx, param, value)
        except click.exceptions.Exit:
            cls.logger.info("The test was successful")
            raise

    @classmethod
    @override
    def get_singer_command(cls) -> click.Command:
        command = super().get_singer_command()
        for option in command.params:
            if option.name in {"catalog", "state"}:
                option.type = click.File(encoding="utf-8-sig")
                option.callback = _check_json
        names = ("name", "callback", "context_settings", "params", "help")
        copied = {name: getattr(command, name) for name in names}
        return TapCommand(**copied, logger=cls.logger, epilog=_HELP)

    @plugin_cli
    @override
    def cli(cls) -> click.Command:  # noqa: N805 - the decorator passes the class
        drop_invalid_log_levels(cls.logger)
        try:
            return super().cli
        except Exception as error:  # noqa: BLE001 - depends on the file
            kind = type(error).__name__
            sys.exit(f"The file that SINGER_SDK_LOG_CONFIG names is invalid ({kind})")


def _check_json(_ctx: click.Context, param: click.Parameter, file: IO[str] | None) -> Any:  # noqa: ANN401
    """Read a file of JSON, which the SDK parses with the same library."""
    if file is None:
        return None
    with input_file(param.opts[0]), file:
        text = file.read()
        simplejson.loads(text)
    return io.StringIO(text)


# Since 0.55 the SDK adds its own settings to a copy, which validation does not see.
TapZohoVoice.append_builtin_config(TapZohoVoice.config_jsonschema)


if __name__ == "__main__":
    TapZohoVoice.cli()
