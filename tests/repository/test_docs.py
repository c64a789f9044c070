"""README and docs/: links, sizes, tables, and the blocks that can be run."""

import ast
import html
import json
import os
import re
import shutil
import subprocess
import sysconfig
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import unquote

import pytest
from ruamel.yaml import YAML

from tap_zohovoice.config.data_centers import DATA_CENTERS, api_console_url
from tap_zohovoice.config.settings import CONFIG_SCHEMA, STREAM_NAMES
from tap_zohovoice.tap import STREAMS
from tests.support.calls import history, server_ids
from tests.support.cli import Run
from zoho_voice_sandbox import Dialect, Sandbox
from zoho_voice_sandbox.token_endpoint import OAuthClient

ROOT = Path(__file__).resolve().parents[2]
README = ROOT / "README.md"
FOLDER = ROOT / "docs"
DOCS = sorted(FOLDER.glob("*.md"))
OTHERS = ("CONTRIBUTING.md", "CHANGELOG.md", "dbt/README.md", "sandbox/README.md")
TEXTS = {
    page: page.read_text(encoding="utf-8")
    for page in (README, *(ROOT / name for name in OTHERS), *DOCS)
}
"""All pages."""
SCOPE = "ZohoVoice.call.READ"
BLOCK = re.compile(r"^( *)```(\w*)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
SCRIPTS = sysconfig.get_path("scripts")
OPTION = re.compile(r"(?<=\s)--[a-z-]+")
FILTERED = re.compile("TAP_|LOGLEVEL|SINGER_SDK|XDG_")


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


def blocks(page: Path, languages: str) -> list[str]:
    found = BLOCK.findall(TEXTS[page])
    return [body for _, kind, body in found if re.fullmatch(languages, kind)]


def run_script(script: str, home: Path, variables: dict[str, str], cwd: Path | None = None) -> str:
    """Run a script with the installed commands, in a home of its own; return all its output."""
    kept = {name: text for name, text in os.environ.items() if not FILTERED.match(name)}
    places = {"HOME": str(home), "PATH": os.pathsep.join([SCRIPTS, kept["PATH"]])}
    done = subprocess.run(
        ["bash", "-c", f"set -euo pipefail\n{script}"],  # noqa: S607 - the one of the path
        cwd=cwd or home,
        env=kept | places | {"NO_PROXY": "127.0.0.1"} | variables,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def named_in_pages(pattern: str) -> set[str]:
    """Return what a pattern finds in all pages."""
    texts = TEXTS.values()
    return {found for text in texts for found in re.findall(pattern, text, re.MULTILINE)}


def links(page: Path) -> list[str]:
    """Return the links of a page, without what is code."""
    return LINK.findall(re.sub(r"`[^`\n]*`", "x", BLOCK.sub("", TEXTS[page])))


def anchors(text: str) -> set[str]:
    """Return the anchors of a page's headings, as code hosts make them."""
    found: list[str] = []
    for heading in re.findall(r"^#{1,6} +(.+?) *#*$", BLOCK.sub("", text), re.MULTILINE):
        words = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", html.unescape(heading)).lower()
        anchor = re.sub(r"[^\w\- ]", "", words).strip().replace(" ", "-")
        number = found.count(anchor)
        found.append(f"{anchor}-{number}" if number else anchor)
    return set(found)


def test_readme_is_short() -> None:
    assert len(TEXTS[README].splitlines()) <= 250


def is_dead(page: Path, link: str) -> bool:
    path, _, anchor = unquote(link).partition("#")
    target = (page.parent / path).resolve() if path else page
    if not target.is_relative_to(ROOT) or not target.is_file():
        return not re.match(r"https?://", link)
    return bool(anchor) and anchor not in anchors(TEXTS.get(target, ""))


def test_links_lead_somewhere() -> None:
    found = [(page, link) for page in TEXTS for link in links(page)]
    assert len(found) > 100
    assert [(name_of(page), link) for page, link in found if is_dead(page, link)] == []


def test_every_page_is_listed() -> None:
    for page in (README, FOLDER / "index.md"):
        assert set(DOCS) - {page} <= {(page.parent / link).resolve() for link in links(page)}
    site = (ROOT / "zensical.toml").read_text(encoding="utf-8")
    assert sorted(re.findall(r'"([^"]+\.md)"', site)) == sorted(map(name_of, TEXTS))
    assert tomllib.loads(site)["project"]["theme"]["font"] is False  # nothing of other hosts


@pytest.mark.parametrize("page", [README, FOLDER / "streams.md"], ids=name_of)
def test_the_table_of_streams_is_right(page: Path) -> None:
    rows: dict[str, tuple[list[str], list[str]]] = {}
    for line in re.findall(r"^\|(.*)\|$", TEXTS[page], re.MULTILINE):
        cells = [re.findall(r"`([\w.]+)`", cell) for cell in line.split("|")]
        if cells[0] and cells[0][0] in STREAM_NAMES:  # other tables have the same names as fields
            rows.setdefault(cells[0][0], (cells[1], cells[-1]))
    assert rows == {
        stream.name: (
            [*stream.primary_keys],
            [scope for scope in (stream.owner_scope or stream.scope,) if scope != SCOPE],
        )
        for stream in STREAMS
    }


def test_page_on_tokens_lists_data_centers() -> None:
    for name, (accounts_url, _) in DATA_CENTERS.items():
        line = f"| `{name}` | {api_console_url(name)} | {accounts_url} |"
        assert line in TEXTS[FOLDER / "token.md"]


def test_the_page_on_the_shell_shows_the_script() -> None:
    script = (FOLDER / "snippets" / "pipe.sh").read_text(encoding="utf-8")
    assert blocks(FOLDER / "shell.md", "bash") == [script]


@pytest.mark.parametrize("page", TEXTS, ids=name_of)
def test_blocks_can_be_read(page: Path) -> None:
    for text in blocks(page, "sh|bash"):
        subprocess.run(["bash", "-n"], input=text, text=True, check=True)  # noqa: S607
    assert all(isinstance(json.loads(text), dict) for text in blocks(page, "json"))
    assert all(YAML(typ="safe").load(text) for text in blocks(page, "yaml"))
    for text in blocks(page, "python"):
        ast.parse(text)


def test_every_block_has_a_language_that_is_checked() -> None:
    known = {"sh", "bash", "json", "python", "yaml", "console", "crontab", "text", ""}
    assert named_in_pages(r"^ *```(.*)$") == known


def test_files_that_are_named_exist() -> None:
    folders = "bench|dbt|definitions|demo|docs|e2e|hub|requirements|sandbox|tests"
    packages = "|".join(path.parent.name for path in (ROOT / "tap_zohovoice").glob("*/__init__.py"))
    named = named_in_pages(rf"`((?:{folders}|tap_zohovoice)/[\w./-]*)`")
    modules = named_in_pages(rf"`((?:{packages})/[\w./-]*)`")
    named |= {f"tap_zohovoice/{module}" for module in modules}
    assert len(named) > 20
    assert [name for name in sorted(named) if not (ROOT / name).exists()] == []


def test_variables_that_are_named_are_settings() -> None:
    names = {f"TAP_ZOHOVOICE_{name.upper()}" for name in CONFIG_SCHEMA["properties"]}
    named = named_in_pages(r"\bTAP_ZOHOVOICE_[A-Z_]*[A-Z]\b")
    assert named - names == {"TAP_ZOHOVOICE_CODE"}  # an option of tap-zohovoice-authorize


@pytest.mark.parametrize(
    "command", ["tap-zohovoice", "tap-zohovoice-authorize", "zoho-voice-sandbox"]
)
def test_options_of_the_commands_exist(command: str, tmp_path: Path) -> None:
    """Each option that a block gives to a command of this repository is one of it."""
    texts = [text for page in TEXTS for text in blocks(page, "sh|console|bash")]
    lines = re.split(r"[\n|;&]", "\n".join(texts).replace("\\\n", " "))
    # Meltano has options of its own.
    own = "\n".join(line for line in lines if "meltano" not in line)
    given = re.findall(rf"(?:^|[\s/$]){command} .*", own, re.MULTILINE)
    used = {option for line in given for option in OPTION.findall(line)}
    assert set() < used <= {*OPTION.findall(run_script(f"{command} --help", tmp_path, {}))}


def test_readme_leads_from_sandbox_to_duckdb(tmp_path: Path) -> None:
    """The block of the README, without the installation."""
    pytest.importorskip("duckdb")  # the group demo: not for Python 3.14
    section = TEXTS[README].partition("## From the sandbox to DuckDB\n")[2].partition("\n## ")[0]
    ((_, _, block),) = (found for found in BLOCK.findall(section) if found[1] == "sh")
    install, rest = block.split("cp docs/", maxsplit=1)
    assert [line.split()[0] for line in install.splitlines()] == ["python3", "pip"]
    (tmp_path / "zoho-trial").mkdir()
    output = run_script(f"cp docs/{rest}", tmp_path, {}, ROOT)
    counts, shown = (dict(re.findall(r"│ (\w+) +│ +(\d+) │", table)) for table in (output, section))
    assert counts.keys() == shown.keys()
    assert sum(map(int, counts.values())) == sum(map(int, shown.values())) == 5_000
    # As a script, it fails if the tap does.
    (tmp_path / "snippet.sh").write_text(f"cp docs/{rest}")
    failing = "tap-zohovoice() { return 5; }; export -f tap-zohovoice"
    snippet = f"bash {tmp_path / 'snippet.sh'}"
    run_script(f"{failing}; code=0; {snippet} || code=$?; test $code = 5", tmp_path, {}, ROOT)


def block(page: str, kind: str, part: str) -> str:
    """Return the only block of a page that has this text."""
    (found,) = [text for text in blocks(FOLDER / page, kind) if part in text]
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


def output(path: Path) -> Run:
    return Run(0, [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()], "")


def test_settings_in_a_file(box: Sandbox, sh: Callable[..., str], tmp_path: Path) -> None:
    assert "The settings work." in sh(block("shell.md", "sh", "--test"))
    assert {*output(tmp_path / "calls.jsonl").ids} == server_ids(box)


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
    assert {*output(tmp_path / "calls.jsonl").ids} == server_ids(box)


def test_token_by_curl(box: Sandbox, sh: Callable[..., str]) -> None:
    if not shutil.which("curl"):
        pytest.skip("curl is not installed")
    script = block("token.md", "sh", "curl").replace("https://accounts.zoho.com", box.url)
    client = {name.upper(): box.config[name] for name in ("client_id", "client_secret")}
    assert json.loads(sh(script, CODE=OAuthClient.code, **client))["refresh_token"]


def test_block_for_recordings_stores_files(sh: Callable[..., str], tmp_path: Path) -> None:
    folder = tmp_path / "files"
    sh(block("recordings.md", "sh", "RECORDINGS_PATH").replace("/srv/calls", str(folder)))
    rows = output(tmp_path / "calls.jsonl").rows("recordings")
    stored = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    names = {re.sub(r"^\d{4}/\d\d/\d\d/(?=[^/]+$)", "day ", str(path)) for path in stored}
    assert names == {f"day {row['recording_filename']}" for row in rows} != set()


def test_blocks_for_more_streams_run(sh: Callable[..., str], tmp_path: Path) -> None:
    sh(block("recordings.md", "sh", "transcripts"))
    assert output(tmp_path / "calls.jsonl").rows("transcripts")
    (command,) = re.findall(r"`(TAP_ZOHOVOICE_STREAMS=[^`]*)`", TEXTS[FOLDER / "streams.md"])
    sh(command)
    assert len(output(tmp_path / "account.jsonl").rows("users")) > 1
    assert output(tmp_path / "account.jsonl").rows("call_queues")


def test_block_for_stream_maps_hides_people(sh: Callable[..., str], tmp_path: Path) -> None:
    (tmp_path / "maps.json").write_text(block("privacy.md", "json", "stream_maps"))
    page = TEXTS[FOLDER / "privacy.md"]
    (command,) = re.findall(r"`(tap-zohovoice --config config.json --config [^`]*)`", page)
    sh("tap-zohovoice --config config.json > plain.jsonl")
    assert "WARNING" not in sh(f"{command} > hidden.jsonl")
    plain, hidden = (output(tmp_path / f"{name}.jsonl").records for name in ("plain", "hidden"))
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
    assert install == "~/.venvs/tap-zohovoice/bin/pip install ./sandbox"
    (tmp_path / "config.json").unlink()
    sh(
        f"{start} > sandbox.log &\n"
        "until test -s config.json; do sleep 0.2; done\n"
        f"{block('sandbox.md', 'sh', 'calls.jsonl')}\n"
        "kill -INT $! && wait $!"
    )
    assert len({*output(tmp_path / "calls.jsonl").ids}) >= 5_000
    last = (tmp_path / "sandbox.log").read_text().splitlines()[-1]
    assert json.loads(last)["stats"]["requests"] >= 6
