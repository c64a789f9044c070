"""Recordings on an object store: s3fs against a simulated S3."""

import hashlib
import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest

from tap_zohovoice.exceptions import StorageError
from tap_zohovoice.recordings.storage import open_storage
from tests.support.calls import call, history
from tests.support.cli import NOW, FakeClock, RunTap
from tests.support.folders import files
from zoho_voice_sandbox import Dialect, Sandbox

# s3fs and the simulated S3 use what newer versions of Python deprecate.
pytestmark = pytest.mark.filterwarnings("default")
moto = pytest.importorskip("moto.server", reason="moto is not installed")
pytest.importorskip("s3fs", reason="s3fs is not installed")

URL = "s3://bucket/calls"


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    server = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def bucket(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Yield a file system with an empty bucket, which the environment gives access to."""
    monkeypatch.setattr(logging.getLogger("werkzeug"), "disabled", True)  # it logs names of files
    for name, value in {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": "us-east-1",
        "NO_PROXY": "127.0.0.1",
    }.items():
        monkeypatch.setenv(name, value)
    s3 = fsspec.filesystem("s3", use_listings_cache=False)
    s3.mkdir("bucket")
    yield s3
    s3.rm("bucket", recursive=True)


@pytest.mark.parametrize("number", [1, 10])
def test_files_of_each_new_day_are_stored_once(
    run_tap: RunTap, clock: FakeClock, bucket: Any, number: int
) -> None:
    with Sandbox(history=history(40), clock=clock) as box:
        config = {
            **box.config, "recordings_path": URL, "recordings_per_request": number,
            "lookback_days": 3650,
        }  # fmt: skip
        first = run_tap(config)
        assert first.exit_code == 0, first.log
        rows = first.rows("recordings")
        assert len({row["start_time"][:10] for row in rows}) > 1
        for row in rows:
            assert row["error"] is None
            assert row["uri"] == (
                f"{URL}/{row['start_time'][:10].replace('-', '/')}/{row['recording_filename']}"
            )
            content = bucket.cat_file(row["uri"])
            assert content == box.audio.read(row["recording_filename"])
            assert row["sha256"] == hashlib.sha256(content).hexdigest()
        assert len(bucket.find("bucket")) == len(rows)
        requests = box.stats.files.requests
        assert requests == len(rows) if number == 1 else requests < len(rows) / 4
        second = run_tap(config, state=first.state)
        assert second.exit_code == 0, second.log
        assert box.stats.files.requests == requests
    assert [row["sha256"] for row in second.rows("recordings")] == [row["sha256"] for row in rows]


@pytest.mark.usefixtures("bucket")
def test_missing_bucket_is_an_error_and_not_created(run_tap: RunTap, clock: FakeClock) -> None:
    with Sandbox(history=history(40), clock=clock) as box:
        run = run_tap({**box.config, "recordings_path": "s3://misspelt/calls"})
    assert run.exit_code == 1
    assert "recordings_path: FileNotFoundError" in run.log
    assert "misspelt" not in run.log
    assert "Traceback" not in run.log
    assert not fsspec.filesystem("s3", use_listings_cache=False).exists("misspelt")


@pytest.mark.usefixtures("bucket")
def test_prefix_in_place_of_file_is_an_error(bucket: Any) -> None:
    bucket.pipe_file("bucket/calls/2026/01/02/x.wav/other", b"content")
    with pytest.raises(StorageError, match="exists, but is not a regular file"):
        open_storage(URL).stat("2026/01/02/x.wav")


KILL_BEFORE_UPLOAD = """
from tap_zohovoice.recordings.storage import Storage
Storage.publish = kill
"""
KILL_AFTER_ALL_PARTS = """
import s3fs
call_s3 = s3fs.S3FileSystem._call_s3
async def kill_at_last(self, method, *args, **more):
    if method == "complete_multipart_upload":
        kill()
    return await call_s3(self, method, *args, **more)
s3fs.S3FileSystem._call_s3 = kill_at_last
s3fs.core.calculate_chunksize = lambda *_args, **_more: 5 * 2**20
"""


@pytest.mark.parametrize(
    ("killer", "size"),
    [(KILL_BEFORE_UPLOAD, 5_000), (KILL_AFTER_ALL_PARTS, 11 * 1024 * 1024)],
    ids=["download", "upload in parts"],
)
def test_killed_run_leaves_no_partial_file(
    bucket: Any, tmp_path: Path, killer: str, size: int
) -> None:
    temp = tmp_path / "temp"
    temp.mkdir()
    content = b"RIFF\0\0\0\0WAVE" + bytes(size)
    with Sandbox(history=None, dialect=Dialect(limit_calls=10_000)) as box:
        start = round(NOW * 1000) - 86_400_000
        name = {"recording_filename": "large.wav"}
        box.store.add(call(box, "large", start, call_recording=name))
        box.audio.put("large.wav", content)
        config = tmp_path / "config.json"
        # The second run waits for slots of the first one.
        settings = {"recordings_path": URL, "start_date": "2026-01-01", "rate_limit_seconds": 1}
        config.write_text(json.dumps({**box.config, **settings}))
        code = (
            "import os, signal, sys\n"
            "from tap_zohovoice.tap import TapZohoVoice\n"
            "def kill(*_args, **_kwargs): os.kill(os.getpid(), signal.SIGKILL)\n"
            f"{killer}\n"
            "TapZohoVoice.cli()\n"
        )
        arguments = ["-c", code, "--config", str(config)]
        environment = {**os.environ, "TMPDIR": str(temp)}
        killed = subprocess.run(
            [sys.executable, *arguments], env=environment, capture_output=True, check=False
        )
        assert killed.returncode == -9, killed.stderr
        assert bucket.find("bucket") == []
        assert len(files(temp)) == 1
        arguments[1] = "from tap_zohovoice.tap import TapZohoVoice\nTapZohoVoice.cli()"
        subprocess.run(
            [sys.executable, *arguments], env=environment, capture_output=True, check=True
        )
    assert bucket.find("bucket") == ["bucket/calls/2026/02/28/large.wav"]
    assert bucket.cat_file("bucket/calls/2026/02/28/large.wav") == content
    assert files(temp) == set()
