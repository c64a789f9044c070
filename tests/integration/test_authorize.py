"""The command `tap-zohovoice-authorize`, against the sandbox."""

import io
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from importlib.metadata import entry_points
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeAlias
from unittest.mock import Mock

import pytest
from dotenv import dotenv_values
from requests_mock import Mocker

from tap_zohovoice._time import Clock
from tap_zohovoice.cli.authorize import main
from tap_zohovoice.config.data_centers import DATA_CENTERS
from tap_zohovoice.rate_limit.limiter import SlidingWindowLimiter
from tap_zohovoice.rate_limit.sqlite_store import SQLiteSlotStore
from tap_zohovoice.tap import TapZohoVoice
from tests.support.account import read_cases
from tests.support.calls import history
from tests.support.cli import FakeClock, RunTap, call_cli
from tests.support.pty import Terminal
from zoho_voice_sandbox import Dialect, Sandbox

Patch: TypeAlias = pytest.MonkeyPatch

PREFIX = "TAP_ZOHOVOICE_"
REFRESH_TOKEN = "TAP_ZOHOVOICE_REFRESH_TOKEN"
NAMES = ("CLIENT_ID", "CLIENT_SECRET", "REFRESH_TOKEN", "DATA_CENTER")
PROGRAM = [sys.executable, "-c", "from tap_zohovoice.cli.authorize import main; main()"]
ACCOUNTS = "https://accounts.example.invalid"
CASES = read_cases("authorize")


@dataclass
class Result:
    out: str
    err: str

    @property
    def values(self) -> dict[str, str | None]:
        return dotenv_values(stream=io.StringIO(self.out))

    @property
    def lines(self) -> list[str]:
        return self.err.splitlines()


@pytest.fixture(autouse=True)
def environment(monkeypatch: Patch) -> None:
    """Keep what a developer has set out of the tests."""
    for name in list(os.environ):
        if name.startswith((PREFIX, "MELTANO_")) or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)


@pytest.fixture
def real_box() -> Iterator[Sandbox]:
    with Sandbox(history=history(70)) as running:
        yield running


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / ".env"


def options(box: Sandbox, **changes: object) -> list[str]:
    """Return all options that the command could prompt for."""
    config = {name: box.config[name] for name in ("client_id", "client_secret", "accounts_url")}
    more = {"api_url": box.url, "code": box.accounts.client.code, "data_center": "eu"}
    given = {**config, **more, **changes}
    return [f"--{name.replace('_', '-')}={value}" for name, value in given.items() if value]


class Cli:
    """The command in this process, by the test's clock, with all options for a sandbox."""

    def __init__(self, box: Sandbox, path: Path, clock: FakeClock, patch: Patch) -> None:
        self.box, self.path, self.clock, self.patch = box, path, clock, patch
        self._tap = type("TapByClock", (TapZohoVoice,), {"clock": clock})

    def __call__(self, *more: str, ends: int = 0, **changes: object) -> Result:
        return self.run(*more, *options(self.box, **changes), ends=ends)

    def run(self, *arguments: str, ends: int = 0) -> Result:
        """Run the command; check its exit code, and that it leaks no secret."""
        out, err = io.StringIO(), io.StringIO()
        command: Any = SimpleNamespace(cli=partial(main, tap=self._tap))
        code = call_cli(command, arguments, out, err)
        result = Result(out.getvalue(), err.getvalue())
        assert code == ends, result.err
        for secret in ("sandbox-client-secret", "1000.sandbox", "made-up-secret", "Traceback"):
            assert secret not in result.err
        return result


@pytest.fixture
def cli(path: Path, clock: FakeClock, monkeypatch: Patch) -> Iterator[Cli]:
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    with Sandbox(history=history(70), clock=clock) as box:
        yield Cli(box, path, clock, monkeypatch)


class TestOutput:
    def test_prints_the_lines_for_dotenv_alone(self, cli: Cli, run_tap: RunTap) -> None:
        result = cli()
        assert result.out.splitlines() == [
            "TAP_ZOHOVOICE_CLIENT_ID='1000.SANDBOXCLIENT'",
            "TAP_ZOHOVOICE_CLIENT_SECRET='sandbox-client-secret'",
            "TAP_ZOHOVOICE_REFRESH_TOKEN='1000.sandbox.refresh'",
            "TAP_ZOHOVOICE_DATA_CENTER='eu'",
            f"TAP_ZOHOVOICE_ACCOUNTS_URL='{cli.box.url}'",
            f"TAP_ZOHOVOICE_API_URL='{cli.box.url}'",
        ]
        assert result.lines[-1] == "The token works: 70 calls."
        assert cli.box.stats.token_requests == 2  # for the code, and as the tap does it
        assert [query for _, query, _ in cli.box.stats.log] == [{"from": "0", "size": "1"}]
        config = {name.removeprefix(PREFIX).lower(): text for name, text in result.values.items()}
        assert run_tap(config, "--test").exit_code == 0

    @pytest.mark.parametrize(
        ("around", "level"),
        [("{}", ""), ("'{}'", "verbose"), ('"{}"', "debug"), (" {}\n", ""), ("\ufeff{}\u200b", "")],
    )
    def test_reads_the_environment(self, cli: Cli, around: str, level: str) -> None:
        cli.patch.setenv("LOGLEVEL", level)
        cli.patch.setenv(PREFIX + "START_DATE", "30 days ago")  # as Meltano passes it
        cli.patch.setenv(PREFIX + "FLATTENING_ENABLED", "true")
        cli.patch.setenv(PREFIX + "STREAM_MAPS", '{"call_logs": {"new": "broken("}}')
        for option in options(cli.box):
            name, _, value = option.removeprefix("--").partition("=")
            text = around.format(value) if name in {"client-id", "client-secret", "code"} else value
            cli.patch.setenv(PREFIX + name.replace("-", "_").upper(), text)
        values = cli.run().values
        for name in ("client_id", "client_secret", "refresh_token"):
            assert values[PREFIX + name.upper()] == cli.box.config[name]

    def test_omits_urls_that_are_not_given(self, cli: Cli) -> None:
        cli.patch.setitem(DATA_CENTERS, "eu", (cli.box.url, cli.box.url))
        assert list(cli(accounts_url="", api_url="").values) == [PREFIX + name for name in NAMES]

    def test_quotes_a_token_that_dotenv_cannot_hold(self, cli: Cli) -> None:
        cli.box.accounts.client = replace(cli.box.accounts.client, refresh_token="1000.it's")
        result = cli(ends=1, write=cli.path)
        assert "characters that are not supported in a .env file. Add these lines:" in result.err
        script = f'{result.out}\nprintf %s "${REFRESH_TOKEN}"'
        assert subprocess.check_output(["/bin/sh", "-c", script], text=True) == "1000.it's"
        assert not cli.path.exists()

    def test_updates_variables_of_the_plugin(self, cli: Cli) -> None:
        cli.patch.setenv("MELTANO_EXTRACTOR_NAME", "tap-zohovoice-india")
        plugin = "TAP_ZOHOVOICE_INDIA_"
        cli.path.write_text(f"{REFRESH_TOKEN}=of another account\n{plugin}REFRESH_TOKEN=old\n")
        result = cli(write=cli.path)
        names = ("client_id", "client_secret", "refresh_token", "accounts_url", "api_url")
        saved = {f"{plugin}{name.upper()}": cli.box.config[name] for name in names}
        others = {REFRESH_TOKEN: "of another account", f"{plugin}DATA_CENTER": "eu"}
        assert dotenv_values(cli.path) == saved | others
        assert result.out == ""
        line, tested = result.lines
        assert f"Saved to {cli.path}, readable only by its owner: {plugin}CLIENT_ID," in line
        assert tested == "The token works: 70 calls."

    def test_prints_the_lines_if_the_file_turns_unwritable(self, cli: Cli) -> None:
        cli.box.token_faults = {1: "slow"}
        cli.patch.setattr(cli.clock, "sleep", lambda _: cli.path.mkdir())
        result = cli(ends=1, write=cli.path)
        assert "cannot be written: it is not a regular file. Add these lines:" in result.err
        assert result.values[REFRESH_TOKEN] == cli.box.config["refresh_token"]
        assert result.err.endswith("The token works: 70 calls.\n")

    def test_help_has_an_example(self, cli: Cli) -> None:
        out = cli.run("--help").out
        assert "\n    tap-zohovoice-authorize --data-center eu --write .env\n" in out
        text = " ".join(out.split())
        for name in (*NAMES, "CODE", "ACCOUNTS_URL", "API_URL"):
            assert (PREFIX + name in text) == (name != "REFRESH_TOKEN")

    def test_command_is_installed_and_in_meltano_yml(self) -> None:
        (script,) = entry_points(group="console_scripts", name="tap-zohovoice-authorize")
        assert script.load() is main
        meltano = (Path(__file__).parents[2] / "meltano.yml").read_text(encoding="utf-8")
        assert "executable: tap-zohovoice-authorize" in meltano
        assert "args: --write $MELTANO_PROJECT_ROOT/.env" in meltano


class TestExchange:
    @pytest.mark.parametrize("status", [200, 400, 401])
    @pytest.mark.parametrize(("error", "hint"), CASES["oauth errors"])
    def test_oauth_error_is_a_hint_after_one_request(
        self, cli: Cli, requests_mock: Mocker, status: int, error: str, hint: str
    ) -> None:
        url = f"{ACCOUNTS}/oauth/v2/token"
        requests_mock.post(url, status_code=status, json={"error": error})
        changes: Any = {"client_secret": "made-up-secret", "data_center": "ca"}
        shown = re.sub(" [^ ]*(made-up|sandbox)[^ ]*", " [hidden]", error)
        line = f"Error: Zoho Accounts: HTTP {status}, {shown}: {hint}\n"
        assert cli(ends=1, accounts_url=ACCOUNTS, **changes) == Result("", line)
        (request,) = requests_mock.request_history
        assert request.headers["User-Agent"].startswith("tap-zohovoice/")

    def test_oauth_error_may_be_plain_text(self, cli: Cli, requests_mock: Mocker) -> None:
        url = f"{ACCOUNTS}/oauth/v2/token"
        requests_mock.post(url, status_code=400, text="oauth_scope_mismatch\n")
        result = cli(ends=1, accounts_url=ACCOUNTS)
        line = "Error: Zoho Accounts: HTTP 400, oauth_scope_mismatch: the code lacks a scope; "
        assert result.err.startswith(line)

    @pytest.mark.parametrize(
        ("faults", "hint"),
        [
            ([], "no refresh token in the response; the code was created with access_type=online;"),
            (["lock"], "Access Denied: too many tokens were requested; wait ten minutes, then"),
            (
                ["redirect"] * 7,
                "HTTP 302, no token in the response; check data_center, or accounts",
            ),
            (["html"] * 7, "HTTP 200, an HTML page; check proxies, firewalls and accounts_url"),
            (["cut"] * 7, "check accounts_url if it is set, else the network; gave up after 7"),
            (["truncated"], "the code has expired, was used before, or is not of data center eu"),
            (["slow:50"], ""),
        ],
        ids=lambda value: str(value)[:30],
    )
    def test_fault_is_retried_or_a_hint(self, cli: Cli, faults: list[str], hint: str) -> None:
        cli.box.token_faults = dict(enumerate(faults, 1))
        cli.box.dialect = Dialect(code_access="offline" if faults else "online")
        result = cli(ends=bool(hint), write=cli.path)
        assert [file.name for file in cli.path.parent.iterdir()] == [".env"] * (not hint)
        assert not result.out
        assert hint in result.lines[-1]
        assert cli.box.stats.token_requests <= 7
        assert cli.box.stats.requests == (not hint)


class TestTokenTest:
    @pytest.mark.parametrize("write", [False, True])
    @pytest.mark.parametrize(
        ("sabotage", "reason"),
        [
            ({"dialect": Dialect(scope_missing=True)}, "lacks a scope; create a new one with Zoho"),
            ({"faults": dict.fromkeys(range(1, 9), "500")}, "HTTP 500"),
            ({"token_faults": {2: "lock"}}, "Access Denied: too many tokens were requested"),
            ({"token_faults": {2: "token"}}, "invalid_code: the refresh token is invalid, revoked"),
        ],
        ids=lambda value: str(value)[:40],
    )
    def test_failing_token_is_saved(
        self, cli: Cli, sabotage: dict[str, Any], reason: str, *, write: bool
    ) -> None:
        for name, value in sabotage.items():
            setattr(cli.box, name, value)
        result = cli(ends=1, write=cli.path if write else "")
        assert reason in result.lines[-1]
        values = dotenv_values(cli.path) if write else result.values
        assert values[REFRESH_TOKEN] == cli.box.config["refresh_token"]
        assert bool(result.out) != write

    def test_shares_the_rate_limit_of_other_runs(self, cli: Cli) -> None:
        url = f"{cli.box.url}/rest/json/zv/logs"
        slots = SQLiteSlotStore(cli.box.config["client_id"], url, 60, cli.clock)
        many, one = (SlidingWindowLimiter(calls, 60, cli.clock, slots) for calls in (30, 2))
        for _ in range(29):
            many.acquire()
            many.release()
        assert "At the limit of 30 requests in 60 s; waiting 60 s" in cli().err
        assert 0 < one.try_acquire()[0] <= 60

    def test_uses_the_store_of_the_environment(self, cli: Cli) -> None:
        cli.patch.setenv(f"{PREFIX}RATE_LIMIT_STORE", "redis://:made-up-secret@127.0.0.1:1/0")
        result = cli(ends=1)
        assert "Cannot reach the rate-limit store: Connection refused; check" in result.err
        assert REFRESH_TOKEN in result.out
        assert cli.box.stats.requests == 0

    @pytest.mark.parametrize("total", ["absent", "minus_one", "words"])
    def test_missing_total_is_no_failure(self, cli: Cli, total: Any) -> None:
        cli.box.dialect = Dialect(total=total)
        assert cli().lines[-1] == "The token works."


class TestStreams:
    def test_scopes_are_shown_and_each_stream_is_tested(self, cli: Cli) -> None:
        result = cli("--streams=users, queues,call_agents")
        scopes = "ZohoVoice.call.READ,ZohoVoice.agents.READ,zohovoice.queues.READ"
        assert f"Scopes for the code: {scopes}\n" in result.err
        assert result.err.endswith("users: works\nqueues: works\ncall_agents: works\n")
        assert [query for _, query, _ in cli.box.stats.lists["queues"].log] == [
            {"from": "0", "offset": "1"}
        ]

    def test_stream_whose_scope_is_missing_is_named(self, cli: Cli) -> None:
        cli.box.scopes = {"ZohoVoice.call.READ", "ZohoVoice.agents.READ"}
        result = cli("--all-streams", ends=1)
        lines = result.lines
        assert "users: works" in lines
        (missing,) = [line for line in lines if line.startswith("contacts: ")]
        assert "create a new one with zohovoice.contacts.READ" in missing
        assert result.values[REFRESH_TOKEN]  # it is saved all the same

    def test_refused_code_names_all_scopes(self, cli: Cli) -> None:
        result = cli("--streams=users", ends=1, code="1000.another")
        assert "scope ZohoVoice.call.READ,ZohoVoice.agents.READ)" in result.lines[-1]


class TestUsage:
    @pytest.mark.parametrize(("changes", "variable", "reason"), CASES["invalid input"])
    @pytest.mark.parametrize("stdin", [None, io.StringIO()], ids=["closed", "empty"])
    def test_invalid_input_costs_no_code(
        self, cli: Cli, stdin: Any, changes: dict[str, Any], variable: str, reason: str
    ) -> None:
        cli.patch.setattr(sys, "stdin", stdin)
        name, _, value = variable.partition("=")
        cli.patch.setenv(PREFIX + name, value)
        result = cli(ends=2, **changes)
        assert not result.out
        assert reason in result.err
        assert len(result.lines) == 1
        assert cli.box.stats.token_requests == 0

    @pytest.mark.parametrize(
        ("make", "reason"),
        [
            (Path.mkdir, "it is not a regular file"),
            (os.mkfifo, "it is not a regular file"),
            (partial(Path.write_text, data="A=1\n", encoding="utf-16"), "it is not UTF-8 text"),
            (partial(Path.write_bytes, data=b"# \xe9t\xe9\n"), "it is not UTF-8 text"),
            (lambda path: path.symlink_to("missing/.env"), "No such file or directory"),
            (lambda path: path.symlink_to(path.name), "it is not a regular file"),
        ],
        ids=["folder", "pipe", "utf16", "latin1", "nowhere", "loop"],
    )
    def test_unwritable_file_costs_no_code(
        self, cli: Cli, make: Callable[[Path], object], reason: str
    ) -> None:
        make(cli.path)
        error = f"Error: {cli.path} cannot be written: {reason}\n"
        assert cli(ends=1, write=cli.path) == Result("", error)
        assert [file.name for file in cli.path.parent.iterdir()] == [".env"]
        assert cli.box.stats.token_requests == 0


class TestPrompts:
    @pytest.mark.parametrize("is_meltano", [False, True])
    def test_asks_for_missing_values_and_hides_secrets(
        self, real_box: Sandbox, path: Path, monkeypatch: Patch, is_meltano: bool
    ) -> None:
        missing = dict.fromkeys(("client_id", "client_secret", "data_center", "code"), "")
        command = [*PROGRAM, *options(real_box, **missing, write=path)]
        log = path.parent / "log"
        if is_meltano:  # it sets defaults, and does not leave standard error to the terminal
            monkeypatch.setenv("TAP_ZOHOVOICE_DATA_CENTER", "in")
            monkeypatch.setenv("TAP_ZOHOVOICE_CLIENT_ID", "1000.SANDBOXCLIENT")
            command = ["/bin/sh", "-c", f'exec "$@" >{log} 2>&1', "sh", *command]
        with Terminal(command) as user:
            default = "in" if is_meltano else "us"
            user.answer(f") [{default}]: ", "moon")
            user.answer(f") [{default}]: ", "EU")
            if not is_meltano:
                for answer in ("", "two words", "1000.SANDBOXCLIENT"):
                    user.answer("Client ID: ", answer)
            user.answer("Client secret (not shown): ", "sandbox-client-secret")
            user.answer("Code (not shown): ", real_box.accounts.client.code)
            screen = user.rest()
        assert user.exit_code == 0, screen
        for secret in ("sandbox-client-secret", "1000.sandbox"):
            assert secret not in screen
        assert "'moon' is not one of 'us', 'eu'," in screen
        assert ("Error: must be plain text without spaces" in screen) != is_meltano
        assert "Sign in to https://api-console.zoho.eu as an administrator" in screen
        assert f"Data center ({', '.join(DATA_CENTERS)}) [" in screen
        messages = log.read_text() if is_meltano else screen
        assert "The token works: 70 calls." in messages
        assert ("Client ID: " in screen) != is_meltano
        assert "Client secret" not in messages or not is_meltano
        values = dotenv_values(path)
        assert values[REFRESH_TOKEN] == real_box.config["refresh_token"]
        assert values["TAP_ZOHOVOICE_DATA_CENTER"] == "eu"

    @pytest.mark.parametrize("prompt", [") [us]: ", "Client secret (not shown): "])
    @pytest.mark.parametrize(
        ("key", "code", "message"),
        [("\x03", 130, "\nStopped by SIGINT\n"), ("\x04", 2, "Error: the input ended\n")],
        ids=["Ctrl-C", "Ctrl-D"],
    )
    def test_can_be_left(
        self, real_box: Sandbox, prompt: str, key: str, code: int, message: str
    ) -> None:
        data_center = "" if "us" in prompt else "eu"
        arguments = options(real_box, data_center=data_center, client_secret="")
        with Terminal([*PROGRAM, *arguments]) as user:
            user.press(prompt, key)
            screen = user.rest()
            assert user.echoes()
        assert user.exit_code == code
        assert screen.endswith(message)
        assert real_box.stats.token_requests == 0


class TestSignals:
    @pytest.mark.parametrize("fault", ["token_faults", "faults"], ids=["exchange", "test"])
    @pytest.mark.parametrize(
        ("signum", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGKILL, -9)]
    )
    def test_file_has_the_token_once_issued(
        self, path: Path, fault: str, signum: signal.Signals, code: int
    ) -> None:
        path.write_text("TAP_ZOHOVOICE_REFRESH_TOKEN=old\n")
        asleep, awake, clock = threading.Event(), threading.Event(), Mock(wraps=Clock())

        def hold(_seconds: float) -> None:
            asleep.set()
            awake.wait(20)

        clock.sleep.side_effect = hold
        faults: dict[str, Any] = {fault: {1: "slow"}}
        with Sandbox(clock=clock, **faults) as box:
            command = [*PROGRAM, *options(box, write=path)]
            null, pipe = subprocess.DEVNULL, subprocess.PIPE
            process = subprocess.Popen(command, stdin=null, stderr=pipe, text=True)
            assert asleep.wait(20)
            process.send_signal(signum)
            _, err = process.communicate(timeout=20)
            awake.set()
        assert process.returncode == code
        message = "" if signum == signal.SIGKILL else f"\nStopped by {signum.name}\n"
        if fault == "faults":
            assert err.endswith(message)
            assert dotenv_values(path)[REFRESH_TOKEN] == box.accounts.client.refresh_token
        else:
            assert err == message
            assert path.read_text() == "TAP_ZOHOVOICE_REFRESH_TOKEN=old\n"
        assert [file.name for file in path.parent.iterdir()] == [".env"]

    def test_signal_while_saving_is_deferred(self, cli: Cli) -> None:
        cli.patch.setattr(os, "fsync", lambda _: os.kill(os.getpid(), signal.SIGINT))
        result = cli(ends=130, write=cli.path)
        assert dotenv_values(cli.path)[REFRESH_TOKEN] == cli.box.config["refresh_token"]
        assert result.err.endswith(f"{PREFIX}API_URL.\n\nStopped by SIGINT\n")
        assert cli.box.stats.requests == 0
