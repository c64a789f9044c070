"""Redis store of slots and lockouts, shared by processes on several machines."""

import json
import logging
import uuid
from dataclasses import dataclass, field
from importlib import resources
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from tap_zohovoice._compat import override
from tap_zohovoice._time import Clock
from tap_zohovoice.exceptions import ZohoVoiceError, iter_causes
from tap_zohovoice.rate_limit.limiter import SHARED_LOCKOUT, Grant, SlotStore
from tap_zohovoice.rate_limit.sqlite_store import MAX_LOCKOUT, digest

_LOGGER = logging.getLogger("tap-zohovoice.rate_limit")
_SCRIPT = resources.files("tap_zohovoice.rate_limit").joinpath("slots.lua").read_text("utf-8")
_SOCKET_TIMEOUT = 5.0  # seconds
RETRY_SECONDS = 1.0  # between two attempts to reach a store that was lost
_REASONS = {
    "limited": "",
    "locked": SHARED_LOCKOUT,
    "forgotten": "The rate-limit store is new or was restarted, and may have lost requests",
}


@dataclass(eq=False, repr=False)
class RedisStore(SlotStore):
    """Slots and lockouts of an OAuth client and a URL on a Redis server.

    A process waits for a store that is lost: requests without it could exceed the limit. What could
    not be reported is reported with the next call. No error or log line quotes any of `server`.

    Raises:
        ZohoVoiceError: If the server cannot be reached, or later is lost for longer.
    """

    client_id: str
    url: str
    timeout: float  # seconds that a request of a killed process may still be in flight
    clock: Clock
    server: str
    patience: float  # seconds to wait for a server that is lost
    is_volatile = True
    _lost: tuple[float, str] | None = field(default=None, init=False)  # since when, and the message
    _answered: list[tuple[int | str, float]] = field(default_factory=list, init=False)
    """Slots, and when they were released."""

    def __post_init__(self) -> None:
        """Connect to the server."""
        # A server may close an idle connection. A repeated call has no further effect.
        retry = Retry(NoBackoff(), 1, supported_errors=(redis.ConnectionError,))
        timeouts = dict.fromkeys(("socket_timeout", "socket_connect_timeout"), _SOCKET_TIMEOUT)
        try:
            self._client = redis.Redis.from_url(self.server, **timeouts, retry=retry)
            self._call()
        except Exception as error:  # the client fails at options of the URL in many ways
            message = f"Cannot reach the rate-limit store: {_reason(error)}; check rate_limit_store"
            raise ZohoVoiceError(message) from error

    @override
    def try_acquire(self, slots: int, seconds: float) -> Grant:
        slot = uuid.uuid4().hex
        while not (reply := self._try_call(wanted=slot, slots=slots, seconds=seconds)):
            lost_at, text = self._lost or (0.0, "")
            if self.clock.monotonic() - lost_at >= self.patience:
                limit = f"longer than lock_seconds ({self.patience:.0f} s)"
                message = f"{text}, {limit}; run again when it is back"
                raise ZohoVoiceError(message)
            self.clock.sleep(RETRY_SECONDS)
        outcome, wait = reply
        return Grant(None, wait, _REASONS[outcome]) if wait else Grant(slot)

    @override
    def release(self, slot: int | str) -> None:
        self._answered.append((slot, self.clock.monotonic()))
        self._try_call()  # if the store is lost, the next call reports it

    @override
    def lock_for(self, seconds: float) -> None:
        self._try_call(lockout=seconds)  # if the store is lost, the limiter reports it again

    def _call(self, **wanted: Any) -> tuple[str, float]:  # noqa: ANN401 - any JSON
        """Run the script; return the outcome and how many seconds to wait."""
        now = self.clock.monotonic()
        request = {
            "url": digest(self.url),
            "timeout": self.timeout,
            "max_lockout": MAX_LOCKOUT,
            "lockout": 0,
            "answered": [(slot, now - at) for slot, at in self._answered],
            **wanted,
        }
        key = f"tap-zohovoice:slots:{digest(self.client_id)}"
        outcome, wait = json.loads(self._client.eval(_SCRIPT, 1, key, json.dumps(request)))
        self._answered.clear()
        if self._lost:
            _LOGGER.info("The rate-limit store is back, after %.0f s", now - self._lost[0])
            self._lost = None
        return outcome, wait

    def _try_call(self, **wanted: Any) -> tuple[str, float] | None:  # noqa: ANN401 - any JSON
        """Run the script; return None if the store is lost."""
        try:
            return self._call(**wanted)
        except redis.RedisError as error:
            if self._lost is None:
                since = f"{self.clock.utcnow():%Y-%m-%d %H:%M:%S} UTC"
                text = f"The rate-limit store has been unreachable since {since} ({_reason(error)})"
                _LOGGER.warning("%s; sending no requests until it is back", text)
                self._lost = self.clock.monotonic(), text
            return None


def _reason(error: BaseException) -> str:
    """Describe an error without its text, which may quote the URL."""
    causes = (cause for cause in iter_causes(error) if isinstance(cause, OSError))
    texts = (getattr(cause, "reason", None) or cause.strerror for cause in causes)  # TLS has both
    return next(filter(None, texts), type(error).__name__)
