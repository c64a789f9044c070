"""Streams beside the calls: requests, paging, keys, types, errors."""

import itertools
import json
import zlib
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import pytest
from requests_mock import Mocker

from tap_zohovoice.exceptions import ZohoVoiceError
from tap_zohovoice.streams.directory import DIRECTORY_STREAMS, CampaignsStream, SmsLogsStream
from tap_zohovoice.tap import TapZohoVoice
from tests.support.cli import NOW, FakeClock

ACCOUNTS, VOICE = "https://accounts.example.invalid", "https://voice.example.invalid"
CONFIG = {
    **dict.fromkeys(("client_id", "client_secret", "refresh_token"), "secret"),
    "accounts_url": ACCOUNTS,
    "api_url": VOICE,
}
OFFSET_PAGED = [
    stream for stream in DIRECTORY_STREAMS if stream.size_param and stream is not CampaignsStream
]
USERS = DIRECTORY_STREAMS[0]
NOW_MS, DAY = round(NOW * 1000), 86_400_000
STATUS = "agent_status_changes"
NEIN = {"code": "Q9", "message": "Nein"}


Read = Callable[..., list[dict[str, Any]]]


@pytest.fixture
def mock(requests_mock: Mocker) -> Mocker:
    token = {"access_token": "token", "expires_in": 3600}
    requests_mock.post(f"{ACCOUNTS}/oauth/v2/token", json=token)
    return requests_mock


class Server:
    """A list of one path, in pages."""

    shuffles = 0  # requests before each of which the order changes

    def __init__(self, mock: Mocker, stream: Any, rows: list[Any] | int) -> None:
        self.stream = stream
        self.rows = rows if isinstance(rows, list) else rows_of(stream, rows)
        # Of campaigns, each page has ten rows.
        self.max_size = 10 if stream is CampaignsStream else 1000
        self.base, self.meta, self.orders = 0, dict[str, Any](), itertools.count(1)
        self.unit = self.step = 1  # rows that an offset counts; a multiple to which it is rounded
        self.url = f"{VOICE}/rest/json/{stream.path}"
        self.mock, self._mocker = mock.get(self.url, json=self.respond), mock

    @property
    def queries(self) -> list[dict[str, list[str]]]:
        sent = self._mocker.request_history
        return [request.qs for request in sent if request.url.startswith(self.url)]

    @property
    def keys(self) -> list[str]:
        return [row[self.stream.primary_keys[0]] for row in self.rows]

    def respond(self, request: Any, _context: Any) -> dict[str, Any]:
        if self.shuffles:
            key, number = self.stream.primary_keys[0], min(next(self.orders), self.shuffles)
            self.rows.sort(key=lambda row: zlib.crc32(f"{number} {row[key]}".encode()))
        size = int(request.qs.get(self.stream.size_param, ["1000"])[0])
        offset = request.qs.get("from") or request.qs.get("from_index") or ["0"]
        first = max(int(offset[0]) // self.step * self.step * self.unit - self.base, 0)
        rows = self.rows[first : first + min(size, self.max_size)]
        return {"code": "200", "status": "SUCCESS", self.stream.envelope: rows, **self.meta}


@pytest.fixture
def read(clock: FakeClock, capsys: pytest.CaptureFixture[str]) -> Read:
    """Read a stream; return its records."""
    tap_class = type("ClockedTap", (TapZohoVoice,), {"clock": clock})

    def run(stream: str, **settings: Any) -> list[dict[str, Any]]:
        tap_class(config={**CONFIG, "streams": [stream], **settings}).sync_all()
        messages = map(json.loads, capsys.readouterr().out.splitlines())
        return [message["record"] for message in messages if message["type"] == "RECORD"]

    return run


@pytest.fixture
def read_keys(read: Read) -> Callable[[Any], list[str]]:
    return lambda stream: [row[stream.primary_keys[0]] for row in read(stream.name)]


def rows_of(stream: Any, count: int) -> list[dict[str, Any]]:
    return [{stream.primary_keys[0]: f"{number:03}"} for number in range(count)]


@pytest.mark.parametrize("settings", [{}, {"user_agent": "tap-zohovoice/own"}])
def test_all_requests_have_the_user_agent(read: Read, mock: Mocker, settings: Any) -> None:
    Server(mock, USERS, 1)
    read("users", **settings)
    (agent,) = {request.headers["User-Agent"] for request in mock.request_history}
    assert agent.startswith("tap-zohovoice/")
    assert agent.endswith("/own") == bool(settings)


@pytest.mark.parametrize("stream", DIRECTORY_STREAMS)
@pytest.mark.parametrize("count", [0, 1, 49, 137])
def test_all_rows_are_read_once(read_keys: Any, mock: Mocker, stream: Any, count: int) -> None:
    server = Server(mock, stream, count)
    assert read_keys(stream) == server.keys
    last: Any = server.mock.last_request
    assert last.headers["Authorization"] == "Zoho-oauthtoken token"
    assert last.headers["Accept"] == "application/json"


@pytest.mark.parametrize("stream", [*OFFSET_PAGED, SmsLogsStream])
def test_requests_name_offset_size_and_archive(read: Read, mock: Mocker, stream: Any) -> None:
    size, archived = stream.page_size, {"optarchived": ["true"]}
    is_sms = stream is SmsLogsStream
    server = serve_messages(mock, messages_of(107)) if is_sms else Server(mock, stream, size + 7)
    assert len(read(stream.name)) == size + 7

    def query(offset: int, rows: int = size) -> dict[str, list[str]]:
        return {"from": [str(offset)], stream.size_param: [str(rows)]}

    assert server.queries == [
        query(0, 1),  # whether the scope is there
        *(query(0), query(size - 1), query(size + 6)),  # each begins with the last row before it
        *([query(0) | archived] if is_sms else []),
    ]


@pytest.mark.parametrize(
    ("stream", "count", "max_size"),
    [
        *itertools.product(OFFSET_PAGED, [120], [20, 1000]),
        *itertools.product([CampaignsStream], [10, 25, 30, 47], [10]),
        *itertools.product([CampaignsStream], [25, 61], [25]),
    ],
)
@pytest.mark.parametrize("base", [0, 1])
@pytest.mark.parametrize("total", [{}, {"meta": {"total": -1}}, {"meta": {"total": 20}}])
def test_no_row_is_lost_in_any_dialect(
    read_keys: Any, mock: Mocker, stream: Any, count: int, max_size: int, base: int, total: Any
) -> None:
    server = Server(mock, stream, count)
    server.base, server.max_size, server.meta = base, max_size, total
    assert read_keys(stream) == server.keys
    if stream is CampaignsStream and count > 10:  # a page that is not full is the last one
        assert server.mock.call_count == 2 + count // max_size


@pytest.mark.parametrize(
    ("stream", "count", "times", "meta"),
    [
        *((stream, 250, 4, {}) for stream in OFFSET_PAGED),
        (USERS, 120, 1000, {"meta": {"total": 120}}),  # the total proves that it is whole
    ],
)
def test_list_in_changing_order_is_read_again(
    read_keys: Any, mock: Mocker, stream: Any, count: int, times: int, meta: dict[str, Any]
) -> None:
    server = Server(mock, stream, count)
    server.meta, server.shuffles = meta, times
    assert sorted(read_keys(stream)) == sorted(server.keys)


REJECTED = {"code": "ZVT015", "message": "offset", "status": "ERROR"}


@pytest.mark.parametrize("stream", OFFSET_PAGED)
@pytest.mark.parametrize(
    ("count", "rows", "more"),
    [
        *itertools.product([1, 137], ["", None], [{}]),
        *itertools.product([1, 137], [[]], [{"status_code": 404, "json": REJECTED}]),
        (137, [], {"status_code": 404, "json": {**REJECTED, "code": "404", "message": "No rows"}}),
    ],
)
def test_end_in_any_form(
    read_keys: Any, mock: Mocker, stream: Any, count: int, rows: Any, more: Any
) -> None:
    server = Server(mock, stream, count)
    end: Any = {"json": {"code": "200", "status": "SUCCESS", stream.envelope: rows}, **more}
    mock.get(
        server.url, additional_matcher=lambda request: int(request.qs["from"][0]) >= count, **end
    )
    assert read_keys(stream) == server.keys


@pytest.mark.parametrize("stream", OFFSET_PAGED)
def test_row_moved_to_earlier_page_is_read(read_keys: Any, mock: Mocker, stream: Any) -> None:
    server = Server(mock, stream, 120)

    def delete_a_row(request: Any) -> bool:
        if request.qs["from"] != ["0"] and len(server.rows) == 120:
            del server.rows[3]
        return False

    mock.get(server.url, additional_matcher=delete_a_row, json={})
    assert {*read_keys(stream)} > {*server.keys}


@pytest.mark.parametrize("stream", [*OFFSET_PAGED, SmsLogsStream])
def test_rows_that_arrive_meanwhile_end_no_run(read_keys: Any, mock: Mocker, stream: Any) -> None:
    first, *rows = messages_of(250) if stream is SmsLogsStream else rows_of(stream, 250)
    server, key, number = Server(mock, stream, [*rows]), stream.primary_keys[0], itertools.count()

    def add_a_row(_request: Any) -> bool:
        server.rows.insert(0, {**first, key: f"new-{next(number)}"})
        server.meta = {"meta": {"total": len(server.rows)}}
        return False

    mock.get(server.url, additional_matcher=add_a_row, json={})
    assert {*read_keys(stream)} >= {row[key] for row in rows}
    assert len(server.queries) <= 9


def test_row_that_changes_between_pages_is_no_duplicate(
    read_keys: Any, mock: Mocker, caplog: pytest.LogCaptureFixture
) -> None:
    server, number = Server(mock, USERS, 120), itertools.count()

    def change_the_rows(_request: Any) -> bool:
        server.rows = [{**row, "onlineStatus": f"{next(number)}"} for row in server.rows]
        return False

    mock.get(server.url, additional_matcher=change_the_rows, json={})
    assert read_keys(USERS) == server.keys
    assert "duplicate" not in caplog.text


@pytest.mark.parametrize("stream", OFFSET_PAGED)
def test_offsets_rounded_to_pages_are_read(read_keys: Any, mock: Mocker, stream: Any) -> None:
    server = Server(mock, stream, 270)
    server.step, server.meta = stream.page_size, {"meta": {"total": 270}}
    assert read_keys(stream) == server.keys


@pytest.mark.parametrize("missing", [{}, {"meta": {"total": 120}}])
def test_promised_rows_are_requested_again(read_keys: Any, mock: Mocker, missing: Any) -> None:
    server, count = Server(mock, USERS, 120), itertools.count(1)
    server.meta = {"meta": {"total": 120}}
    empty = {"status": "SUCCESS", USERS.envelope: [], **missing}
    mock.get(server.url, additional_matcher=lambda _: next(count) == 3, json=empty)
    assert read_keys(USERS) == server.keys
    assert next(count) > 4


@pytest.mark.parametrize("stream", DIRECTORY_STREAMS)
@pytest.mark.parametrize("status", [200, 403])
def test_page_of_something_in_between_is_requested_again(
    read_keys: Any, mock: Mocker, stream: Any, status: int
) -> None:
    server, count = Server(mock, stream, 49), itertools.count(1)
    odd: Any = {"text": "<html><body>Firewall</body></html>", "status_code": status}
    mock.get(server.url, additional_matcher=lambda _: next(count) in {1, 3, 5}, **odd)
    assert read_keys(stream) == server.keys
    assert next(count) > 4


@pytest.mark.parametrize("stream", OFFSET_PAGED)
def test_list_that_cannot_be_whole_is_an_error(read: Read, mock: Mocker, stream: Any) -> None:
    server = Server(mock, stream, 250)
    server.shuffles = 1000
    with pytest.raises(Exception, match=f"The order of the list of {stream.name} changes"):
        read(stream.name)
    first_page_alone = {"base": 1_000_000}
    for rows, members in (
        (rows_of(stream, 60), first_page_alone),
        ([*rows_of(stream, 2), *rows_of(stream, 1)], first_page_alone),
        (rows_of(stream, 250), {"unit": stream.page_size}),
    ):
        vars(Server(mock, stream, rows)).update(members)
        with pytest.raises(Exception, match="the same rows of the list"):
            read(stream.name)


@pytest.mark.parametrize("stream", DIRECTORY_STREAMS)
@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"code": "200", "status": "SUCCESS", "others": [{"id": 1}]}, "unexpected response"),
        ({"code": "500", "status": "ERROR", "message": "Internal"}, "Internal"),
        ({"status": "ERROR", "code": "ZVT011", "message": "Wrong URL"}, "unsupported URL"),
        (None, "has no valid {key}"),
    ],
)
def test_response_without_rows_or_keys_is_an_error(
    read: Read, mock: Mocker, stream: Any, body: dict[str, Any] | None, words: str
) -> None:
    server = Server(mock, stream, [{"name": "no key"}])
    mock.get(server.url, json=body or server.respond)
    with pytest.raises(Exception, match=words.format(key=stream.primary_keys[0])):
        read(stream.name)


@pytest.mark.parametrize("status", [400, 403, 404])
def test_rejection_of_no_index_is_an_error(read: Read, mock: Mocker, status: int) -> None:
    server = Server(mock, CampaignsStream, 10)
    page = {"json": {"code": "200", "records": server.rows}}
    mock.get(server.url, [page, page, {"status_code": status, "json": NEIN}])
    with pytest.raises(Exception, match=f"HTTP {status}"):
        read("campaigns")


def test_error_before_the_first_record_names_the_stream(read: Read, mock: Mocker) -> None:
    numbers = Server(mock, DIRECTORY_STREAMS[2], 1)
    mock.get(numbers.url, status_code=404, json=REJECTED)
    with pytest.raises(ZohoVoiceError, match=r"ZVT015.* \(stream numbers\)$"):
        read("numbers")


def test_error_of_all_streams_names_none(read: Read, mock: Mocker) -> None:
    mock.post(f"{ACCOUNTS}/oauth/v2/token", json={"error": "invalid_code"})
    with pytest.raises(ZohoVoiceError, match=r"^Zoho Accounts: (?!.*\(stream)"):
        read("numbers")


def serve_messages(mock: Mocker, messages: list[dict[str, Any]]) -> Server:
    server = Server(mock, SmsLogsStream, messages)
    server.meta = {"meta": {"total": len(messages)}}
    archive = {"status": "success", SmsLogsStream.envelope: []}
    mock.get(server.url + "?optArchived=true", json=archive)
    return server


def messages_of(count: int) -> list[dict[str, Any]]:
    """Return one message an hour, the newest first."""
    return [
        {"logid": f"{number:04}", "submittedTime": NOW_MS - number * 3_600_000}
        for number in range(count)
    ]


@pytest.mark.parametrize("message", ["Page size exceeds {}", "Invalid value"])
@pytest.mark.parametrize("most", [49, 20])
@pytest.mark.parametrize("stream", OFFSET_PAGED)
def test_rejected_page_size_is_lowered(
    read: Read, mock: Mocker, stream: Any, most: int, message: str
) -> None:
    server = Server(mock, stream, 110)

    def is_rejected(request: Any) -> bool:
        return int(request.qs[stream.size_param][0]) > most

    error = {"code": "ZVT015", "message": message.format(most)}
    mock.get(server.url, additional_matcher=is_rejected, status_code=400, json=error)
    assert len(read(stream.name)) == 110


@pytest.mark.parametrize("count", [10, 50, 200])
def test_campaigns_that_come_again_are_all(
    read_keys: Any, mock: Mocker, caplog: pytest.LogCaptureFixture, count: int
) -> None:
    server = Server(mock, CampaignsStream, count)
    server.max_size = server.step = 1_000  # so the index has no effect
    assert read_keys(CampaignsStream) == server.keys
    assert server.mock.call_count == 3
    assert f"{count} campaigns, but no page after them; there may be more" in caplog.text


@pytest.mark.parametrize("base", [0, 1])
@pytest.mark.parametrize("count", [15, 21, 45])
def test_campaigns_up_to_an_included_index_are_read(
    read_keys: Any, mock: Mocker, count: int, base: int
) -> None:
    server = Server(mock, CampaignsStream, count)
    server.base = base

    def include_the_last(request: Any) -> bool:
        server.max_size = 10 + ("to_index" in request.qs)
        return False

    mock.get(server.url, additional_matcher=include_the_last, json={})
    assert read_keys(CampaignsStream) == server.keys


@pytest.mark.parametrize(
    ("order", "requests"),
    [
        (lambda row: -row["submittedTime"], 3),  # the newest first, which ends at the start
        (lambda row: row["submittedTime"], 13),
        (lambda row: (row["submittedTime"] % 14_400_000, row["submittedTime"]), 13),
    ],
)
def test_messages_in_any_order_are_read(
    read: Read, mock: Mocker, caplog: pytest.LogCaptureFixture, order: Any, requests: int
) -> None:
    server = serve_messages(mock, sorted(messages_of(900), key=order))
    assert len(read("sms_logs", start_date="2026-02-27T12:00:00Z")) == 49
    assert len(server.queries) == requests
    assert "meta.total" not in caplog.text


@pytest.mark.parametrize("fresh", [0, 1])  # messages that arrive; else two are deleted
def test_moved_messages_end_at_the_start(read: Read, mock: Mocker, fresh: int) -> None:
    messages = messages_of(2_000)
    server = serve_messages(mock, messages[fresh:])

    def move_rows(request: Any) -> bool:
        if request.qs["from"] != ["0"] and len(server.rows) == 2_000 - fresh:
            server.rows[3:5] = server.rows[3:5] * fresh
            server.rows[:0] = messages[:fresh]
        return False

    mock.get(server.url, additional_matcher=move_rows, json={})
    found = read("sms_logs", start_date="2026-02-20T12:00:00Z")
    assert {row["logid"] for row in found} >= {row["logid"] for row in messages[5:217]}
    assert 3 < len(server.queries) <= (5 if fresh else 9)


def test_message_without_a_time_is_an_error(read: Read, mock: Mocker) -> None:
    serve_messages(mock, [{"logid": "a", "submittedTime": ""}])
    with pytest.raises(Exception, match="has no valid submittedTime"):
        read("sms_logs")


AUDIT = f"{VOICE}/rest/json/zv/metrics/statusaudit/list"


def serve_changes(
    mock: Mocker,
    moments: list[int],
    longest: int = 0,
    lost: int | None = None,
    newest: int = 0,
    oldest: int = 0,
    rejects: int = 0,
    kept: int = 0,
    shift: int = 0,
    **more: Any,
) -> Any:
    """Serve the changes of one agent.

    Of a period longer than `longest`, only the first and the last one are returned; the change
    number `lost` is returned never. `newest` and `oldest` are the parts of a period that are
    returned. A period longer than `rejects`, or that begins before `kept`, is rejected. The time of
    the change before is too early by `shift`.
    """
    Server(mock, USERS, [{"userid": "1", "agentId": "7"}, {"userid": "2"}])
    chain = list(zip([0, *moments], moments, strict=False))
    if lost is not None:
        del chain[lost]

    def respond(request: Any, context: Any) -> dict[str, Any]:
        first, last = (int(request.qs[name][0]) for name in ("fromepoch", "toepoch"))
        if (rejects and last - first > rejects) or first < kept:
            context.status_code = 400
            return {**NEIN, "message": "The range is not possible"}
        first = max(first, last - newest) if newest else first
        last = min(last, first + oldest) if oldest else last
        hits = [
            {"previous_action_time": before - shift, "current_action_time": at, "agent_id": None}
            for before, at in chain
            if first <= at < last
        ]
        if longest and last - first > longest:
            hits = hits[:1] + hits[-1:]
        if int(request.qs["from"][0]):
            hits = []
        found: dict[str, Any] = {"agent_id": "7", "dates": [{"hits": hits}]}
        previous = [at for _, at in chain if at < first]
        found["previousResult"] = {"current_action_time": previous[-1] if previous else 0}
        return {"code": "200", "list": {"agentStatus": [found]}, **more}

    return mock.get(AUDIT, json=respond)


def one_a_day(count: int) -> list[int]:
    return [NOW_MS - DAY * (count - number) for number in range(count)]


def test_requests_name_agent_and_period(read: Read, mock: Mocker) -> None:
    server = serve_changes(mock, one_a_day(5))
    rows = read(STATUS, start_date="2026-02-01")
    assert [row["agent_id"] for row in rows] == ["7"] * 5
    assert rows == sorted(rows, key=lambda row: row["current_action_time"])
    first, second = (request.qs for request in server.request_history)
    assert (first["from"], second["from"]) == (["0"], ["5"])
    assert first["agentids"] == ["7"]
    assert first["tz"] == ["gmt"]
    assert first["fromepoch"] == [str(1_769_904_000_000 - 1)]  # 2026-02-01, less one
    assert len(first["toepoch"][0]) == len(first["fromepoch"][0])


@pytest.mark.parametrize("stream", ["call_agents", STATUS])
def test_no_rows_without_owners(read: Read, mock: Mocker, stream: str) -> None:
    Server(mock, USERS, 0)
    assert read(stream) == []


def test_change_at_end_of_period_comes_once(read: Read, mock: Mocker) -> None:
    start = NOW_MS - 400 * DAY
    end_of_first = start + 366 * DAY
    server = serve_changes(mock, [start, end_of_first, end_of_first + 1])
    times = [row["current_action_time"] for row in read(STATUS, start_date="2025-01-25T12:00:00Z")]
    assert len(times) == len(set(times)) == 3
    assert len({request.qs["fromepoch"][0] for request in server.request_history}) == 3


@pytest.mark.parametrize("ago", [0, 10, 400])  # days of all changes but the last one
@pytest.mark.parametrize(
    ("gap", "count", "told"),
    [
        ({"longest": 8 * DAY}, 20, False),
        ({"lost": 10}, 19, True),
        ({"lost": 0}, 19, False),  # nothing is known before it
        *(({"newest": days * DAY}, 20, False) for days in (1, 6, 30)),
        ({"oldest": 30 * DAY}, 20, False),
        ({"rejects": 32 * DAY}, 20, False),
    ],
)
def test_gap_is_read_again_and_told(
    read: Read,
    mock: Mocker,
    caplog: pytest.LogCaptureFixture,
    ago: int,
    gap: Any,
    count: int,
    told: bool,
) -> None:
    *others, last = one_a_day(20)
    serve_changes(mock, [*(moment - ago * DAY for moment in others), last], **gap)
    times = [row["current_action_time"] for row in read(STATUS, start_date="2024-01-01")]
    assert len(times) == count
    assert times == sorted({*times})
    assert ("1 status changes do not follow the previous one" in caplog.text) == told
    assert ("do not follow" in caplog.text) == told


@pytest.mark.parametrize("rejects", [0, 32 * DAY])
@pytest.mark.parametrize("days", [3.3, 90.3, 500.3])
def test_rejected_old_changes_are_told(
    read: Read, mock: Mocker, caplog: pytest.LogCaptureFixture, days: float, rejects: int
) -> None:
    kept = NOW_MS - int(days * DAY)
    server = serve_changes(mock, one_a_day(600), kept=kept, rejects=rejects)
    Server(mock, USERS, [{"userid": str(number), "agentId": "7"} for number in range(3)])
    assert len(read(STATUS)) >= int(days)
    assert caplog.text.count("Zoho rejects days before ") == 1
    assert server.call_count < 40 + days


def test_unclear_error_among_rejected_days_is_no_rejection(read: Read, mock: Mocker) -> None:
    def is_week(request: Any) -> bool:
        first, last = (int(request.qs[name][0]) for name in ("fromepoch", "toepoch"))
        return last - first == 7 * DAY + 2

    serve_changes(mock, one_a_day(600), kept=NOW_MS - 90 * DAY)
    mock.get(AUDIT, additional_matcher=is_week, status_code=404, json=NEIN)
    with pytest.raises(ZohoVoiceError, match="HTTP 404"):
        read(STATUS)


def test_rejection_between_accepted_periods_is_an_error(read: Read, mock: Mocker) -> None:
    server = serve_changes(mock, one_a_day(20), rejects=32 * DAY)

    def is_rejected(request: Any) -> bool:
        return NOW_MS - 300 * DAY < int(request.qs["fromepoch"][0]) < NOW_MS - 100 * DAY

    error = {**NEIN, "message": "The range is not possible"}
    mock.get(AUDIT, additional_matcher=is_rejected, status_code=400, json=error)
    with pytest.raises(Exception, match="HTTP 400"):
        read(STATUS, start_date="2025-03-01")
    assert server.called


@pytest.mark.parametrize(("part", "most"), [({"newest": 6 * DAY}, 80), ({"longest": 8 * DAY}, 280)])
def test_changes_before_a_gap_are_read(read: Read, mock: Mocker, part: Any, most: int) -> None:
    server = serve_changes(mock, one_a_day(200), lost=168, **part)
    assert len(read(STATUS, start_date="2024-01-01")) == 199
    assert server.call_count < most  # 320 and 304 one by one


def test_inexact_times_shorten_no_period(read: Read, mock: Mocker) -> None:
    server = serve_changes(mock, one_a_day(400), shift=1)
    assert len(read(STATUS)) == 400
    assert server.call_count < 50


@pytest.mark.parametrize("status", [400, 403, 404])
@pytest.mark.parametrize(
    ("code", "what", "is_end"),
    [("ZVT015", "offset", True), ("ZVT015", "anything", False), ("Q9", "offset", False)],
)
def test_only_a_rejected_offset_ends_the_list(
    read: Read, mock: Mocker, status: int, code: str, what: str, is_end: bool
) -> None:
    server = serve_changes(mock, one_a_day(5))

    def is_rejected(request: Any) -> bool:
        return bool(request.qs["from"] != ["0"] if what == "offset" else server.request_history)

    error = {**NEIN, "code": code}
    mock.get(AUDIT, additional_matcher=is_rejected, status_code=status, json=error)
    with nullcontext() if is_end else pytest.raises(Exception, match=f"HTTP {status}"):
        assert len(read(STATUS, start_date="2026-02-01")) == 5


UNKNOWN = [{"others": [1]}, {"agentStatus": {"a": 1}}, [1], {"agentStatus": [{"dates": {"a": 1}}]}]


@pytest.mark.parametrize("found", [None, {}, {"agentStatus": None}, {"agentStatus": []}, *UNKNOWN])
def test_unknown_form_is_an_error(read: Read, mock: Mocker, found: Any) -> None:
    serve_changes(mock, [], list=found)
    is_unknown = found in UNKNOWN
    with pytest.raises(Exception, match="unexpected response") if is_unknown else nullcontext():
        assert read(STATUS) == []
