"""The SDK's own tests of a tap, against the sandbox, and the private members it overrides."""

import inspect
from collections.abc import Iterator

import pytest
from singer_sdk import Tap
from singer_sdk.plugin_base import PluginBase
from singer_sdk.streams import Stream
from singer_sdk.testing import SuiteConfig, get_tap_test_class

from tap_zohovoice.config.settings import STREAM_NAMES
from tap_zohovoice.tap import TapZohoVoice
from tests.support.calls import history
from tests.support.redis_server import free_port
from zoho_voice_sandbox import Dialect, Sandbox
from zoho_voice_sandbox.token_endpoint import OAuthClient

# A dry run fetches no file, so some fields have no value. Whether the suite warns depends on
# the field that it looks at first, since it keeps the values of that one for all.
pytestmark = pytest.mark.filterwarnings("ignore:No records were available to test")


# The suite wants the settings before any fixture runs, so the port is chosen beforehand.
_PORT = free_port()
_URL = f"http://127.0.0.1:{_PORT}"
_CLIENT = OAuthClient()


@pytest.fixture(scope="module", autouse=True)
def box() -> Iterator[Sandbox]:
    dialect = Dialect(limit_calls=10_000, tokens_limit=10_000)
    with Sandbox(history=history(200), dialect=dialect, port=_PORT) as running:
        yield running


TestStandardSuite = get_tap_test_class(
    TapZohoVoice,
    config={
        "client_id": _CLIENT.client_id,
        "client_secret": _CLIENT.client_secret,
        "refresh_token": _CLIENT.refresh_token,
        "accounts_url": _URL,
        "api_url": _URL,
        "start_date": "2025-01-01T00:00:00Z",
        "rate_limit_calls": 10_000,
        "streams": list(STREAM_NAMES),
    },
    suite_config=SuiteConfig(max_records_limit=20),
    parse_env_config=False,
)


def test_sdk_moves_bookmarks_where_it_is_overridden() -> None:
    method = Stream._increment_stream_state  # noqa: SLF001
    assert list(inspect.signature(method).parameters) == ["self", "latest_record", "context"]
    assert "_increment_stream_state(" in inspect.getsource(Stream._sync_records)  # noqa: SLF001


def test_sdk_adds_contexts_to_records_where_it_is_overridden() -> None:
    source = inspect.getsource(Stream._process_record)  # noqa: SLF001
    assert "record[key] = val" in source
    assert "self._process_record(" in inspect.getsource(Stream._sync_records)  # noqa: SLF001


def test_sdk_installs_signal_handlers_where_it_is_overridden() -> None:
    assert list(inspect.signature(Tap._setup_signal_handlers).parameters) == ["self"]  # noqa: SLF001
    assert "self._setup_signal_handlers()" in inspect.getsource(PluginBase.__init__)
