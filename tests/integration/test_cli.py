"""The command line: discovery, catalogs, stream maps, invalid input, privacy of the log."""

import json
import logging
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from syrupy.assertion import SnapshotAssertion

from tap_zohovoice.singer import stream_maps
from tap_zohovoice.singer.writer import MessageWriter
from tests.support.account import Account, Accounts
from tests.support.calls import call, history, server_ids
from tests.support.cli import NOW, Run, RunTap, selecting
from zoho_voice_sandbox import Sandbox

Patch: TypeAlias = pytest.MonkeyPatch


def catalog_of(run: Run) -> dict[str, Any]:
    return dict(json.loads(run.stdout))


def test_discover_needs_no_settings(
    run_tap: RunTap, monkeypatch: Patch, snapshot: SnapshotAssertion
) -> None:
    monkeypatch.setenv("TAP_ZOHOVOICE_PAGE_SIZE", "many")
    run = run_tap({}, "--discover")
    invalid = run_tap({"start_date": "soon", "typo": 1, "streams": 5}, "--config=ENV", "--discover")
    assert catalog_of(run) == snapshot
    assert catalog_of(invalid) == catalog_of(run)
    assert run.exit_code == invalid.exit_code == 0
    files = run_tap({"recordings_path": "calls", "streams": ["users"]}, "--discover")
    assert not re.search("WARNING|ERROR", run.log + invalid.log + files.log)


@pytest.mark.parametrize(
    ("module", "version"),
    [
        ("tap_zohovoice", r"tap-zohovoice v\d+\.\d+"),
        ("tap_zohovoice.tap", r"tap-zohovoice v\d+\.\d+"),
        ("tap_zohovoice.cli.authorize", r".*authorize, version \d+\.\d+"),
    ],
)
def test_module_is_executable(module: str, version: str) -> None:
    command = [sys.executable, "-m", module, "--version"]
    assert re.match(version, subprocess.check_output(command, text=True))


def test_about_and_help(run_tap: RunTap) -> None:
    about = json.loads(run_tap({}, "--about", "--format", "json").stdout)
    assert about["name"] == "tap-zohovoice"
    assert {"catalog", "discover", "state", "about", "stream-maps"} <= set(about["capabilities"])
    assert "batch" not in about["capabilities"]
    text = " ".join(run_tap({}, "--help").stdout.split())
    assert "tap-zohovoice-authorize gets a refresh token" in text
    assert "README.md and docs/" in text


def test_connection_test_reports_a_missing_scope(account: Accounts) -> None:
    with account(scope_missing=True) as box:
        run = box.fail("ZVT022", options=["--test"])
    assert "successful" not in run.log


@pytest.mark.parametrize("files", ["files", None])
@pytest.mark.parametrize("calls", [0, 1, 300])
def test_connection_test_makes_one_request_a_list(
    account: Accounts, tmp_path: Path, calls: int, files: str | None
) -> None:
    path = str(tmp_path / files) if files else None
    with account(calls or None) as box:
        run = box.succeed("--test", start_date="2000-01-01", recordings_path=path)
        assert box.stats.requests <= (3 if files else 1)
        assert box.stats.token_requests == 1
        assert box.stats.files.requests == box.stats.transcripts.requests == 0
    assert len(run.records) == min(calls, 1)
    assert len(run.rows("recordings")) <= bool(files)
    assert '"status":"failed"' not in run.log
    assert "The test was successful" in run.log.splitlines()[-1]
    assert "replication_key_value" not in str(run.states)


@pytest.mark.parametrize("words", [{}, {True: "true", False: "false"}])
def test_deselected_properties_are_not_emitted(box: Account, words: dict[bool, str]) -> None:
    catalog = catalog_of(box.run("--discover"))
    (stream,) = [entry for entry in catalog["streams"] if entry["tap_stream_id"] == "call_logs"]
    for entry in stream["metadata"]:
        path = entry["breadcrumb"][1::2]
        deselected = (["contact_name"], ["start_time"], ["voice_credits", "total"])
        selected = path not in deselected
        entry["metadata"]["selected"] = words.get(selected, selected)
    del stream["schema"]["properties"]["additional_fields"]
    run = box.read(catalog=catalog)
    names = set(run.of("SCHEMA")[0]["schema"]["properties"])
    assert not {"contact_name", "additional_fields"} & names
    for record in run.records:
        assert set(record) == names
        assert record["start_time"]
        assert "voice" in record["voice_credits"]
        assert "total" not in record["voice_credits"]


@pytest.mark.parametrize("encoding", ["utf-8", "cp1252", "ascii"])
def test_names_survive_any_output_encoding(box: Account, encoding: str) -> None:
    names = {"contact_name": "Zoë Øçhæ 丽 🌻 \u2028", "agent_number": "\\u0000 \\ud800"}
    unstorable = {"caller_id_name": "a\0b\ud83c", "new": {"x\0": ["\udf3b"], "x\ufffd": 1}}
    start = round((NOW - 86_400) * 1000)
    box.store.add(call(box, "odd", start, **names, **unstorable), at_ms=start)
    run = box.run_tap(box.config, encoding=encoding)
    (record,) = [record for record in run.records if record["logid"] == "odd"]
    assert record.items() >= {**names, "caller_id_name": "a\ufffdb\ufffd"}.items()
    assert record["additional_fields"]["new"] == {"x\ufffd": ["\ufffd"], "x\ufffd_": 1}
    assert run.stdout.isascii() == (encoding != "utf-8")


NO_JSON = {"\n\n{": "; see line 3", "": "; see line 1", "[" * 100_000: "", "\udcff\udcfe{": ""}


@pytest.mark.parametrize(
    ("option", "content", "place"),
    [
        *(("--config", text, "") for text in ("[1]", "5", '"text"')),
        *(
            (name, text, place)
            for name in ("--config", "--state", "--catalog")
            for text, place in NO_JSON.items()
        ),
    ],
)
def test_invalid_input_file_is_one_line(
    box: Account, tmp_path: Path, option: str, content: str, place: str
) -> None:
    path = tmp_path / "odd.json"
    path.write_text(content, encoding="utf-8", errors="surrogateescape")
    run = box.run_tap(None if option == "--config" else box.config, option, str(path))
    assert run.exit_code == 1
    assert run.logged("ERROR") == [f"The {option} file must be a JSON object in UTF-8{place}"]
    assert "Traceback" not in run.log
    assert box.stats.token_requests == 0


@pytest.mark.parametrize("option", ["--state", "--catalog"])
def test_byte_order_mark_is_ignored(box: Account, tmp_path: Path, option: str) -> None:
    content = "{}" if option == "--state" else box.run("--discover").stdout
    (tmp_path / "marked.json").write_text(content, encoding="utf-8-sig")
    assert len(box.run(option, str(tmp_path / "marked.json")).ids) == 40


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("/no.json", "cannot be read: No such file or directory"),
        ("", "must be a JSON object in UTF-8"),
    ],
)
def test_missing_config_is_one_line(run_tap: RunTap, path: str, reason: str) -> None:
    run = run_tap(None, f"--config={path}")
    assert run.exit_code == 1
    assert run.logged("ERROR") == [f"The --config file {reason}"]


@pytest.mark.parametrize("option", ["--state=/no.json", "--catalog=/no", "--nonsense"])
def test_missing_file_and_unknown_option(run_tap: RunTap, option: str) -> None:
    assert run_tap({}, option).exit_code == 2


def test_log_holds_nothing_secret_or_personal(account: Accounts, monkeypatch: Patch) -> None:
    monkeypatch.setenv("LOGLEVEL", "DEBUG")
    filters = {"userNumber": "15550100", "contact_name": "Zoë Example"}
    private = {
        "caller_id_number": "+1 5550100123",
        "contact_name": "Renée Mustermann",
        "undocumented_note": "call back about the red shoes",
        "feedback": "not a number: +1 5550100999",
    }
    faults = {2: "error_200", 3: "html", 4: "lock", 5: "token", 7: "truncated"}
    with account(100, faults=faults) as box:
        box.store.add(call(box, "private", round(NOW * 1000) - 5000, **private))
        runs = [box.succeed(), box.succeed(filters=filters), box.succeed(streams=["call_agents"])]
        secrets = [box.config["client_secret"], box.config["refresh_token"], "Zoho-oauthtoken"]
    log = "".join(run.log for run in runs)
    for text in [*secrets, *filters.values(), *map(str, private.values()), "5550100", "shoes"]:
        assert text not in log
    agents = {row["agent_id"] for row in runs[2].rows("call_agents")}
    assert agents
    assert not [agent for agent in agents if agent in log]
    names = {record["caller_id_name"] for record in runs[0].records} - {None, "", "Zoho"}
    assert len(names) > 10
    assert not [name for name in names if name in log]


DRIVERS = (
    *("urllib3.connectionpool", "fsspec", "fsspec.local", "s3fs", "botocore.auth", "boto3"),
    *("aiobotocore.endpoint", "gcsfs", "google.auth", "adlfs", "azure.core.pipeline.policies"),
    *("azure.storage.blob", "aiohttp.client", "asyncio"),
    *("msal.token_cache", "paramiko.transport", "smbprotocol.session", "webhdfs", "oci.signer"),
    *("googleapiclient.discovery", "requests_oauthlib", "asyncssh.connection", "oss2.api"),
)


@pytest.mark.parametrize("level", [logging.DEBUG, logging.INFO, logging.WARNING])
def test_loggers_of_drivers_are_silent(box: Account, monkeypatch: Patch, level: int) -> None:
    monkeypatch.setenv("LOGLEVEL", "DEBUG")

    def log(_request: int) -> None:
        for name in DRIVERS:
            logging.getLogger(name).log(level, "signature of %s", name)

    box.before_request = log
    run = box.succeed()
    assert "DEBUG" in run.log
    assert "signature" not in run.log


@pytest.mark.parametrize("variable", ["LOGLEVEL", "TAP_ZOHOVOICE_LOGLEVEL"])
@pytest.mark.parametrize("level", ["", " ", "verbose", "10", "notset", "debug", " info\n"])
def test_log_level_of_the_environment(
    box: Account, monkeypatch: Patch, variable: str, level: str
) -> None:
    monkeypatch.setenv(variable, level)
    run = box.read()
    assert ("DEBUG    |" in run.log) == (level == "debug")
    assert "INFO     |" in run.log


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_signal_while_the_tap_is_created(
    box: Account, monkeypatch: Patch, signum: int, code: int
) -> None:
    def build_mapper(*args: Any) -> Any:
        os.kill(os.getpid(), signum)
        return stream_maps.build_mapper(*args)

    monkeypatch.setattr("tap_zohovoice.tap.build_mapper", build_mapper)
    run = box.run()
    assert run.exit_code == code
    assert box.stats.token_requests == 0
    assert run.logged("WARNING")[0].startswith("Stopped by SIG")


class Finalized:
    def __del__(self) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        sum(range(10))  # the handler is called, and Python ignores what it raises here


def test_signal_in_a_finalizer_is_not_lost(account: Accounts, monkeypatch: Patch) -> None:
    with account(max_range_days=31) as box:
        write = MessageWriter.write_message

        def write_and_finalize(writer: MessageWriter, message: Any) -> None:
            write(writer, message)
            if writer.records_written:
                monkeypatch.setattr(MessageWriter, "write_message", write)
                Finalized()

        monkeypatch.setattr(MessageWriter, "write_message", write_and_finalize)
        run = box.run()
        assert run.exit_code == 143
        assert len(run.logged("WARNING")) == 1
        assert run.stdout.endswith("\n")
        assert 0 < len(run.ids) < 900
        resumed = box.succeed(state=run.state)
        assert {*run.ids, *resumed.ids} == server_ids(box)


def test_interrupt_before_the_run_has_no_traceback() -> None:
    interrupt = "import gc, os, signal; gc.disable = lambda: os.kill(os.getpid(), signal.SIGINT)"
    script = f"{interrupt}; from tap_zohovoice.__main__ import main; main()"
    command = [sys.executable, "-c", script]
    run = subprocess.run(command, capture_output=True, check=False, timeout=60)
    assert (run.returncode, run.stderr) == (-signal.SIGINT, b"")


def test_second_signal_ends_the_process_at_once() -> None:
    script = """
import os, signal
from tap_zohovoice.cli.command import GracefulShutdown
shutdown = GracefulShutdown(print)
shutdown.install()
with shutdown.deferred():
    for _ in range(2):
        os.kill(os.getpid(), signal.SIGTERM)
    print("not at once", flush=True)
"""
    command = [sys.executable, "-c", script]
    run = subprocess.run(command, capture_output=True, check=False, timeout=60)
    assert (run.returncode, run.stdout) == (143, b"")


Shell = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def real_box() -> Iterator[Sandbox]:
    with Sandbox(history=history(900)) as box:
        yield box


@pytest.fixture
def run_shell(real_box: Sandbox, tmp_path: Path) -> Shell:
    """Run the tap in a shell, as `$TAP`, with a configuration of its own."""
    (tmp_path / "config.json").write_text(json.dumps(real_box.config))
    tap = f"{sys.executable} -m tap_zohovoice --config {tmp_path / 'config.json'}"

    def run(script: str, **environment: str) -> subprocess.CompletedProcess[str]:
        env = {**os.environ, "TAP": tap, **environment}
        command = ["/bin/sh", "-c", script]
        return subprocess.run(
            command, env=env, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60
        )

    return run


@pytest.mark.parametrize("text", [None, "version: 1", "a: [", "{}", "", "- 1"])
def test_invalid_config_of_the_logs_is_one_line(
    run_shell: Shell, tmp_path: Path, text: str | None
) -> None:
    path = tmp_path / "logs.yml"
    path.write_text(text or "")
    run = run_shell("$TAP --discover", SINGER_SDK_LOG_CONFIG="" if text is None else str(path))
    if text in {None, "version: 1"}:
        assert (run.returncode, run.stdout[:1]) == (0, "{")
    else:
        assert (run.returncode, run.stdout) == (1, "")
        (line,) = run.stderr.splitlines()
        assert line.startswith("The file that SINGER_SDK_LOG_CONFIG names is invalid (")


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (">&-", "Standard output is closed"),
        *[
            (f"{option} > /dev/full", "No space left on device: standard output")
            for option in ("", "--discover", "--about", "--version")
        ],
    ],
)
def test_unusable_standard_output_is_named(
    run_shell: Shell, real_box: Sandbox, arguments: str, line: str
) -> None:
    run = run_shell(f"$TAP {arguments}")
    assert run.returncode == 1
    assert run.stderr.splitlines()[-1].endswith(f" | {line}")
    if arguments == ">&-":
        assert len(run.stderr.splitlines()) == 1
        assert real_box.stats.token_requests == 0


@pytest.mark.parametrize(
    ("stream", "count"), [("call_logs", 1), ("call_logs", 7), ("call_logs", 40), ("recordings", 3)]
)
def test_closed_pipe_is_one_line_with_a_count(
    run_shell: Shell, tmp_path: Path, stream: str, count: int
) -> None:
    (tmp_path / "catalog.json").write_text(json.dumps(selecting(stream)))
    script = "{ $TAP --catalog catalog.json; echo $? > code; } | head -n $COUNT > read"
    run = run_shell(script, COUNT=str(count))
    assert (tmp_path / "code").read_text() == "1\n"
    assert "Standard output is closed: its reader has ended" in run.stderr.splitlines()[-1]
    assert run.stderr.count("ERROR") == 1
    assert not re.search("Traceback|Exception ignored", run.stderr)
    written = (tmp_path / "read").read_text().count('"type":"RECORD"')
    (counted,) = re.findall(r"([\d,]+) (?:call|file)s? in .*: .* requests?, ", run.stderr)
    assert written <= int(counted.replace(",", "")) < 900


def test_full_disk_is_named_and_the_summary_counts(run_shell: Shell, tmp_path: Path) -> None:
    run = run_shell("trap '' XFSZ; ulimit -f 64; $TAP > out")
    assert run.returncode == 1
    assert "File too large: standard output" in run.stderr.splitlines()[-1]
    lines = (tmp_path / "out").read_bytes().split(b"\n")[:-1]
    written = sum(b'"type":"RECORD"' in line for line in lines)
    (counted,) = re.findall(r"([\d,]+) calls? in .*: .* requests?, ", run.stderr)
    assert 0 < written == int(counted) < 900


def test_relative_state_home_is_one_count(run_shell: Shell, tmp_path: Path) -> None:
    script = "mkdir one two; (cd one; $TAP --test); (cd two; $TAP --test)"
    run = run_shell(script, XDG_STATE_HOME="state", HOME=str(tmp_path / "home"))
    assert run.returncode == 0, run.stderr
    (path,) = tmp_path.rglob("*.sqlite3")
    assert path.is_relative_to(tmp_path / "home")
