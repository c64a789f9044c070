"""Blocks of the documentation, run against the sandbox as they stand."""

import json
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.repository.test_docs import ROOT, blocks, run_script
from tests.support.calls import history, server_ids
from zoho_voice_sandbox import Dialect, Sandbox
from zoho_voice_sandbox.token_endpoint import OAuthClient

DOCS = ROOT / "docs"


def block(page: str, kind: str, part: str) -> str:
    """Return the only block of a page that has this text."""
    (found,) = [text for text in blocks(DOCS / page, kind) if part in text]
    return found


@pytest.fixture
def box() -> Iterator[Sandbox]:
    with Sandbox(history=history(60), dialect=Dialect(limit_calls=10_000)) as running:
        yield running


@pytest.fixture
def sh(box: Sandbox, tmp_path: Path) -> Callable[..., str]:
    """Run a script in a folder with settings, and return what it wrote."""
    settings = {**box.config, "rate_limit_calls": 10_000}
    (tmp_path / "config.json").write_text(json.dumps(settings))
    variables = {f"TAP_ZOHOVOICE_{name.upper()}": str(text) for name, text in settings.items()}
    return lambda script, **more: run_script(script, tmp_path, variables | more)


def records(path: Path, stream: str = "call_logs") -> list[dict[str, Any]]:
    messages = map(json.loads, path.read_text(encoding="utf-8").splitlines())
    return [
        message["record"]
        for message in messages
        if message["type"] == "RECORD" and message["stream"] == stream
    ]


def ids(path: Path) -> set[str]:
    return {record["logid"] for record in records(path)}


def test_settings_in_a_file(box: Sandbox, sh: Callable[..., str], tmp_path: Path) -> None:
    assert "The settings work." in sh(block("shell.md", "sh", "--test"))
    assert ids(tmp_path / "calls.jsonl") == server_ids(box)


def test_settings_in_the_environment(box: Sandbox, sh: Callable[..., str], tmp_path: Path) -> None:
    example = (ROOT / ".env.example").read_text(encoding="utf-8")
    for name, value in {**box.config, "rate_limit_calls": 10_000}.items():
        variable = f"TAP_ZOHOVOICE_{name.upper()}="
        line = re.compile(rf"^#?{variable}.*$", re.MULTILINE)
        example, count = line.subn(f"{variable}'{value}'", example)
        assert count == 1
    (tmp_path / ".env.example").write_text(example, encoding="utf-8")
    sh(f"unset ${{!TAP_@}}\n{block('shell.md', 'sh', '.env.example')}")
    assert (tmp_path / ".env").stat().st_mode & 0o777 == 0o600
    assert ids(tmp_path / "calls.jsonl") == server_ids(box)


def test_token_by_curl(box: Sandbox, sh: Callable[..., str]) -> None:
    if not shutil.which("curl"):
        pytest.skip("curl is not installed")
    script = block("token.md", "sh", "curl").replace("https://accounts.zoho.com", box.url)
    client = {name.upper(): box.config[name] for name in ("client_id", "client_secret")}
    assert json.loads(sh(script, CODE=OAuthClient.code, **client))["refresh_token"]


def test_block_for_recordings_stores_files(sh: Callable[..., str], tmp_path: Path) -> None:
    folder = tmp_path / "files"
    sh(block("recordings.md", "sh", "RECORDINGS_PATH").replace("/srv/calls", str(folder)))
    named = {
        record["recording_filename"] for record in records(tmp_path / "calls.jsonl", "recordings")
    }
    assert named
    assert named == {path.name for path in folder.rglob("*") if path.is_file()}
    for path in folder.rglob("*.*"):
        assert re.fullmatch(r"\d{4}/\d\d/\d\d", str(path.relative_to(folder).parent))


def test_blocks_for_more_streams_run(sh: Callable[..., str], tmp_path: Path) -> None:
    sh(block("recordings.md", "sh", "transcripts"))
    assert records(tmp_path / "calls.jsonl", "transcripts")
    page = (DOCS / "streams.md").read_text(encoding="utf-8")
    (command,) = re.findall(r"`(TAP_ZOHOVOICE_STREAMS=[^`]*)`", page)
    sh(command)
    assert len(records(tmp_path / "account.jsonl", "users")) > 1
    assert records(tmp_path / "account.jsonl", "call_queues")


def test_block_for_stream_maps_hides_people(sh: Callable[..., str], tmp_path: Path) -> None:
    (tmp_path / "maps.json").write_text(block("privacy.md", "json", "stream_maps"))
    page = (DOCS / "privacy.md").read_text(encoding="utf-8")
    (command,) = re.findall(r"`(tap-zohovoice --config config.json --config [^`]*)`", page)
    sh("tap-zohovoice --config config.json > plain.jsonl")
    assert "WARNING" not in sh(f"{command} > hidden.jsonl")
    plain, hidden = (records(tmp_path / f"{name}.jsonl") for name in ("plain", "hidden"))
    assert len(plain) == len(hidden)
    for before, after in zip(plain, hidden, strict=True):
        assert before.keys() - after.keys() == {
            *("caller_id_name", "destination_name", "contact_name", "additional_fields")
        }
        for name in ("user_number", "caller_id_number", "destination_number"):
            assert before[name] is None or re.fullmatch("[0-9a-f]{64}", after[name])


def test_logs_as_json(sh: Callable[..., str], tmp_path: Path) -> None:
    (tmp_path / "logging.yml").write_text(block("logs.md", "yaml", "formatters"))
    console = block("logs.md", "console", "SINGER_SDK_LOG_CONFIG")
    command = console.partition("\n")[0].removeprefix("$ ")
    lines = [json.loads(line) for line in sh(command).splitlines()]
    shown = [json.loads(line) for line in console.splitlines()[1:]]
    own = [line for line in lines if line["logger_name"].startswith("tap-zohovoice.")]
    assert {*shown[-1]} <= {*own[-1]}
    assert {*shown[-1]["extra"]} == {*own[-1]["extra"]}
    windows = [line["extra"] for line in own if "window" in line.get("extra", {})]
    assert windows
    assert all({*extra} == {*shown[0]["extra"]} for extra in windows)


def test_sandbox_and_tap(sh: Callable[..., str], tmp_path: Path) -> None:
    """The two blocks of the page, one in the background."""
    install, start = block("sandbox.md", "sh", "pip install").splitlines()
    assert install == "pip install ./sandbox"
    (tmp_path / "config.json").unlink()
    sh(
        f"{start} > sandbox.log &\n"
        "until test -s config.json; do sleep 0.2; done\n"
        f"{block('sandbox.md', 'sh', 'tap-zohovoice')}\n"
        "kill -INT $! && wait $!"
    )
    assert len(ids(tmp_path / "calls.jsonl")) >= 5_000
    last = (tmp_path / "sandbox.log").read_text().splitlines()[-1]
    assert json.loads(last)["stats"]["requests"] >= 6
