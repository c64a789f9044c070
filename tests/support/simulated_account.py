"""An account in virtual time: its clock, its calls, and their rows."""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Literal

from tap_zohovoice._compat import override
from tap_zohovoice._time import Clock
from tests.support.cli import NOW
from tests.support.fake_server import FakeServer, Row
from zoho_voice_sandbox.row_forms import encode

FILES = {"isRecording": ("call_recording", 3), "isVoiceMail": ("voicemail", 7)}
"""Key of a kind of file, and the number of calls per call that has it."""
AUDIO = b"RIFF\x00\x00\x00\x00WAVEfmt " + bytes(64)

Files = Literal["none", "always", "filtered"]
"""Whether calls have files, and whether rows name them only where a filter asks for them."""


class KilledError(BaseException):
    """The process was killed."""


class SimulatedClock(Clock):
    """True time, and the wall clock of the machine that the tap runs on."""

    def __init__(self, time: float, ahead: float) -> None:
        self.time = time
        self.ahead = ahead  # seconds of the wall clock
        # Killed in a request: what happens at the end, which reads the time, does not happen.
        self.is_dead = False
        self.before_sleep: Callable[[], None] = lambda: None

    @override
    def now(self) -> float:
        self._check_alive()
        return self.time + self.ahead

    @override
    def monotonic(self) -> float:
        self._check_alive()
        return self.time - NOW

    @override
    def sleep(self, seconds: float) -> None:
        self._check_alive()
        self.before_sleep()
        self.time += seconds

    @override
    @contextmanager
    def every(self, seconds: float, func: Callable[[], None]) -> Generator[None]:
        yield  # nobody reads the reports

    def _check_alive(self) -> None:
        if self.is_dead:
            self.is_dead = False  # what Python tidies up after that does no harm
            raise KilledError


class ServerClock(Clock):
    """True time."""

    def __init__(self, clock: SimulatedClock) -> None:
        self._clock = clock

    @override
    def now(self) -> float:
        return self._clock.time

    @override
    def monotonic(self) -> float:
        return self._clock.time


@dataclass
class SimulatedAccount(FakeServer):
    clock: SimulatedClock = field(default_factory=lambda: SimulatedClock(NOW, 0))
    # When a call that was not there from the start could be seen, in milliseconds.
    appeared: dict[str, int] = field(default_factory=dict)
    listed_at: int = 0  # time of the last request for call logs, in milliseconds

    @property
    @override
    def now(self) -> int:
        return round(self.clock.time * 1000)

    @override
    def add(self, start: int, logid: str = "") -> Row:
        row = super().add(start, logid)
        if logid:
            return row
        # A call that is there now may as well have come right behind the last request.
        self.appeared[row[1]] = self.now if start > self.now else max(start, self.listed_at + 1)
        return row

    @override
    def matches(self, row: Row, name: str, value: str) -> bool:
        if name in FILES:
            return value != "true" or has_file(row[1], name)
        return super().matches(row, name, value)


def has_file(logid: str, media: str) -> bool:
    return int(logid) % FILES[media][1] == 0


def keys_of(logid: str, stream: str, files: Files) -> list[object]:
    """Return the keys of the records that a call makes in a stream."""
    if stream == "call_logs":
        return [logid]
    media = [name for name in FILES if has_file(logid, name)]
    if stream == "recordings":
        return [] if files == "none" else [_file_name(logid, name) for name in media]
    words = {"isRecording": "recording", "isVoiceMail": "voicemail"}
    return [(logid, words[name]) for name in media] if int(logid) % 5 == 0 else []


def _file_name(logid: str, media: str) -> str:
    return f"{logid}_{media}.wav"


@lru_cache(maxsize=100_000)
def build_log(row: Row, shown: tuple[str, ...]) -> dict[str, Any]:
    """Return a row as the API sends it, with these kinds of files."""
    start, logid, call_type = row
    log: dict[str, Any] = {
        "logid": logid,
        "start_time": str(start),
        "call_type": call_type,
        "duration": "01:05",
        "caller_id_number": "+15550100123",
        "contact_name": "Beeblebrox",
        "undocumented": {"since": start},
    }
    if int(logid) % 5 == 0:
        log["call_recording_transcription_status"] = "completed"
    for media in shown:
        if has_file(logid, media):
            log[FILES[media][0]] = {
                "recording_filename": _file_name(logid, media),
                "recording_size_in_bytes": len(AUDIO),
            }
    return log


@lru_cache(maxsize=100_000)
def encode_log(row: Row, shown: tuple[str, ...]) -> bytes:
    """Return a row as JSON; the arguments are those of `build_log`."""
    return encode(build_log(row, shown))
