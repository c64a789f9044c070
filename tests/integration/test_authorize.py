"""The way from a code to a token in `.env`, and what becomes of it when something goes wrong."""

from __future__ import annotations

import io
import os
import signal
import stat
import subprocess
import sys
import threading
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from functools import partial
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from dotenv import dotenv_values

from tap_zohovoice._compat import override
from tap_zohovoice._time import Clock
from tap_zohovoice.accounts import data_center_of
from tap_zohovoice.cli.authorize import main
from tap_zohovoice.cli.grant import api_console_url
from tap_zohovoice.config.settings import DATA_CENTERS
from tap_zohovoice.rate_limit.store import SQLiteSlotStore
from tap_zohovoice.tap import TapZohoVoice
from tests.support.cli import FakeClock
from tests.support.common import history
from tests.support.pty import Terminal
from zoho_voice_sandbox import Dialect, Sandbox

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.cli import Run
    from tests.support.common import Accounts

PREFIX = "TAP_ZOHOVOICE_"
PROGRAM = "from tap_zohovoice.cli.authorize import main; main()"


@dataclass
class Said:
    """What the command said, and how it ended."""

    exit_code: int
    out: str
    err: str

    def values(self) -> dict[str, str | None]:
        return dotenv_values(stream=io.StringIO(self.out))


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep what a developer has set out of the tests."""
    for name in list(os.environ):
        if name.startswith((PREFIX, "MELTANO_")) or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)


@pytest.fixture
def box(clock: FakeClock) -> Iterator[Sandbox]:
    with Sandbox(history=history(70), clock=clock) as running:
        yield running


def options(box: Sandbox, **changes: str) -> list[str]:
    """Name everything that the command could ask for."""
    config = {name: box.config[name] for name in ("client_id", "client_secret", "accounts_url")}
    more = {"api_url": box.url, "code": box.accounts.client.code, "data_center": "eu"}
    given = {**config, **more, **changes}
    return [f"--{name.replace('_', '-')}={value}" for name, value in given.items() if value]


@pytest.fixture
def authorize(clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Said]:
    """Run the command in this process, by the test's clock; it never tells a secret."""

    class TapByClock(TapZohoVoice):
        pass

    TapByClock.clock = clock

    def run(*arguments: str) -> Said:
        out, err = io.StringIO(), io.StringIO()
        monkeypatch.setattr(sys, "stdin", io.StringIO())
        with redirect_stdout(out), redirect_stderr(err), pytest.raises(SystemExit) as end:
            main(arguments, tap=TapByClock)
        said = Said(int(end.value.code or 0), out.getvalue(), err.getvalue())
        for secret in ("sandbox-client-secret", "1000.sandbox", "made-up-secret", "Traceback"):
            assert secret not in said.err
        return said

    return run


def test_the_lines_for_the_environment_and_nothing_else_are_printed(
    authorize: Callable[..., Said], box: Sandbox, run_tap: Callable[..., Run]
) -> None:
    said = authorize(*options(box))
    assert said.exit_code == 0, said.err
    assert said.out.splitlines() == [
        "TAP_ZOHOVOICE_CLIENT_ID='1000.SANDBOXCLIENT'",
        "TAP_ZOHOVOICE_CLIENT_SECRET='sandbox-client-secret'",
        "TAP_ZOHOVOICE_REFRESH_TOKEN='1000.sandbox.refresh'",
        "TAP_ZOHOVOICE_DATA_CENTER='eu'",
        f"TAP_ZOHOVOICE_ACCOUNTS_URL='{box.url}'",
        f"TAP_ZOHOVOICE_API_URL='{box.url}'",
    ]
    assert said.err.splitlines()[-1] == "The token works: 70 calls."
    config = {name.removeprefix(PREFIX).lower(): text for name, text in said.values().items()}
    assert run_tap(config, "--test").exit_code == 0


def test_the_token_is_tried_with_one_small_request(
    authorize: Callable[..., Said], box: Sandbox
) -> None:
    assert authorize(*options(box)).exit_code == 0
    assert box.stats.token_requests == 2  # for the code, and as the tap will ask
    assert [query for _, query, _ in box.stats.log] == [{"from": "0", "size": "1"}]


def test_values_from_the_environment_are_as_good_as_options(
    authorize: Callable[..., Said], box: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    for option in options(box):
        name, _, value = option.removeprefix("--").partition("=")
        monkeypatch.setenv(PREFIX + name.replace("-", "_").upper(), value)
    said = authorize()
    assert said.exit_code == 0
    assert said.values()["TAP_ZOHOVOICE_REFRESH_TOKEN"] == box.config["refresh_token"]


def test_the_addresses_are_written_only_if_they_are_given(
    authorize: Callable[..., Said], box: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(DATA_CENTERS, "eu", (box.url, box.url))
    said = authorize(*options(box, accounts_url="", api_url=""))
    assert said.exit_code == 0
    assert list(said.values()) == [
        f"TAP_ZOHOVOICE_{name}"
        for name in ("CLIENT_ID", "CLIENT_SECRET", "REFRESH_TOKEN", "DATA_CENTER")
    ]


def test_a_file_keeps_its_other_lines_and_becomes_private(
    authorize: Callable[..., Said], box: Sandbox, tmp_path: Path
) -> None:
    path = tmp_path / ".env"
    path.write_text(
        "# ours\nTAP_ZOHOVOICE_START_DATE='2024-01-01'\nexport TAP_ZOHOVOICE_REFRESH_TOKEN=old\n"
        "TAP_ZOHOVOICE_DATA_CENTER='us'  # where we are\nTAP_ZOHOVOICE_API_URL=http://old\n"
    )
    path.chmod(0o644)
    said = authorize(*options(box, accounts_url=box.url), "--write", str(path))
    assert said.exit_code == 0, said.err
    assert path.read_text().splitlines() == [
        "# ours",
        "TAP_ZOHOVOICE_START_DATE='2024-01-01'",
        "export TAP_ZOHOVOICE_REFRESH_TOKEN='1000.sandbox.refresh'",
        "TAP_ZOHOVOICE_DATA_CENTER='eu'  # where we are",
        f"TAP_ZOHOVOICE_API_URL='{box.url}'",
        "TAP_ZOHOVOICE_CLIENT_ID='1000.SANDBOXCLIENT'",
        "TAP_ZOHOVOICE_CLIENT_SECRET='sandbox-client-secret'",
        f"TAP_ZOHOVOICE_ACCOUNTS_URL='{box.url}'",
    ]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert said.out == ""
    assert f"{path}, readable by you alone, has TAP_ZOHOVOICE_CLIENT_ID," in said.err


def test_a_plugin_that_inherits_has_variables_of_its_own(
    authorize: Callable[..., Said],
    box: Sandbox,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = tmp_path / ".env"
    path.write_text("TAP_ZOHOVOICE_REFRESH_TOKEN='of another account'\n")
    monkeypatch.setenv("MELTANO_EXTRACTOR_NAME", "tap-zohovoice-india")
    said = authorize(*options(box), "--write", str(path))
    assert said.exit_code == 0, said.err
    values = dotenv_values(path)
    assert values["TAP_ZOHOVOICE_REFRESH_TOKEN"] == "of another account"
    assert values["TAP_ZOHOVOICE_INDIA_REFRESH_TOKEN"] == box.config["refresh_token"]
    assert "has TAP_ZOHOVOICE_INDIA_CLIENT_ID," in said.err
    said = authorize(*options(box), "--plugin", "a b")
    assert (said.exit_code, said.err) == (
        2,
        "Error: --plugin must be a name such as tap-zohovoice\n",
    )


def test_an_address_that_stays_in_the_file_is_told(
    authorize: Callable[..., Said],
    box: Sandbox,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(DATA_CENTERS, "eu", (box.url, box.url))
    (tmp_path / ".env").write_text(
        "TAP_ZOHOVOICE_API_URL=http://127.0.0.1:1\nTAP_ZOHOVOICE_ACCOUNTS_URL=\n"
    )
    arguments = options(box, accounts_url="", api_url="")
    said = authorize(*arguments, "--write", str(tmp_path / ".env"))
    assert "also has TAP_ZOHOVOICE_API_URL; remove it" in said.err
    assert "ACCOUNTS_URL" not in said.err


# What Zoho refuses


@pytest.mark.parametrize("status", [200, 400, 401])
@pytest.mark.parametrize(
    ("changes", "told"),
    [
        (
            {"code": "1000.wrong"},
            (
                "invalid_code: the code is too old, was used before, or is of another data center "
                "than eu (us, in, au, jp, ca, sa, uk, ae, cn); make a new code at https://api-"
                "console.zoho.eu (Self Client, Generate Code, scope ZohoVoice.call.READ)"
            ),
        ),
        (
            {"client_id": "1000.wrong", "data_center": "ca"},
            (
                "invalid_client: data center ca does not know this client ID; copy it from "
                "https://api-console.zohocloud.ca (Self Client, Client Secret), or choose"
            ),
        ),
        (
            {"client_secret": "made-up-secret"},
            "invalid_client_secret: the secret is not this client's; copy it from https://api",
        ),
    ],
    ids=["code", "client", "secret"],
)
def test_a_refusal_is_plain_advice_after_one_request(
    authorize: Callable[..., Said],
    box: Sandbox,
    status: Any,
    changes: dict[str, str],
    told: str,
) -> None:
    box.dialect = Dialect(token_error_status=status)
    said = authorize(*options(box, **changes))
    assert (said.exit_code, said.out) == (1, "")
    assert said.err.startswith(f"Error: Zoho Accounts: HTTP {status}, {told}")
    assert len(said.err.splitlines()) == 1
    assert (box.stats.token_requests, box.stats.requests) == (1, 0)


def test_a_code_that_died_or_was_used_is_refused(
    authorize: Callable[..., Said], box: Sandbox, clock: FakeClock
) -> None:
    assert authorize(*options(box)).exit_code == 0
    assert "invalid_code" in authorize(*options(box)).err
    box.accounts.add_code("1000.another")
    clock.time += 600
    said = authorize(*options(box, code="1000.another"))
    assert (said.exit_code, said.out) == (1, "")
    assert "invalid_code: the code is too old" in said.err


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ({"error": "invalid_code", "location": "in"}, "; Zoho names data center in"),
        ({"error": "invalid_code", "location": "eu"}, "Generate Code, scope ZohoVoice.call.READ)"),
        ({"error": "invalid_grant"}, "invalid_grant: the code is too old"),
        ({"error": "OAUTH_SCOPE_MISMATCH"}, "OAUTH_SCOPE_MISMATCH: the code lacks a scope; make"),
        ({"error": "invalid_redirect_uri"}, "this is no self client; make a new code"),
        ({"error": "Access Denied"}, "too many tokens were asked for; wait ten minutes, then"),
        ({"error": "other made-up-secret 1000.sandbox.code"}, "[hidden] [hidden]: check all"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_other_errors_of_accounts_are_advice_too(
    authorize: Callable[..., Said],
    accounts: Accounts,
    box: Sandbox,
    answer: dict[str, str],
    told: str,
) -> None:
    accounts.give(answer)
    arguments = options(box, accounts_url=accounts.url, client_secret="made-up-secret")
    said = authorize(*arguments)
    assert (said.exit_code, said.out) == (1, "")
    assert told in said.err
    assert said.err.endswith("ZohoVoice.call.READ)\n") or "location" in answer
    assert len(accounts.asked) == 1


def test_the_code_is_exchanged_in_a_form(
    authorize: Callable[..., Said], accounts: Accounts, box: Sandbox
) -> None:
    accounts.give({"error": "invalid_code"})
    authorize(*options(box, accounts_url=accounts.url, code=" 1000.with.spaces "))
    ((path, headers, form),) = accounts.asked
    assert path == "/oauth/v2/token"
    assert headers["User-Agent"].startswith("tap-zohovoice/")
    assert form == {
        "grant_type": ["authorization_code"],
        "client_id": ["1000.SANDBOXCLIENT"],
        "client_secret": ["sandbox-client-secret"],
        "code": ["1000.with.spaces"],
    }


def test_a_code_for_access_online_gives_nothing_to_keep(
    authorize: Callable[..., Said], box: Sandbox, tmp_path: Path
) -> None:
    box.dialect = Dialect(code_access="online")
    said = authorize(*options(box), "--write", str(tmp_path / ".env"))
    assert (said.exit_code, said.out) == (1, "")
    assert "no refresh token: the code is of access type online; make a new code" in said.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("faults", "told"),
    [
        (["lock"], "Access Denied: too many tokens were asked for; wait ten minutes, then make"),
        (["redirect"], "HTTP 302, no token; check data_center, or accounts_url if it is set"),
        (["html"] * 3, "HTTP 200, no token in the answer; try again at once"),
        (["502_html"] * 3, "HTTP 502, no token in the answer; try again at once"),
        (["cut"] * 3, "no answer (ConnectionError); check accounts_url if it is set, else the"),
        (["error_200"] * 3, "no token in the answer"),
        (["truncated"], "an answer before was lost, and may have used up the code"),
        (["cut_body"], "an answer before was lost, and may have used up the code"),
        (["array"], "an answer before was lost, and may have used up the code"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_a_faulty_answer_ends_with_advice_and_no_token(
    authorize: Callable[..., Said], box: Sandbox, faults: list[str], told: str
) -> None:
    box.token_faults = dict(enumerate(faults, 1))
    said = authorize(*options(box))
    assert (said.exit_code, said.out) == (1, "")
    assert told in said.err.splitlines()[-1]
    assert box.stats.token_requests <= 3
    assert box.stats.requests == 0


@pytest.mark.parametrize("fault", ["500", "502_html", "cut", "html", "slow:50"])
def test_a_passing_fault_costs_a_moment_only(
    authorize: Callable[..., Said], box: Sandbox, fault: str
) -> None:
    box.token_faults = {1: fault}
    said = authorize(*options(box))
    assert said.exit_code == 0, said.err
    assert said.values()["TAP_ZOHOVOICE_REFRESH_TOKEN"] == box.config["refresh_token"]
    assert box.stats.token_requests == (2 if fault == "slow:50" else 3)


def test_a_proxy_that_is_not_there_is_told(
    authorize: Callable[..., Said], box: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    said = authorize(*options(box, accounts_url="http://accounts.example.invalid"))
    assert said.exit_code == 1
    assert (
        "the proxy cannot be reached; check HTTPS_PROXY and NO_PROXY; try again at once" in said.err
    )


@pytest.mark.parametrize(
    ("answer", "center"),
    [
        ({"api_domain": "https://www.zohoapis.com"}, "us"),
        ({"api_domain": "https://www.zohoapis.com.au"}, "au"),
        ({"api_domain": "https://www.zohoapis.ca"}, "ca"),
        ({"api_domain": "https://www.zohoapis.invalid"}, ""),
        ({"accounts-server": "https://accounts.zohocloud.ca"}, "ca"),
        ({"accounts_server": "https://accounts.zoho.com.cn/"}, "cn"),
        ({"location": "uk"}, "uk"),
        ({"location": "moon", "api_domain": "https://["}, ""),
        ({"api_domain": 5, "location": None}, ""),
        ({}, ""),
    ],
    ids=str,
)
def test_answers_name_data_centers(answer: dict[str, Any], center: str) -> None:
    assert data_center_of(answer) == center


def test_another_data_center_in_the_answer_is_told(
    authorize: Callable[..., Said], box: Sandbox
) -> None:
    box.dialect = Dialect(api_domain="https://www.zohoapis.in")
    said = authorize(*options(box))
    assert said.exit_code == 0
    assert "this account is of data center in; if the token does not work, set" in said.err
    box.accounts.add_code("1000.another")
    said = authorize(*options(box, data_center="in", code="1000.another"))
    assert "Note" not in said.err


def test_the_console_of_each_data_center_is_that_of_the_readme() -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    for center, (accounts_url, _) in DATA_CENTERS.items():
        assert f"| `{center}` | {api_console_url(center)} | {accounts_url} |" in readme


# A token that does not work is kept all the same


@pytest.mark.parametrize("write", [False, True])
@pytest.mark.parametrize(
    ("sabotage", "told"),
    [
        ({"dialect": Dialect(scope_missing=True)}, "lacks a scope; make a new one with ZohoVoice"),
        ({"faults": dict.fromkeys(range(1, 9), "500")}, "HTTP 500"),
        ({"faults": dict.fromkeys(range(1, 9), "html")}, "not the JSON that was asked for"),
        ({"faults": dict.fromkeys(range(1, 9), "cut")}, "connection failed"),
        ({"faults": dict.fromkeys(range(1, 9), "token")}, "a new access token is refused too"),
        ({"faults": dict.fromkeys(range(1, 9), "lock")}, "the lock lasts too long"),
        ({"token_faults": {2: "lock"}}, "Access Denied: too many tokens were fetched"),
        ({"token_faults": {2: "token"}}, "invalid_code: the refresh token is wrong, revoked"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_token_that_fails_is_kept(
    authorize: Callable[..., Said],
    box: Sandbox,
    tmp_path: Path,
    sabotage: dict[str, Any],
    told: str,
    *,
    write: bool,
) -> None:
    for name, value in sabotage.items():
        setattr(box, name, value)
    said = authorize(*options(box), *(["--write", str(tmp_path / ".env")] if write else []))
    assert said.exit_code == 1
    assert told in said.err.splitlines()[-1]
    assert said.err.endswith("The refresh token is kept all the same\n")
    values = dotenv_values(tmp_path / ".env") if write else said.values()
    assert values["TAP_ZOHOVOICE_REFRESH_TOKEN"] == box.config["refresh_token"]
    assert bool(said.out) != write


@pytest.mark.parametrize("fault", ["500", "cut", "token", "truncated", "503_retry_after"])
def test_a_passing_fault_of_voice_is_no_failure(
    authorize: Callable[..., Said], box: Sandbox, fault: str
) -> None:
    box.faults = {1: fault}
    said = authorize(*options(box))
    assert said.exit_code == 0, said.err
    assert said.err.endswith("The token works: 70 calls.\n")


def test_a_lock_is_waited_out_and_told(
    authorize: Callable[..., Said], box: Sandbox, clock: FakeClock
) -> None:
    box.faults = {1: "lock"}
    said = authorize(*options(box))
    assert said.exit_code == 0, said.err
    assert "the API is locked; waiting 607 s, until 2026-03-01 12:10:07 UTC" in said.err
    assert sum(clock.slept) > 600
    assert (box.stats.locked_calls, box.stats.requests) == (0, 2)


def test_the_request_is_counted_with_those_of_other_runs(
    authorize: Callable[..., Said], box: Sandbox, clock: FakeClock
) -> None:
    url = f"{box.url}/rest/json/zv/logs"
    slots = SQLiteSlotStore(box.config["client_id"], url, 60, clock)
    for _ in range(29):
        token, wait, _ = slots.try_acquire(29, 60)
        assert token is not None
        assert wait == 0
        slots.release(token)
    said = authorize(*options(box))
    assert said.exit_code == 0
    assert "At the limit of 30 requests in 60 s; waiting 60 s" in said.err
    token, wait, _ = slots.try_acquire(1, 60)
    assert token is None
    assert 0 < wait <= 60


def test_an_account_without_calls_is_told(authorize: Callable[..., Said], clock: FakeClock) -> None:
    with Sandbox(clock=clock) as box:
        said = authorize(*options(box))
    assert said.exit_code == 0
    assert "Zoho counts no calls. If there are some, make the code as an administrator" in said.err


@pytest.mark.parametrize("total", ["absent", "minus_one", "words"])
def test_an_account_without_a_total_is_no_failure(
    authorize: Callable[..., Said], box: Sandbox, total: Any
) -> None:
    box.dialect = Dialect(total=total)
    said = authorize(*options(box))
    assert (said.exit_code, said.err.splitlines()[-1]) == (0, "The token works.")


# Nothing is asked of Zoho in vain


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"code": ""}, "no terminal to ask at; give --code, or set TAP_ZOHOVOICE_CODE"),
        ({"client_secret": "", "data_center": ""}, "give --data-center, --client-secret, or set"),
        ({"client_id": "two words"}, "--client-id must be plain text without spaces"),
        ({"client_secret": "naïve"}, "--client-secret must be plain text without spaces"),
        ({"client_secret": "a'`"}, "--client-secret has characters that no .env file can hold"),
        ({"code": "a\nb"}, "--code must be plain text without spaces"),
        ({"data_center": "moon"}, "'moon' is not one of"),
        ({"accounts_url": "nonsense"}, "accounts_url must be a URL such as"),
        ({"api_url": "http://u:made-up-secret@h"}, "api_url must be a URL without"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_wrong_usage_is_told_before_any_request(
    authorize: Callable[..., Said], box: Sandbox, changes: dict[str, str], told: str
) -> None:
    said = authorize(*options(box, **changes))
    assert (said.exit_code, said.out) == (2, "")
    assert told in said.err
    assert len(said.err.splitlines()) == 1 or "data_center" in changes
    assert box.stats.token_requests == 0


def test_a_closed_standard_input_is_no_terminal(
    box: Sandbox, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(SystemExit) as end:
        main(options(box, code=""))
    assert end.value.code == 2
    assert "there is no terminal" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("RATE_LIMIT_CALLS", "many", "rate_limit_calls must be an integer"),
        ("REQUEST_TIMEOUT", "0", "request_timeout must be at least 1"),
    ],
)
def test_wrong_settings_of_the_environment_are_told(
    authorize: Callable[..., Said],
    box: Sandbox,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    value: str,
    told: str,
) -> None:
    monkeypatch.setenv(PREFIX + name, value)
    said = authorize(*options(box))
    assert said.exit_code == 2
    assert told in said.err
    assert box.stats.token_requests == 0


def write_nothing(path: Path) -> None:
    path.write_text("A=1\n")
    path.chmod(0o400)


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (Path.mkdir, "it is no ordinary file"),
        (os.mkfifo, "it is no ordinary file"),
        (write_nothing, "it is write-protected"),
        (partial(Path.write_text, data="A=1\n", encoding="utf-16"), "it is no text in UTF-8"),
        (lambda path: path.symlink_to("missing/.env"), "No such file or directory"),
        (lambda path: path.symlink_to(path.name), "Too many levels of symbolic links"),
    ],
    ids=["folder", "pipe", "protected", "utf16", "nowhere", "loop"],
)
def test_a_file_that_cannot_be_written_costs_no_code(
    authorize: Callable[..., Said],
    box: Sandbox,
    tmp_path: Path,
    make: Callable[[Path], object],
    told: str,
) -> None:
    path = tmp_path / ".env"
    make(path)
    said = authorize(*options(box), "--write", str(path))
    assert (said.exit_code, said.out) == (1, "")
    assert said.err == f"Error: {path} cannot be written: {told}; Zoho was asked nothing\n"
    assert [file.name for file in tmp_path.iterdir()] == [".env"]
    assert box.stats.token_requests == 0


def test_a_file_that_turns_unwritable_meanwhile_costs_no_token(
    authorize: Callable[..., Said], tmp_path: Path
) -> None:
    path = tmp_path / ".env"

    class Vandal(FakeClock):
        @override
        def sleep(self, seconds: float) -> None:
            path.mkdir()

    with Sandbox(history=history(70), clock=Vandal(), token_faults={1: "slow"}) as box:
        said = authorize(*options(box), "--write", str(path))
    assert said.exit_code == 1
    assert "cannot be written: Is a directory. Its lines instead:" in said.err
    assert said.values()["TAP_ZOHOVOICE_REFRESH_TOKEN"] == box.accounts.client.refresh_token
    assert said.err.endswith("The token works: 70 calls.\n")


# At a terminal, and stopped


@pytest.fixture
def real_box() -> Iterator[Sandbox]:
    with Sandbox(history=history(70)) as running:
        yield running


def urls(box: Sandbox) -> list[str]:
    return ["--accounts-url", box.url, "--api-url", box.url]


def test_what_is_missing_is_asked_for_and_secrets_are_not_shown(
    real_box: Sandbox, tmp_path: Path
) -> None:
    path = tmp_path / ".env"
    with Terminal([sys.executable, "-c", PROGRAM, *urls(real_box), "--write", str(path)]) as typist:
        typist.answer("Data center [us]: ", "moon")
        typist.answer("Data center [us]: ", "EU")
        typist.answer("Client ID: ", "")
        typist.answer("Client ID: ", "1000.SANDBOXCLIENT")
        typist.answer("Client secret (not shown): ", "sandbox-client-secret")
        typist.answer("Code (not shown): ", real_box.accounts.client.code)
        screen = typist.rest()
    assert typist.exit_code == 0, screen
    for secret in ("sandbox-client-secret", "1000.sandbox"):
        assert secret not in screen
    assert "This must be one of us, eu," in screen
    assert "Sign in to https://api-console.zoho.eu as an administrator" in screen
    assert "The token works: 70 calls." in screen
    values = dotenv_values(path)
    assert values["TAP_ZOHOVOICE_REFRESH_TOKEN"] == real_box.config["refresh_token"]
    assert values["TAP_ZOHOVOICE_DATA_CENTER"] == "eu"


def test_a_data_center_of_the_environment_is_asked_about_and_options_are_not(
    real_box: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TAP_ZOHOVOICE_DATA_CENTER", "in")
    monkeypatch.setenv("TAP_ZOHOVOICE_CLIENT_SECRET", "sandbox-client-secret")
    rest = options(real_box, data_center="", code="", client_id="", client_secret="")
    with Terminal([sys.executable, "-c", PROGRAM, *rest]) as typist:
        typist.answer("Data center [in]: ", "")
        typist.answer("Client ID: ", "1000.SANDBOXCLIENT")
        typist.answer("Code (not shown): ", real_box.accounts.client.code)
        screen = typist.rest()
    assert typist.exit_code == 0, screen
    assert "TAP_ZOHOVOICE_DATA_CENTER='in'" in screen
    assert "TAP_ZOHOVOICE_CLIENT_SECRET is taken from the environment." in screen
    assert "Client secret (not shown)" not in screen


@pytest.mark.parametrize("question", ["Data center [us]: ", "Client secret (not shown): "])
@pytest.mark.parametrize(
    ("key", "code", "told"),
    [
        ("\x03", 130, "Stopped by SIGINT: Zoho was asked nothing"),
        ("\x04", 2, "There is no more input; Zoho was asked nothing"),
    ],
    ids=["Ctrl-C", "Ctrl-D"],
)
def test_a_question_can_be_left(
    real_box: Sandbox, question: str, key: str, code: int, told: str
) -> None:
    arguments = options(real_box, data_center="" if "Data" in question else "eu", client_secret="")
    with Terminal([sys.executable, "-c", PROGRAM, *arguments]) as typist:
        typist.press(question, key)
        screen = typist.rest()
        assert typist.echoes()
    assert typist.exit_code == code
    assert screen.splitlines()[-1] == told
    assert real_box.stats.token_requests == 0


class Held(Clock):
    """A server's clock whose sleep lasts until somebody lets it end."""

    def __init__(self) -> None:
        self.asleep = threading.Event()
        self.awake = threading.Event()

    @override
    def sleep(self, seconds: float) -> None:
        self.asleep.set()
        self.awake.wait(20)


def start(box: Sandbox, *more: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *options(box), *more],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize(
    ("signum", "code", "told"),
    [
        (signal.SIGINT, 130, "\nStopped by SIGINT: the code may be used up; make a new one\n"),
        (signal.SIGTERM, 143, "\nStopped by SIGTERM: the code may be used up; make a new one\n"),
        (signal.SIGKILL, -9, ""),
    ],
)
def test_stopped_during_the_exchange_the_file_is_as_before(
    tmp_path: Path, signum: signal.Signals, code: int, told: str
) -> None:
    path, clock = tmp_path / ".env", Held()
    path.write_text("TAP_ZOHOVOICE_REFRESH_TOKEN=old\n")
    with Sandbox(clock=clock, token_faults={1: "slow"}) as box:
        process = start(box, "--write", str(path))
        assert clock.asleep.wait(20)
        process.send_signal(signum)
        out, err = process.communicate(timeout=20)
        clock.awake.set()
        assert (process.returncode, out, err) == (code, "", told)
        assert path.read_text() == "TAP_ZOHOVOICE_REFRESH_TOKEN=old\n"
        assert [file.name for file in tmp_path.iterdir()] == [".env"]


def test_a_signal_while_the_token_is_written_waits_until_it_is(
    authorize: Callable[..., Said],
    box: Sandbox,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = tmp_path / ".env"
    monkeypatch.setattr(os, "fsync", lambda _: os.kill(os.getpid(), signal.SIGINT))
    said = authorize(*options(box), "--write", str(path))
    assert said.exit_code == 130
    assert dotenv_values(path)["TAP_ZOHOVOICE_REFRESH_TOKEN"] == box.config["refresh_token"]
    assert said.err.endswith("Stopped by SIGINT: the token was not tried, but it is kept\n")
    assert box.stats.requests == 0


def test_killed_during_the_exchange_the_code_is_used_and_another_one_helps(
    authorize: Callable[..., Said], tmp_path: Path
) -> None:
    path, held = tmp_path / ".env", Held()
    with Sandbox(clock=held, token_faults={1: "slow"}) as box:
        process = start(box, "--write", str(path))
        assert held.asleep.wait(20)
        process.kill()
        process.communicate(timeout=20)
        held.awake.set()
        assert "invalid_code" in authorize(*options(box), "--write", str(path)).err
        assert not path.exists()
        box.accounts.add_code("1000.another")
        said = authorize(*options(box, code="1000.another"), "--write", str(path))
    assert said.exit_code == 0, said.err
    assert dotenv_values(path)["TAP_ZOHOVOICE_REFRESH_TOKEN"] == box.accounts.client.refresh_token


@pytest.mark.parametrize(
    ("signum", "code", "told"),
    [
        (signal.SIGINT, 130, "Stopped by SIGINT: the token was not tried, but it is kept\n"),
        (signal.SIGKILL, -9, ""),
    ],
)
def test_stopped_while_the_token_is_tried_it_is_kept(
    tmp_path: Path, signum: signal.Signals, code: int, told: str
) -> None:
    held = Held()
    with Sandbox(clock=held, faults={1: "slow"}) as box:
        process = start(box, "--write", str(tmp_path / ".env"))
        assert held.asleep.wait(20)
        process.send_signal(signum)
        err = process.communicate(timeout=20)[1]
        held.awake.set()
    assert process.returncode == code
    assert err.endswith(told)
    values = dotenv_values(tmp_path / ".env")
    assert values["TAP_ZOHOVOICE_REFRESH_TOKEN"] == box.accounts.client.refresh_token


@pytest.mark.parametrize("is_full", [False, True])
def test_output_that_cannot_be_written_is_a_plain_error(
    real_box: Sandbox, *, is_full: bool
) -> None:
    read, write = os.pipe()
    os.close(read)
    with Path("/dev/full").open("w") as full, os.fdopen(write, "w") as closed:
        command = [sys.executable, "-c", PROGRAM, *options(real_box)]
        run = subprocess.run(
            command,
            stdout=full if is_full else closed,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            timeout=20,
        )
    assert run.returncode == 1
    reason = "No space left on device" if is_full else "Broken pipe"
    told = f"Error: standard output: {reason}; the token is lost, make a new code"
    assert run.stderr.splitlines()[1:] == [told]


def test_the_command_is_installed_and_known_to_meltano() -> None:
    (script,) = entry_points(group="console_scripts", name="tap-zohovoice-authorize")
    assert script.load() is main
    meltano = (Path(__file__).parents[2] / "meltano.yml").read_text(encoding="utf-8")
    assert "executable: tap-zohovoice-authorize" in meltano
    assert "args: --write $MELTANO_PROJECT_ROOT/.env" in meltano


def test_the_help_has_an_example_that_is_understood(authorize: Callable[..., Said]) -> None:
    said = authorize("--help")
    assert said.exit_code == 0
    assert "\n    tap-zohovoice-authorize --data-center eu --write .env\n" in said.out
    for name in ("DATA_CENTER", "CLIENT_ID", "CLIENT_SECRET", "CODE", "ACCOUNTS_URL", "API_URL"):
        assert PREFIX + name in " ".join(said.out.split())
