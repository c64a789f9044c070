"""The Meltano project of the repository, in a copy of the checkout with all plugins installed.

`python -m e2e.project` makes it, or brings it up to date; the tests do not install anything.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / ".e2e" / "project"
MELTANO = ROOT / ".e2e" / "meltano" / "bin" / "meltano"
DATABASE = FOLDER / ".meltano" / "meltano.db"
"""Meltano's database before any run: a copy of it spares a test the migrations."""
TAP = "tap-zohovoice"
LOADERS = ("target-jsonl", "target-duckdb", "target-postgres", "target-snowflake")
UTILITIES = ("dbt-duckdb", "dbt-postgres")
_FAKE_SNOWFLAKE = ROOT / "e2e" / "snowflake.py"
_PATIENCE_SECONDS = 600


def environment() -> dict[str, str]:
    """Return the environment for Meltano, without the user's settings of plugins."""
    foreign = ("TAP_", "TARGET_", "MELTANO", "SINGER_", "PG", "DBT_")
    own = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    return own | {
        "MELTANO_VENV_BACKEND": "uv",
        "MELTANO_AUTO_INSTALL": "false",
        "MELTANO_SEND_ANONYMOUS_USAGE_STATS": "false",
        "UV_CACHE_DIR": str(ROOT / ".cache" / "uv"),
        "UV_NO_PROGRESS": "1",
        "NO_COLOR": "1",
        "NO_PROXY": "127.0.0.1",
        "no_proxy": "127.0.0.1",
    }


def programs(plugin: str) -> Path:
    """Return the folder of a plugin's programs."""
    return FOLDER / ".meltano" / _kind(plugin) / plugin / "venv" / "bin"


def _kind(plugin: str) -> str:
    return "extractors" if plugin == TAP else "loaders" if plugin in LOADERS else "utilities"


def _copy() -> None:
    """Copy the checkout without hidden files: a developer's .env contains real secrets."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for old in FOLDER.iterdir():
        if old.name == ".meltano":
            continue
        if old.is_dir():
            shutil.rmtree(old)
        else:
            old.unlink()
    ignored = shutil.ignore_patterns(".*", "__pycache__", "*.egg-info", "dist", "build")
    shutil.copytree(ROOT, FOLDER, dirs_exist_ok=True, ignore=ignored)


def _pins(plugin: str) -> Path:
    name = "dbt" if plugin in UTILITIES else plugin
    own = ROOT / "requirements" / "e2e" / f"{name}.txt"
    return own if own.exists() else ROOT / "requirements" / "constraints.txt"


def _install(plugin: str) -> None:
    """Install a plugin as `meltano install` does, with pinned versions and hashes."""
    pins = _pins(plugin)
    sources = [pins, ROOT / "meltano.yml"]
    if plugin == "target-snowflake":
        sources.append(_FAKE_SNOWFLAKE)
    wanted = hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()
    stamp = programs(plugin).parent / "pins"
    if plugin != TAP and stamp.exists() and stamp.read_text() == wanted:
        return
    began = time.monotonic()
    settings = environment() | {
        "UV_CONSTRAINT": str(pins),
        "UV_BUILD_CONSTRAINT": str(ROOT / "requirements" / "constraints.txt"),
    }
    _run([str(MELTANO), "install", "--clean", _kind(plugin), plugin], settings)
    if plugin == "target-snowflake":
        _fake_snowflake(settings)
    stamp.write_text(wanted)
    sys.stdout.write(f"{plugin} installed in {time.monotonic() - began:.1f} s\n")


def _fake_snowflake(settings: dict[str, str]) -> None:
    """Let the loader use fakesnow instead of Snowflake."""
    bin_folder = programs("target-snowflake")
    uv = MELTANO.with_name("uv")
    python = bin_folder / "python"
    _run([str(uv), "pip", "install", "--quiet", "--python", str(python), "fakesnow"], settings)
    program = bin_folder / "target-snowflake"
    script = _FAKE_SNOWFLAKE.read_text(encoding="utf-8")
    program.write_text(f"#!{python}\n{script}", encoding="utf-8")


def _run(command: list[str], settings: dict[str, str]) -> None:
    ran = subprocess.run(
        command,
        cwd=FOLDER,
        env=settings,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=_PATIENCE_SECONDS,
        check=False,
    )
    if ran.returncode:
        sys.exit(f"{' '.join(command)} ended with {ran.returncode}\n{ran.stdout.decode()}")


def main() -> None:
    """Create or update the project."""
    _copy()
    for plugin in (TAP, *LOADERS, *UTILITIES):
        _install(plugin)


if __name__ == "__main__":
    main()
