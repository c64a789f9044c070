"""A pipeline: an account, a warehouse, and the state in Meltano."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from e2e.account import KEYS
from e2e.project import DATABASE, FOLDER, MELTANO, TAP, environment

if TYPE_CHECKING:
    from e2e.warehouses import Warehouse
    from zoho_voice_sandbox import Sandbox

_PATIENCE_SECONDS = 300.0


@dataclass
class Run:
    """The result of a run of Meltano."""

    exit_code: int
    log: str


class Pipeline:
    """`meltano run tap-zohovoice` and a loader.

    Args:
        box: The account.
        warehouse: Where it goes.
        folder: Where the database of Meltano goes, and what else is left behind.
        settings: Further settings, as variables of the environment.
        job: A job to run instead.
    """

    def __init__(
        self,
        box: Sandbox,
        warehouse: Warehouse,
        folder: Path,
        settings: dict[str, str],
        job: str = "",
    ) -> None:
        self._loader = warehouse.loader
        self._blocks = [job] if job else [TAP, warehouse.loader]
        self._database = Path(shutil.copy(DATABASE, folder))
        self._logs = folder
        self._runs = 0
        config = {f"TAP_ZOHOVOICE_{name.upper()}": value for name, value in box.config.items()}
        self._environment = {
            **environment(),
            **config,
            "TAP_ZOHOVOICE_RATE_LIMIT_CALLS": "100000",
            "TAP_ZOHOVOICE__SELECT": json.dumps([f"{stream}.*" for stream in KEYS]),
            "MELTANO_DATABASE_URI": f"sqlite:///{self._database}",
            "XDG_STATE_HOME": str(folder / "state"),
            "TMPDIR": str(folder),
            **warehouse.settings,
            **settings,
        }

    def start(self, *options: str) -> subprocess.Popen[bytes]:
        """Start a run in a new process group."""
        self._runs += 1
        with self._log.open("wb") as log:
            return subprocess.Popen(
                [MELTANO, "run", *options, *self._blocks],
                cwd=FOLDER,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def finish(self, process: subprocess.Popen[bytes]) -> Run:
        """Wait for the end of a run, and stop all its processes."""
        try:
            process.wait(_PATIENCE_SECONDS)
        finally:
            kill_group(process)
        return Run(process.returncode, self._log.read_text(encoding="utf-8", errors="replace"))

    @property
    def _log(self) -> Path:
        return self._logs / f"meltano-{self._runs}.log"

    def run(self, *options: str) -> Run:
        """Run from start to end."""
        return self.finish(self.start(*options))

    def bookmarks(self) -> dict[str, Any]:
        """Return the bookmarks in the database of Meltano, empty if it has no state."""
        with sqlite3.connect(f"file:{self._database}?mode=ro", uri=True) as connection:
            rows = connection.execute(
                "SELECT partial_state, completed_state FROM state WHERE state_id = ?",
                (f"dev:{TAP}-to-{self._loader}",),
            ).fetchall()
        connection.close()
        bookmarks: dict[str, Any] = {}
        for partial, completed in rows:
            for text in (completed, partial):
                state = json.loads(text or "{}").get("singer_state", {})
                bookmarks |= state.get("bookmarks", {})
        return bookmarks


def kill_group(process: subprocess.Popen[bytes]) -> None:
    """Kill a run and all its processes, and wait for their end."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
    process.wait(_PATIENCE_SECONDS)
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while _members(process.pid):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def tap_of(process: subprocess.Popen[bytes]) -> int:
    """Return the id of the tap's process in a run."""
    (tap,) = [
        member
        for member in _members(process.pid)
        if re.search(rb"/bin/tap-zohovoice\0", Path(f"/proc/{member}/cmdline").read_bytes())
    ]
    return tap


def _members(group: int) -> list[int]:
    """Return the ids of the processes of a group that still run."""
    members = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            state, _, process_group = (folder / "stat").read_text().rpartition(")")[2].split()[:3]
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(process_group) == group and state not in "ZX":
            members.append(int(folder.name))
    return members
