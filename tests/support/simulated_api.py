"""A Zoho Voice in virtual time, without a socket: the model of the list of calls behind HTTP.

It stands in for the transport of `requests`, so that all of the tap runs as it is. It counts as
the server counts, and notes the first request that breaks a rule.
"""

from __future__ import annotations

import datetime as dt
import io
import json
import math
import os
import signal
from collections import defaultdict
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import parse_qsl, urlsplit

import requests
from werkzeug import Response

from tap_zohovoice._compat import override
from tap_zohovoice._time import Clock
from tap_zohovoice.exceptions import InvalidParameterError, RetriesExhaustedError
from tap_zohovoice.extract.windows import DateWindow
from tests.support.bad_responses import Words
from tests.support.cli import NOW
from tests.support.fake_server import Query, Server
from zoho_voice_sandbox import Dialect as Manners
from zoho_voice_sandbox import responses
from zoho_voice_sandbox.faults import apply_fault
from zoho_voice_sandbox.rate_limit import RateLimiter
from zoho_voice_sandbox.stats import EndpointStats
from zoho_voice_sandbox.token_endpoint import TokenEndpoint

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from typing_extensions import Buffer

    from tests.support.fake_server import Row

HOST = "https://voice.invalid"
TIMEOUT = 60.0
SECRETS = ("sandbox-client-secret", "1000.sandbox.refresh", "15550100", "Beeblebrox")
"""What must stand in no log: credentials, and what is personal in every row."""
_FEW_FILES = 2_000
"""More requests than all files and transcripts of a story take."""
_HAIR = 1e-6  # seconds that floats lose in the sums of a clock
_PLACES = {
    "/rest/json/zv/logs": "logs",
    "/rest/json/zv/logs/voicerecording": "files",
    "/rest/json/zv/transcribe": "transcripts",
}
_FILES = {"isRecording": ("call_recording", 3), "isVoiceMail": ("voicemail", 7)}
"""Field of a kind of file, and how many calls there are to one that has it."""
_AUDIO = b"RIFF\x00\x00\x00\x00WAVEfmt " + bytes(64)

Media = Literal["none", "told", "filtered"]
Fault = str | Words
"""FieldType of a fault, or what is said instead of the right answer."""


class KilledError(BaseException):
    """The process is no more."""


class BrokenRuleError(BaseException):
    """The tap did what it must not do; nothing of it may handle this."""


@dataclass(frozen=True)
class Stop:
    """What ends a run before its end.

    Attributes:
        how: SIGKILL, after which nothing happens any more, or SIGTERM.
        where: Whether it comes in a request, in a sleep, in a sleep after a lock was met, or while
            a message is written.
        number: In which one of them, from 1.
        share: How much of what was written and not flushed got out.
    """

    how: Literal["kill", "term"]
    where: Literal["request", "sleep", "lock", "write"]
    number: int
    share: float = 0.5


class WorldClock(Clock):
    """True time, and the wall clock of the machine that the tap runs on.

    Attributes:
        time: True time, in seconds since the epoch.
        ahead: How far the machine's wall clock is ahead, in seconds.
        is_dead: Whether the process was killed in a request: then its end, which asks for the time,
            is noted nowhere.
    """

    def __init__(self, time: float, ahead: float) -> None:
        self.time = time
        self.ahead = ahead
        self.is_dead = False
        self.before_sleep: Callable[[], None] = lambda: None

    @override
    def now(self) -> float:
        self._live()
        return self.time + self.ahead

    @override
    def monotonic(self) -> float:
        self._live()
        return self.time - NOW

    @override
    def sleep(self, seconds: float) -> None:
        self._live()
        self.before_sleep()
        self.time += seconds

    def _live(self) -> None:
        if self.is_dead:
            self.is_dead = False  # what Python tidies up after that does no harm
            raise KilledError


class _TrueClock(Clock):
    """The server's clock."""

    def __init__(self, clock: WorldClock) -> None:
        self._clock = clock

    @override
    def now(self) -> float:
        return self._clock.time

    @override
    def monotonic(self) -> float:
        return self._clock.time


@dataclass
class Account(Server):
    """The calls of an account in virtual time.

    Attributes:
        clock: True time.
        appeared: When a call that was not there from the start could be seen, in milliseconds.
        asked: When the list was last asked for, in milliseconds.
    """

    clock: WorldClock = field(default_factory=lambda: WorldClock(NOW, 0))
    appeared: dict[str, int] = field(default_factory=dict)
    asked: int = 0

    @property
    @override
    def now(self) -> int:
        return round(self.clock.time * 1000)

    @override
    def add(self, start: int) -> Row:
        row = super().add(start)
        # A call that is there now may as well have come right behind the last look.
        self.appeared[row[1]] = self.now if start > self.now else max(start, self.asked + 1)
        return row

    @override
    def names(self, row: Row, media: str) -> bool:
        return names(row[1], media)


def names(logid: str, media: str) -> bool:
    """Tell whether a call has a recording (`isRecording`) or a voicemail (`isVoiceMail`)."""
    return int(logid) % _FILES[media][1] == 0


def keys_of(logid: str, stream: str, media: Media) -> list[object]:
    """Tell which records of a stream a call makes, by their keys as they stand in records."""
    if stream == "call_logs":
        return [logid]
    kinds = [] if media == "none" else [name for name in _FILES if names(logid, name)]
    if stream == "recordings":
        return [_file_name(logid, name) for name in kinds]
    words = {"isRecording": "recording", "isVoiceMail": "voicemail"}
    told = [words[name] for name in kinds] if media == "told" else []
    return [(logid, kind) for kind in told or ["recording"]] if int(logid) % 5 == 0 else []


def _file_name(logid: str, media: str) -> str:
    return f"{logid}_{media}.wav"


@lru_cache(maxsize=100_000)
def _log(row: Row, shown: tuple[str, ...]) -> str:
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
        if names(logid, media):
            log[_FILES[media][0]] = {
                "recording_filename": _file_name(logid, media),
                "recording_size_in_bytes": len(_AUDIO),
            }
    return json.dumps(log)


class World:
    """Zoho Accounts and Zoho Voice, asked by one machine.

    Attributes:
        clock: True time and the machine's.
        account: The calls.
        requests: How many requests of this run there were, those for tokens left out.
        fired: Faults of this run that happened, by number of the request.
        tokens_failed: Faults of this run that happened to requests for a token.
        stop: What ends this run.
        stopped: Whether it did.
        is_misled: Whether an answer of this run could be taken for a list of calls that is none.

    Args:
        account: The calls.
        manners: How the server words its answers, and its limits.
        media: Whether calls have files, and whether they name them only if asked by a filter.
        latency: Seconds that an answer takes.
    """

    def __init__(self, account: Account, manners: Manners, media: Media, latency: float) -> None:
        self.clock = account.clock
        self.clock.before_sleep = self._sleep
        self.account = account
        self._manners = manners
        self._media = media
        self._latency = latency
        self._tokens = TokenEndpoint(_TrueClock(self.clock))
        self.forget()
        self.begin({}, {}, None)

    def forget(self) -> None:
        """Forget what was counted, for a machine whose runs know nothing of each other."""
        true = _TrueClock(self.clock)
        self._counts: dict[str, EndpointStats] = defaultdict(EndpointStats)
        self._limiters = {
            place: RateLimiter(true, self._counts[place]) for place in _PLACES.values()
        }
        self._seen: dict[str, list[float]] = defaultdict(list)
        self._told: dict[str, float] = {}

    def begin(
        self, faults: Mapping[int, Fault], token_faults: Mapping[int, Fault], stop: Stop | None
    ) -> None:
        """Begin a run.

        Args:
            faults: What goes wrong, by number of the request.
            token_faults: The same for requests for a token.
            stop: What ends the run.
        """
        self.clock.is_dead = False
        self.requests = self.listed = self.tokens = self.locks = 0
        self._asked_before = self.account.requests
        self._sleeps = self._sleeps_locked = self._writes = 0
        self.fired: dict[int, Fault] = {}
        self.tokens_failed: list[Fault] = []
        self.is_misled = False
        self.stop, self.stopped = stop, False
        self._faults, self._token_faults = faults, token_faults

    @property
    def is_killed(self) -> bool:
        """Whether this run was killed."""
        return self.stopped and self.stop is not None and self.stop.how == "kill"

    def write(self) -> None:
        """Note that the tap writes a message."""
        self._writes += 1
        self._stop("write", self._writes)

    def send(self, request: requests.PreparedRequest, **options: object) -> requests.Response:
        """Answer a request, or fail to: in place of the transport of `requests`.

        Args:
            request: The request.
            options: Those of `requests`.

        Raises:
            BrokenRuleError: If it must not have been made.
            requests.RequestException: If no answer comes.
        """
        if self.is_killed:
            raise KilledError
        if options["timeout"] != TIMEOUT:
            self.broken("a request without a time limit")
        url = urlsplit(str(request.url))
        place = _PLACES.get(url.path)
        if place is None:
            answer = self._token(request)
        else:
            answer = self._api(place, dict(parse_qsl(url.query)), request)
        response = requests.Response()
        response.status_code = answer.status_code
        response.headers.update(answer.headers)
        response.request, response.url = request, str(request.url)
        response.raw = _Raw(answer.get_data())
        return response

    def broken(self, what: str) -> None:
        """Say that a rule is broken.

        Raises:
            BrokenRuleError: Always.
        """
        message = f"{what}, {self.clock.time - NOW:.3f} s after the beginning"
        raise BrokenRuleError(message)

    def _api(
        self, place: str, params: dict[str, str], request: requests.PreparedRequest
    ) -> Response:
        self.requests += 1
        if self.requests > self.account.limit - self._asked_before + _FEW_FILES:
            self.broken(f"{self.requests} requests")
        self.listed += place == "logs"
        fault = self._faults.get(self.requests, "")
        if fault:
            self.fired[self.requests] = fault
        sent = self.clock.time
        if fault == "unreachable":
            self.clock.time += 1
            raise requests.ConnectionError
        self.clock.time += self._latency * (self.requests % 5) / 4
        self._count(place, fault)
        self.is_misled |= place == "logs" and isinstance(fault, Words) and fault.may_pass
        moment = self.clock.time
        seconds = self._limiters[place].hit(self._manners)
        if self._counts[place].violations:
            self.broken("more requests than are allowed")
        self._stop("request", self.requests)
        if seconds:
            answer = responses.rate_limit_response(self._manners, seconds)
        else:
            answer = self._judge(fault, place, params, request)
        if fault in {"timeout", "cut"}:
            self.clock.time = max(self.clock.time, sent + (TIMEOUT if fault == "timeout" else 0))
            raise requests.ReadTimeout if fault == "timeout" else requests.ConnectionError
        self.clock.time = max(self.clock.time, sent + self._latency)
        if seconds:
            self.locks += 1
            self._told[place] = moment + seconds
        return answer

    def _count(self, place: str, fault: Fault) -> None:
        seen = self._seen[place]
        seen.append(self.clock.time)
        most = self._manners.limit_calls
        if len(seen) >= most and seen[-1] - seen[-most] < self._manners.limit_seconds - _HAIR:
            self.broken(f"{most} requests in {seen[-1] - seen[-most]:.3f} s")
        if self.clock.time < self._told.get(place, -math.inf):
            self.broken("a request during a lock that was told")
        if fault == "lock":
            self._limiters[place].lock(self._manners)

    def _judge(
        self, fault: Fault, place: str, params: dict[str, str], request: requests.PreparedRequest
    ) -> Response:
        if isinstance(fault, Words):
            return _said(fault)
        if fault == "token":
            self._tokens.expire_tokens()
        if not self._tokens.accepts(request.headers.get("Authorization", "")):
            return responses.invalid_token_response(self._manners)
        right = {"logs": self._logs, "files": self._file, "transcripts": self._transcript}[place]
        if fault == "nothing":
            return Response(b"")
        if fault in {"timeout", "cut", "lock", "token"}:
            fault = ""
        answer = right(params)
        if answer.status_code >= 300:
            fault = ""  # an error that is spoiled is another error
        return apply_fault(fault, {}, _TrueClock(self.clock), lambda: answer)

    def _logs(self, params: dict[str, str]) -> Response:
        days = [params.pop(name) for name in ("fromDate", "toDate")]
        offset, size = int(params.pop("from")), int(params.pop("size"))
        call_type = params.pop("callType", None)
        media = [name for name in _FILES if params.pop(name, "") == "true"]
        if params or len(media) > 1:
            self.broken(f"an unknown question: {sorted(params)} {media}")
        query = Query(DateWindow(*map(dt.date.fromisoformat, days)), offset, size, call_type)
        try:
            rows, total = self.account.answer(query, *media)
        except InvalidParameterError as refusal:
            named = {"size": "Invalid value for size", "dates": "Invalid value for toDate"}
            return responses.error_response("ZVT015", named.get(refusal.blames, "Invalid request."))
        except RetriesExhaustedError:
            return responses.error_response("500", "failed", 500)
        except AssertionError as endless:
            self.broken(str(endless))
        self.account.asked = self.account.now
        shown = tuple(_FILES) if self._media == "told" else tuple(media)
        return self._envelope(rows, total, shown if self._media != "none" else ())

    def _envelope(self, rows: Iterable[Row], total: int | None, shown: tuple[str, ...]) -> Response:
        logs = ",".join(_log(row, shown) for row in rows)
        meta = "{}" if total is None else f'{{"total":{total}}}'
        rest = f'"status":"{self._manners.status_value}","meta":{meta}'
        if logs or self._manners.rows_form == "list":
            return _json(f'{{"logs":[{logs}],{rest}}}')
        forms = {
            "missing": f"{{{rest}}}",
            "null": f'{{"logs":null,{rest}}}',
            "body": "",
            "bare_list": "[]",
        }
        if self._manners.rows_form in forms:
            return _json(forms[self._manners.rows_form])
        return Response(status=204)

    def _file(self, params: dict[str, str]) -> Response:
        logid, _, media = params["recording_filename"].removesuffix(".wav").partition("_")
        if not names(logid, media):
            return responses.error_response("404", "no such file", 404)
        return Response(_AUDIO, content_type="application/octet-stream")

    def _transcript(self, params: dict[str, str]) -> Response:
        text = json.dumps({"transcriptionProvider": "made up", "logId": params["logId"]})
        return _json(json.dumps({"transcribeObj": text, "status": "SUCCESS"}))

    def _token(self, request: requests.PreparedRequest) -> Response:
        self.tokens += 1
        fault = self._token_faults.get(self.tokens, "")
        if fault:
            self.tokens_failed.append(fault)
        if fault in {"unreachable", "cut"}:
            raise requests.ConnectionError
        if fault == "timeout":
            self.clock.time += TIMEOUT
            raise requests.ReadTimeout
        self.clock.time += self._latency / 4
        if isinstance(fault, Words):
            return _said(fault)
        if fault == "denied":
            return responses.json_response({"error": "Access Denied", "status": "failure"})
        form = dict(parse_qsl(str(request.body)))
        true = _TrueClock(self.clock)
        return apply_fault(fault, {}, true, lambda: self._tokens.token(form, self._manners))

    def _sleep(self) -> None:
        self._sleeps += 1
        self._sleeps_locked += self.locks > 0
        self._stop("sleep", self._sleeps)
        self._stop("lock", self._sleeps_locked)

    def _stop(self, where: str, number: int) -> None:
        stop = self.stop
        if stop is None or self.stopped or (stop.where, stop.number) != (where, number):
            return
        self.stopped = True
        if stop.how == "term":
            os.kill(os.getpid(), signal.SIGTERM)
            return
        self.clock.is_dead = where == "request"
        raise KilledError


class _Raw(io.BytesIO):
    """A body that is read as it comes."""

    @override
    def read1(self, size: int | None = -1, *, decode_content: bool = False) -> bytes:
        del decode_content
        return super().read1(size)


def _said(words: Words) -> Response:
    return Response(words.body, words.status, list(words.headers))


def _json(body: str) -> Response:
    return Response(body, content_type="application/json;charset=UTF-8")


class Pipe(io.BytesIO):
    """Standard output: what was flushed is out, what was not may be lost with the process.

    Args:
        world: Told of each line.
    """

    def __init__(self, world: World) -> None:
        super().__init__()
        self._world = world
        self._flushed = 0

    @override
    def write(self, data: Buffer, /) -> int:
        written = 0
        for line in bytes(data).splitlines(keepends=True):
            if not self._world.is_killed:
                written += super().write(line)
                self._world.write()
        return written

    @override
    def flush(self) -> None:
        if not self._world.is_killed:
            self._flushed = self.tell()

    def lines(self) -> list[bytes]:
        """Return the whole lines that got out."""
        data = self.getvalue()
        if self._world.is_killed and self._world.stop:
            waiting = len(data) - self._flushed
            data = data[: self._flushed + int(waiting * self._world.stop.share)]
        return data.split(b"\n")[:-1]
