"""Zoho Voice in virtual time: the sandbox in place of the transport of `requests`.

All of the tap runs as it is. The first request that violates a rule stops the test.
"""

import io
import math
import os
import signal
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, NoReturn
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from typing_extensions import Buffer
from urllib3 import HTTPHeaderDict, HTTPResponse
from werkzeug import Response
from werkzeug.test import create_environ

from tap_zohovoice._compat import override
from tests.support.bad_responses import BadResponse
from tests.support.cli import NOW
from tests.support.simulated_account import (
    KilledError,
    MachineClock,
    RuleViolationError,
    SimulatedAccount,
)
from zoho_voice_sandbox import Sandbox
from zoho_voice_sandbox.addresses import PATHS, EndpointName
from zoho_voice_sandbox.faults import apply_fault
from zoho_voice_sandbox.responses import json_response

HOST = "https://voice.invalid"
TIMEOUT = 60.0
SECRETS = ("sandbox-client-secret", "1000.sandbox.refresh", "15550100", "Beeblebrox")
"""What no log may contain: credentials, and personal data of every row."""
_MAX_FILES = 2_000
"""More requests than all files and transcripts of a scenario take."""
_ROUNDING = 1e-6  # seconds that floats lose in the sums of a clock
_BOTH_KINDS = {"isRecording", "isVoiceMail"}
_PARAMETERS = {"fromDate", "toDate", "from", "size", "callType", "isRecording", "isVoiceMail"}
_OF_SANDBOX = {"", "timeout", "cut", "lock", "token"}
"""Faults that leave the response as the sandbox makes it."""
Fault = str | BadResponse
"""Name of a fault, or the response to send instead of the right one."""


@dataclass(frozen=True)
class Stop:
    how: Literal["kill", "term"]  # SIGKILL, after which nothing happens any more, or SIGTERM
    # In a request, in a sleep, in a sleep after a lock, or while a message is written.
    where: Literal["request", "sleep", "lock", "write"]
    number: int  # in which of them, from 1
    share: float = 0.5  # share of the unflushed output that got out


class SimulatedApi:
    """Zoho Accounts and Zoho Voice, used by one machine."""

    def __init__(self, account: SimulatedAccount, machine: MachineClock, latency: float) -> None:
        self.clock = account.clock
        self._machine = machine
        machine.before_sleep = self._sleep
        self.account = account
        self._latency = latency
        self.reset_limits()
        self.start_run({}, {}, None)

    def reset_limits(self) -> None:
        """Forget earlier runs, for a machine whose runs do not share their counts."""
        self._box = Sandbox(store=self.account, dialect=self.account.dialect, clock=self.clock)
        stats = self._box.stats
        self._stats = {"logs": stats, "files": stats.files, "transcripts": stats.transcripts}
        self._locked_until: dict[str, float] = {}

    def start_run(
        self, faults: Mapping[int, Fault], token_faults: Mapping[int, Fault], stop: Stop | None
    ) -> None:
        self._machine.is_dead = False
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
        name = PATHS.get(urlsplit(str(request.url)).path)
        fault = self._count(name)
        sent = self.clock.time
        if fault == "unreachable":
            self.clock.time += 1
            raise requests.ConnectionError
        self.clock.time += self._latency * (self.requests % 5 if name else 1) / 4
        if name:
            response = self._api(name, fault, request)
        else:
            response = self._damage(fault, self._ask(request))
        if fault in {"timeout", "cut"}:
            self.clock.time = max(self.clock.time, sent + (TIMEOUT if fault == "timeout" else 0))
            raise requests.ReadTimeout if fault == "timeout" else requests.ConnectionError
        self.clock.time = max(self.clock.time, sent + self._latency)
        raw = HTTPResponse(
            io.BytesIO(response.get_data()),
            HTTPHeaderDict((key, text) for key, text in response.headers if text),
            response.status_code,
            preload_content=False,
        )
        return HTTPAdapter().build_response(request, raw)

    def fail(self, violation: str) -> NoReturn:
        message = f"{violation}, {self.clock.time - NOW:.3f} s after the beginning"
        raise RuleViolationError(message)

    def _count(self, name: EndpointName | None) -> Fault:
        if not name:
            self.tokens += 1
            fault = self._token_faults.get(self.tokens, "")
            self.tokens_failed += [fault] * bool(fault)
            return fault
        self.requests += 1
        if self.requests > self.account.max_requests - self._listed_before + _MAX_FILES:
            self.fail(f"{self.requests} requests")
        fault = self._faults.get(self.requests, "")
        if fault:
            self.fired[self.requests] = fault
        return fault

    def _api(self, name: EndpointName, fault: Fault, request: requests.PreparedRequest) -> Response:
        now, stats = self.clock.time, self._stats[name]
        if now < self._locked_until.get(name, -math.inf):
            self.fail("a request during a lock that the tap knows of")
        if name == "logs":
            self.listed += 1
            self.is_misled |= isinstance(fault, BadResponse) and fault.may_pass
            self.account.count_request()
        if fault == "lock":
            self._box.lock(name)
        if fault == "token":
            self._box.expire_tokens()
        locked = stats.locked_calls
        response = self._ask(request)
        self._check_log(name)
        self._stop("request", self.requests)
        if stats.locked_calls == locked:
            return self._damage(fault, response)
        self.locks += 1
        self._locked_until[name] = now + self.account.dialect.lock_seconds
        return response

    def _check_log(self, name: EndpointName) -> None:
        log, dialect = self._stats[name].log, self.account.dialect
        arrival, params, _ = log[-1]
        if len(log) >= dialect.limit_calls:
            seconds = arrival - log[-dialect.limit_calls][0]
            if seconds < dialect.limit_seconds - _ROUNDING:
                self.fail(f"{dialect.limit_calls} requests in {seconds:.3f} s")
        is_known = params.keys() <= _PARAMETERS and not params.keys() >= _BOTH_KINDS
        if name == "logs" and not is_known:
            self.fail(f"unexpected parameters: {sorted(params)}")

    def _ask(self, request: requests.PreparedRequest) -> Response:
        environ = create_environ(
            request.path_url,
            "http://localhost",
            method=str(request.method),
            headers=dict(request.headers),
            data=request.body,
        )
        return Response.from_app(self._box, environ | {"werkzeug.socket": _Socket()}, buffered=True)

    def _damage(self, fault: Fault, response: Response) -> Response:
        date = response.headers["Date"]
        if isinstance(fault, BadResponse):
            response = Response(fault.body, fault.status, list(fault.headers))
        elif fault == "nothing":
            response = Response(b"")
        elif fault == "denied":
            response = json_response({"error": "Access Denied", "status": "failure"})
        # A damaged error is another error.
        elif fault not in _OF_SANDBOX and response.status_code < 300:
            right = response
            response = apply_fault(fault, {}, self.clock, lambda: right)
        response.headers.setdefault("Date", date)
        return response

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
        self._machine.is_dead = where == "request"
        raise KilledError


class _Socket:
    """A connection that the sandbox may cut."""

    def shutdown(self, _how: int) -> None:
        raise requests.ConnectionError


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
