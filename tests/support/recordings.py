"""Accounts whose files the tap stores in a folder, and what came of it."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from tests.support.account import Account
from tests.support.calls import call
from tests.support.cli import NOW, Run
from zoho_voice_sandbox import calls
from zoho_voice_sandbox.audio_fixtures import duration, wav_size

AUDIO = b"RIFF\0\0\0\0WAVE"
"""The first bytes of a file."""
BEFORE = round(NOW * 1000) - 86_400_000
"""When a call with a file started, unless it matters."""


class FileAccount(Account):
    """An account, and runs of the tap that store its files."""

    def __init__(self, folder: Path, own: dict[str, Any], *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.folder = folder
        self.own |= {"recordings_path": str(folder), **own}

    def download(self, **settings: Any) -> Run:
        """Run the tap; check that its rows tell the truth, and that the folder has their files."""
        run = self.succeed(**settings)
        for row in run.rows("recordings"):
            assert row["error"] is None
            path = stored_path(row)
            content = path.read_bytes()
            assert content == self.audio.read(row["recording_filename"])
            digest = hashlib.sha256(content).hexdigest()
            assert (row["bytes"], row["sha256"]) == (len(content), digest)
            assert row["content_type"] == "audio/wav"
            assert row["downloaded_at"]
            assert path.parent == self.folder / row["start_time"][:10].replace("-", "/")
        assert files(self.folder) == {stored_path(row) for row in run.rows("recordings")}
        return run

    def add_file(self, logid: str, name: str, start: int = BEFORE, **told: Any) -> None:
        """Add a call whose recording has a name."""
        recording = {"recording_filename": name, **told}
        self.store.add(call(self, logid, start, call_recording=recording))

    def add_files(self, count: int) -> None:
        """Add recordings named `001.wav` and so on, whose logs tell their sizes."""
        for number in range(1, count + 1):
            self.add_sized_file(number, f"{number:03}.wav")

    def add_sized_file(self, number: float, name: str) -> None:
        size = wav_size(duration(name))
        start = round(BEFORE + number * 10)
        self.add_file(f"call-{number:03}", name, start, recording_size_in_bytes=size)

    @property
    def named(self) -> set[str]:
        """The files that the calls of the account name."""
        return {name for row in self.store.rows() for name in calls.file_names(row)}

    @property
    def requested(self) -> list[int]:
        """The number of files in each request."""
        log = self.stats.files.log
        return [len(params["recording_filename"].split(",")) for _, params, _ in log]


FileAccounts = Callable[..., FileAccount]
"""The fixture `account` of tests of files."""


def files(folder: Path) -> set[Path]:
    return {path for path in folder.rglob("*") if not path.is_dir()}


def stored_path(row: dict[str, Any]) -> Path:
    return Path(unquote(urlsplit(row["uri"]).path))


def file_names(*runs: Run) -> set[str]:
    return {row["recording_filename"] for run in runs for row in run.rows("recordings")}


def errors(run: Run) -> list[str]:
    return [row["error"] for row in run.rows("recordings") if row["error"]]
