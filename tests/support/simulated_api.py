"""Zoho Voice in virtual time: the sandbox's core in place of the transport of `requests`.

All of the tap runs as it is. The server counts as the real one does, and stops the test at the
first request that violates a rule.
"""

import io
import json
import math
import os
import signal
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, NoReturn
from urllib.parse import parse_qsl, urlsplit

import requests
from typing_extensions import Buffer
from werkzeug import Response

from tap_zohovoice._compat import override
from tests.support.bad_responses import BadResponse
from tests.support.cli import NOW
from tests.support.simulated_account import (
    AUDIO,
    FILES,
    EndlessError,
    Files,
    KilledError,
    ServerClock,
    SimulatedAccount,
    build_log,
    encode_log,
    has_file,
)
from zoho_voice_sandbox.addresses import PATHS, EndpointName
from zoho_voice_sandbox.calls import rewrite_times
from zoho_voice_sandbox.faults import apply_fault
from zoho_voice_sandbox.files import several_files_response
from zoho_voice_sandbox.logs import list_response
from zoho_voice_sandbox.params import InvalidParameterError
from zoho_voice_sandbox.query import QueryFailedError, parse_query
from zoho_voice_sandbox.rate_limit import RateLimiter
from zoho_voice_sandbox.responses import (
    error_response,
    invalid_token_response,
    json_response,
    rate_limit_response,
    set_date,
)
from zoho_voice_sandbox.row_forms import encode
from zoho_voice_sandbox.stats import EndpointStats
from zoho_voice_sandbox.token_endpoint import TokenEndpoint

HOST = "https://voice.invalid"
TIMEOUT = 60.0
SECRETS = ("sandbox-client-secret", "1000.sandbox.refresh", "15550100", "Beeblebrox")
"""What no log may contain: credentials, and personal data of every row."""
_MAX_FILES = 2_000
"""More requests than all files and transcripts of a scenario take."""
_ROUNDING = 1e-6  # seconds that floats lose in the sums of a clock
_PARAMETERS = {"fromDate", "toDate", "from", "size", "callType", "isRecording", "isVoiceMail"}
Fault = str | BadResponse
"""Name of a fault, or the response to send instead of the right one."""


class RuleViolationError(BaseException):
    """The tap did what it must not do; no handler of the tap may catch this."""


@dataclass(frozen=True)
class Stop:
    how: Literal["kill", "term"]  # SIGKILL, after which nothing happens any more, or SIGTERM
    # In a request, in a sleep, in a sleep after a lock, or while a message is written.
    where: Literal["request", "sleep", "lock", "write"]
    number: int  # in which of them, from 1
    share: float = 0.5  # share of the unflushed output that got out


class SimulatedApi:
    """Zoho Accounts and Zoho Voice, used by one machine."""

    def __init__(self, account: SimulatedAccount, files: Files, latency: float) -> None:
        self.clock = account.clock
        self.clock.before_sleep = self._sleep
        self.account = account
        self._dialect = account.dialect
        self._files = files
        self._latency = latency
        self._tokens = TokenEndpoint(ServerClock(self.clock))
        self.reset_limits()
        self.start_run({}, {}, None)

    def reset_limits(self) -> None:
        """Forget earlier runs, for a machine whose runs do not share their counts."""
        clock = ServerClock(self.clock)
        self._stats: dict[str, EndpointStats] = defaultdict(EndpointStats)
        self._limiters = {name: RateLimiter(clock, self._stats[name]) for name in PATHS.values()}
        self._arrivals: dict[str, list[float]] = defaultdict(list)
        self._locked_until: dict[str, float] = {}

    def start_run(
        self, faults: Mapping[int, Fault], token_faults: Mapping[int, Fault], stop: Stop | None
    ) -> None:
        self.clock.is_dead = False
        self.requests = self.listed = self.tokens = self.locks = 0
        self._listed_before = self.account.requests
        self._sleeps = self._sleeps_locked = self._writes = 0
        self.fired: dict[int, Fault] = {}  # by number of the request
        self.tokens_failed: list[Fault] = []
        self.is_misled = False  # whether a faulty response could pass for a list of calls
        self.stop, self.stopped = stop, False
        self._faults, self._token_faults = faults, token_faults

    @property
    def is_killed(self) -> bool:
        return self.stopped and self.stop is not None and self.stop.how == "kill"

    def count_write(self) -> None:
        self._writes += 1
        self._stop("write", self._writes)

    def send(self, request: requests.PreparedRequest, **options: object) -> requests.Response:
        """Respond to a request, in place of the transport of `requests`."""
        if self.is_killed:
            raise KilledError
        if options["timeout"] != TIMEOUT:
            self.fail("a request without a time limit")
        url = urlsplit(str(request.url))
        name = PATHS.get(url.path)
        params = dict(parse_qsl(url.query))
        sent = self._api(name, params, request) if name else self._token(request)
        if "Date" not in sent.headers:
            set_date(sent, self._dialect, self.clock.time)
        if not sent.headers["Date"]:
            del sent.headers["Date"]
        response = requests.Response()
        response.status_code = sent.status_code
        response.headers.update(sent.headers)
        response.request, response.url = request, str(request.url)
        response.raw = _Raw(sent.get_data())
        return response

    def fail(self, violation: str) -> NoReturn:
        message = f"{violation}, {self.clock.time - NOW:.3f} s after the beginning"
        raise RuleViolationError(message)

    def _api(
        self, name: EndpointName, params: dict[str, str], request: requests.PreparedRequest
    ) -> Response:
        self.requests += 1
        if self.requests > self.account.max_requests - self._listed_before + _MAX_FILES:
            self.fail(f"{self.requests} requests")
        self.listed += name == "logs"
        fault = self._faults.get(self.requests, "")
        if fault:
            self.fired[self.requests] = fault
        sent = self.clock.time
        if fault == "unreachable":
            self.clock.time += 1
            raise requests.ConnectionError
        self.clock.time += self._latency * (self.requests % 5) / 4
        self._check_rate(name, fault)
        self.is_misled |= name == "logs" and isinstance(fault, BadResponse) and fault.may_pass
        moment = self.clock.time
        seconds = self._limiters[name].hit(self._dialect)
        if self._stats[name].violations:
            self.fail("more requests than are allowed")
        self._stop("request", self.requests)
        if seconds:
            response = rate_limit_response(self._dialect, seconds)
        else:
            authorization = request.headers.get("Authorization", "")
            response = self._respond(fault, name, params, authorization)
        if fault in {"timeout", "cut"}:
            self.clock.time = max(self.clock.time, sent + (TIMEOUT if fault == "timeout" else 0))
            raise requests.ReadTimeout if fault == "timeout" else requests.ConnectionError
        self.clock.time = max(self.clock.time, sent + self._latency)
        if seconds:
            self.locks += 1
            self._locked_until[name] = moment + seconds
        return response

    def _check_rate(self, name: EndpointName, fault: Fault) -> None:
        arrivals = self._arrivals[name]
        arrivals.append(self.clock.time)
        most = self._dialect.limit_calls
        seconds = arrivals[-1] - arrivals[-most] if len(arrivals) >= most else math.inf
        if seconds < self._dialect.limit_seconds - _ROUNDING:
            self.fail(f"{most} requests in {seconds:.3f} s")
        if self.clock.time < self._locked_until.get(name, -math.inf):
            self.fail("a request during a lock that the tap knows of")
        if fault == "lock":
            self._limiters[name].lock(self._dialect)

    def _respond(
        self, fault: Fault, name: EndpointName, params: dict[str, str], authorization: str
    ) -> Response:
        if isinstance(fault, BadResponse):
            return _to_response(fault)
        if fault == "token":
            self._tokens.expire_tokens()
        if not self._tokens.accepts(authorization):
            return invalid_token_response(self._dialect)
        if fault == "nothing":
            return Response(b"")
        handlers = {"logs": self._logs, "files": self._file, "transcripts": self._transcript}
        response = handlers[name](params)
        # A damaged error is another error.
        is_whole = fault in {"timeout", "cut", "lock", "token"} or response.status_code >= 300
        kind = "" if is_whole else fault
        return apply_fault(kind, {}, ServerClock(self.clock), lambda: response)

    def _logs(self, params: dict[str, str]) -> Response:
        media = [name for name in FILES if params.get(name) == "true"]
        if not params.keys() <= _PARAMETERS or len(media) > 1:
            self.fail(f"unexpected parameters: {sorted(params)}")
        try:
            query = parse_query(params, self._dialect)
            page = self.account.run(query)
        except InvalidParameterError as error:
            return error_response(error.code, error.message)
        except QueryFailedError as error:
            if error.failure == "error500":
                return error_response("500", "failed", 500)
            if error.failure == "timeout":
                self.clock.time += TIMEOUT
                raise requests.ReadTimeout from error
            raise requests.ConnectionError from error
        except EndlessError as error:
            self.fail(str(error))
        named = {"none": (), "always": tuple(FILES), "filtered": tuple(media)}[self._files]
        logs = [encode_log(row, named) for row in page.rows]
        if self._dialect.wrong_start != "none":
            rows = (build_log(row, named) for row in page.rows)
            logs = [encode(rewrite_times(row, self._dialect)) for row in rows]
        return list_response(logs, page.total, self._dialect)

    def _file(self, params: dict[str, str]) -> Response:
        names = params["recording_filename"].split(",")
        files = {name: _audio(name) for name in names}
        try:
            content = (
                several_files_response(files, self._dialect) if len(names) > 1 else files[names[0]]
            )
        except InvalidParameterError as error:
            return error_response(error.code, error.message)
        if content is None:
            return error_response("404", "no such file", 404)
        if isinstance(content, Response):
            return content
        return Response(content, content_type="application/octet-stream")

    def _transcript(self, params: dict[str, str]) -> Response:
        text = json.dumps({"transcriptionProvider": "made up", "logId": params["logId"]})
        return json_response({"transcribeObj": text, "status": "SUCCESS"})

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
        if isinstance(fault, BadResponse):
            return _to_response(fault)
        if fault == "denied":
            return json_response({"error": "Access Denied", "status": "failure"})
        form = dict(parse_qsl(str(request.body)))
        clock = ServerClock(self.clock)
        return apply_fault(fault, {}, clock, lambda: self._tokens.token(form, self._dialect))

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


def _audio(name: str) -> bytes | None:
    logid, _, media = name.removesuffix(".wav").partition("_")
    return AUDIO if has_file(logid, media) else None


class _Raw(io.BytesIO):
    """A body that is read as it arrives."""

    @override
    def read1(self, size: int | None = -1, *, decode_content: bool = False) -> bytes:
        del decode_content
        return super().read1(size)

    def release_conn(self) -> None:
        """Do nothing: there is no connection."""


def _to_response(bad: BadResponse) -> Response:
    return Response(bad.body, bad.status, list(bad.headers))


class Pipe(io.BytesIO):
    """Standard output: what was flushed is out, what was not may be lost with the process."""

    def __init__(self, api: SimulatedApi) -> None:
        super().__init__()
        self._api = api
        self._flushed = 0

    @override
    def write(self, data: Buffer, /) -> int:
        written = 0
        for line in bytes(data).splitlines(keepends=True):
            if not self._api.is_killed:
                written += super().write(line)
                self._api.count_write()
        return written

    @override
    def flush(self) -> None:
        if not self._api.is_killed:
            self._flushed = self.tell()

    def lines(self) -> list[bytes]:
        """Return the whole lines that got out."""
        data = self.getvalue()
        if self._api.is_killed and self._api.stop:
            waiting = len(data) - self._flushed
            data = data[: self._flushed + int(waiting * self._api.stop.share)]
        return data.split(b"\n")[:-1]
