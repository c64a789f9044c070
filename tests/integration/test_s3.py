"""Recordings on an object store: s3fs against a simulated S3."""

import hashlib
import logging
from collections.abc import Iterator
from typing import Any

import fsspec
import pytest

from tests.support.account import Accounts

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
def test_files_of_each_day_are_stored_once(account: Accounts, bucket: Any, number: int) -> None:
    own = {"recordings_path": URL, "recordings_per_request": number, "lookback_days": 3650}
    with account(40) as box:
        first = box.succeed(**own)
        rows = first.rows("recordings")
        assert len({row["start_time"][:10] for row in rows}) > 1
        for row in rows:
            assert row["error"] is None
            day = row["start_time"][:10].replace("-", "/")
            assert row["uri"] == f"{URL}/{day}/{row['recording_filename']}"
            content = bucket.cat_file(row["uri"])
            assert content == box.audio.read(row["recording_filename"])
            assert row["sha256"] == hashlib.sha256(content).hexdigest()
        assert len(bucket.find("bucket")) == len(rows)
        requests = box.stats.files.requests
        assert requests == len(rows) if number == 1 else requests < len(rows) / 4
        second = box.succeed(**own, state=first.state)
        assert box.stats.files.requests == requests
    assert [row["sha256"] for row in second.rows("recordings")] == [row["sha256"] for row in rows]


def test_missing_bucket_is_an_error_and_not_created(account: Accounts, bucket: Any) -> None:
    with account(40) as box:
        run = box.fail("recordings_path: FileNotFound", recordings_path="s3://misspelt/calls")
    assert "misspelt" not in run.log
    assert not bucket.exists("misspelt")
