"""Streams beside the calls: requests, paging, keys, types, errors."""

import itertools
import json
import zlib
from typing import Any

import pytest
from requests_mock import Mocker

from tap_zohovoice.streams.directory import DIRECTORY_STREAMS, CampaignsStream
from tap_zohovoice.tap import TapZohoVoice
from tests.support.cli import FakeClock

ACCOUNTS, VOICE = "https://accounts.example.invalid", "https://voice.example.invalid"
CONFIG = {
    "client_id": "client",
    "client_secret": "secret",
    "refresh_token": "refresh",
    "accounts_url": ACCOUNTS,
    "api_url": VOICE,
}
PAGED = [stream for stream in DIRECTORY_STREAMS if stream.size_param]
OFFSET_PAGED = [stream for stream in PAGED if stream is not CampaignsStream]


class Server:
    """A list of one path, in pages."""

    def __init__(self, mock: Mocker, stream: Any, rows: list[Any]) -> None:
        self.stream, self.rows = stream, rows
        self.base, self.max_size, self.meta = 0, 1000, dict[str, Any]()
        mock.post(f"{ACCOUNTS}/oauth/v2/token", json={"access_token": "token", "expires_in": 3600})
        self.url = f"{VOICE}/rest/json/{stream.path}"
        self.mock = mock.get(self.url, json=self.respond)

    def respond(self, request: Any, _context: Any) -> dict[str, Any]:
        size = int(request.qs.get(self.stream.size_param, ["1000"])[0])
        first = max(int(request.qs.get("from", ["0"])[0]) - self.base, 0)
        rows = self.rows[first : first + min(size, self.max_size)]
        return {"code": "200", "status": "SUCCESS", self.stream.envelope: rows, **self.meta}

    def shuffles(self, mock: Mocker, times: int) -> None:
        """Change the order before each of some requests."""
        count, key = itertools.count(2), self.stream.primary_keys[0]

        def respond(request: Any, context: Any) -> dict[str, Any]:
            number = min(next(count), times + 1)
            self.rows.sort(key=lambda row: zlib.crc32(f"{number} {row[key]}".encode()))
            return self.respond(request, context)

        mock.get(self.url, json=respond)


@pytest.fixture
def read(
    clock: FakeClock,
    tmp_path: Any,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Any:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    tap_class = type("ClockedTap", (TapZohoVoice,), {"clock": clock})

    def run(*names: str, **settings: Any) -> list[dict[str, Any]]:
        tap_class(config={**CONFIG, "streams": list(names), **settings}).sync_all()
        messages = map(json.loads, capsys.readouterr().out.splitlines())
        return [message["record"] for message in messages if message["type"] == "RECORD"]

    return run


def rows_of(stream: Any, count: int) -> list[dict[str, Any]]:
    return [{stream.primary_keys[0]: f"{number:03}"} for number in range(count)]


def keys(stream: Any, records: list[dict[str, Any]]) -> list[str]:
    return [record[stream.primary_keys[0]] for record in records]


@pytest.mark.parametrize("stream", DIRECTORY_STREAMS)
@pytest.mark.parametrize("count", [0, 1, 49, 137])
def test_all_rows_are_read_once(read: Any, requests_mock: Mocker, stream: Any, count: int) -> None:
    server = Server(requests_mock, stream, rows_of(stream, count))
    assert keys(stream, read(stream.name)) == keys(stream, server.rows)
    last: Any = server.mock.last_request
    assert last.headers["Authorization"] == "Zoho-oauthtoken token"
    assert last.headers["Accept"] == "application/json"


@pytest.mark.parametrize("stream", OFFSET_PAGED)
def test_requests_name_offset_and_size(read: Any, requests_mock: Mocker, stream: Any) -> None:
    server = Server(requests_mock, stream, rows_of(stream, stream.page_size + 7))
    read(stream.name)
    size = stream.size_param
    assert [request.qs for request in server.mock.request_history] == [
        {"from": ["0"], size: ["1"]},  # whether the scope is there
        *(
            {"from": [str(offset)], size: [str(stream.page_size)]}
            for offset in (0, stream.page_size, stream.page_size + 7)
        ),
    ]


@pytest.mark.parametrize("stream", OFFSET_PAGED)
@pytest.mark.parametrize("base", [0, 1])
@pytest.mark.parametrize("max_size", [20, 1000])
@pytest.mark.parametrize("total", [{}, {"meta": {"total": -1}}, {"meta": {"total": 20}}])
def test_no_row_is_lost_in_any_dialect(
    read: Any, requests_mock: Mocker, stream: Any, base: int, max_size: int, total: dict[str, Any]
) -> None:
    server = Server(requests_mock, stream, rows_of(stream, 120))
    server.base, server.max_size, server.meta = base, max_size, total
    assert keys(stream, read(stream.name)) == keys(stream, server.rows)


@pytest.mark.parametrize("stream", OFFSET_PAGED)
@pytest.mark.parametrize("times", [4, 1000])
def test_list_in_changing_order_is_read_again_or_an_error(
    read: Any, requests_mock: Mocker, stream: Any, times: int
) -> None:
    server = Server(requests_mock, stream, rows_of(stream, 250))
    server.shuffles(requests_mock, times)
    if times < 10:
        assert sorted(keys(stream, read(stream.name))) == sorted(keys(stream, server.rows))
        return
    with pytest.raises(Exception, match=f"The order of the list of {stream.name} changes"):
        read(stream.name)


def test_total_proves_that_a_list_in_changing_order_is_whole(
    read: Any, requests_mock: Mocker
) -> None:
    stream = DIRECTORY_STREAMS[0]
    server = Server(requests_mock, stream, rows_of(stream, 120))
    server.meta = {"meta": {"total": 120}}
    server.shuffles(requests_mock, 1000)
    assert sorted(keys(stream, read(stream.name))) == sorted(keys(stream, server.rows))


@pytest.mark.parametrize("missing", [{}, {"meta": {"total": 120}}])
def test_rows_that_the_total_promises_are_requested_again(
    read: Any, requests_mock: Mocker, missing: dict[str, Any]
) -> None:
    stream = DIRECTORY_STREAMS[0]
    server = Server(requests_mock, stream, rows_of(stream, 120))
    server.meta = {"meta": {"total": 120}}
    before, count = server.respond, itertools.count(1)

    def respond(request: Any, context: Any) -> dict[str, Any]:
        if next(count) == 3:
            return {"status": "SUCCESS", stream.envelope: [], **missing}
        return before(request, context)

    requests_mock.get(server.url, json=respond)
    assert keys(stream, read(stream.name)) == keys(stream, server.rows)


@pytest.mark.parametrize("stream", OFFSET_PAGED)
def test_page_without_a_new_row_is_an_error(read: Any, requests_mock: Mocker, stream: Any) -> None:
    server = Server(requests_mock, stream, rows_of(stream, 60))
    server.base = 1_000_000  # each offset gives the first page
    with pytest.raises(Exception, match="the same rows of the list"):
        read(stream.name)


@pytest.mark.parametrize("stream", DIRECTORY_STREAMS)
@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"code": "200", "status": "SUCCESS", "others": [{"id": 1}]}, "unexpected response"),
        ({"code": "500", "status": "ERROR", "message": "Internal"}, "Internal"),
        ({"status": "ERROR", "code": "ZVT011", "message": "Wrong URL"}, "unsupported URL"),
    ],
)
def test_response_that_is_no_list_is_an_error(
    read: Any, requests_mock: Mocker, stream: Any, body: dict[str, Any], words: str
) -> None:
    server = Server(requests_mock, stream, [])
    server.mock = requests_mock.get(f"{VOICE}/rest/json/{stream.path}", json=body)
    with pytest.raises(Exception, match=words):
        read(stream.name)


@pytest.mark.parametrize("stream", DIRECTORY_STREAMS)
def test_row_without_key_is_an_error(read: Any, requests_mock: Mocker, stream: Any) -> None:
    Server(requests_mock, stream, [{"name": "no key"}])
    with pytest.raises(Exception, match=f"has no valid {stream.primary_keys[0]}"):
        read(stream.name)


def test_values_have_declared_types(read: Any, requests_mock: Mocker) -> None:
    users = DIRECTORY_STREAMS[0]
    user = {
        "userid": 58_000_000_000_000_123,
        "zuid": 7,
        "extension": 12345,
        "lastActiveTime": 1_735_000_000_000,
        "zvtRole": "--",
        "status": "",
        "departmentName": "",
        "new": [1],
    }
    Server(requests_mock, users, [user])
    (record,) = read("users")
    given = {name: record[name] for name in (*user, "additional_fields") if name in record}
    assert given == {
        "userid": "58000000000000123",
        "zuid": "7",
        "extension": "12345",
        "lastActiveTime": "2024-12-24T00:26:40.000000+00:00",
        "zvtRole": None,
        "status": None,
        "departmentName": "",
        "additional_fields": {"new": [1]},
    }


class TestCampaigns:
    @pytest.mark.parametrize("base", [0, 1])
    @pytest.mark.parametrize("count", [10, 25, 30, 47])
    def test_round_number_of_rows_is_taken_for_a_page(
        self, read: Any, requests_mock: Mocker, count: int, base: int
    ) -> None:
        server = Server(requests_mock, CampaignsStream, rows_of(CampaignsStream, count))

        def respond(request: Any, _context: Any) -> dict[str, Any]:
            first = max(int(request.qs.get("from_index", ["0"])[0]) - base, 0)
            return {"code": "200", "records": server.rows[first : first + 10]}

        requests_mock.get(f"{VOICE}/rest/json/{CampaignsStream.path}", json=respond)
        assert keys(CampaignsStream, read("campaigns")) == keys(CampaignsStream, server.rows)

    @pytest.mark.parametrize("status", [400, 403, 404])
    def test_rejection_that_is_not_of_the_index_is_an_error(
        self, read: Any, requests_mock: Mocker, status: int
    ) -> None:
        server = Server(requests_mock, CampaignsStream, rows_of(CampaignsStream, 10))
        page = {"json": {"code": "200", "records": server.rows}}
        refusal = {"status_code": status, "json": {"code": "Q9", "message": "Nein"}}
        path = f"{VOICE}/rest/json/{CampaignsStream.path}"
        requests_mock.get(path, [page, page, refusal])
        with pytest.raises(Exception, match=f"HTTP {status}"):
            read("campaigns")


class TestSmsLogs:
    PATH = f"{VOICE}/rest/json/v1/sms/logs"
    NOW_MS = 1_772_366_400_000

    def serve(self, mock: Mocker, messages: list[dict[str, Any]]) -> Any:
        mock.post(f"{ACCOUNTS}/oauth/v2/token", json={"access_token": "token", "expires_in": 3600})

        def respond(request: Any, _context: Any) -> dict[str, Any]:
            first, size = (int(request.qs[name][0]) for name in ("from", "size"))
            rows = [] if "optarchived" in request.qs else messages[first : first + size]
            meta = {"total": len(messages)}
            return {"status": "success", "smsLogQuery": rows, "meta": meta if rows else {}}

        return mock.get(self.PATH, json=respond)

    def messages(self, count: int, step: int = 3_600_000) -> list[dict[str, Any]]:
        return [
            {"logid": f"{number:04}", "submittedTime": self.NOW_MS - number * step}
            for number in range(count)
        ]

    def test_requests_name_offset_size_and_archive(self, read: Any, requests_mock: Mocker) -> None:
        mock = self.serve(requests_mock, self.messages(130))
        assert len(read("sms_logs")) == 130
        size = {"size": ["100"]}
        assert [request.qs for request in mock.request_history] == [
            {"from": ["0"], "size": ["1"]},  # whether the scope is there
            *({"from": [str(offset)], **size} for offset in (0, 100, 130)),
            {"from": ["0"], **size, "optarchived": ["true"]},
        ]

    def test_reading_stops_at_the_start_where_the_newest_come_first(
        self, read: Any, requests_mock: Mocker, caplog: pytest.LogCaptureFixture
    ) -> None:
        mock = self.serve(requests_mock, self.messages(900))
        assert len(read("sms_logs", start_date="2026-02-27T12:00:00Z")) == 49
        assert len(mock.request_history) == 3
        assert "meta.total" not in caplog.text

    @pytest.mark.parametrize("order", [1, 2])
    def test_all_is_read_in_another_order(
        self, read: Any, requests_mock: Mocker, order: int
    ) -> None:
        messages = self.messages(350)
        messages.sort(key=lambda row: row["submittedTime"] % (order * 7_200_000))
        self.serve(requests_mock, messages if order == 2 else self.messages(350)[::-1])
        assert len(read("sms_logs", start_date="2026-02-27T12:00:00Z")) == 49

    def test_message_without_a_time_is_an_error(self, read: Any, requests_mock: Mocker) -> None:
        self.serve(requests_mock, [{"logid": "a", "submittedTime": ""}])
        with pytest.raises(Exception, match="has no valid submittedTime"):
            read("sms_logs")


class TestAgentStatusChanges:
    PATH = f"{VOICE}/rest/json/zv/metrics/statusaudit/list"
    DAY = 86_400_000
    NOW_MS = 1_772_366_400_000

    def serve(
        self,
        mock: Mocker,
        moments: list[int],
        longest: int | None = None,
        lost: int | None = None,
        **more: Any,
    ) -> Any:
        """Serve the changes of one agent.

        Of a period longer than `longest`, only the first and the last one are returned; the change
        number `lost` is returned never.
        """
        users = [{"userid": "1", "agentId": "7"}, {"userid": "2"}]
        Server(mock, DIRECTORY_STREAMS[0], users)
        chain = list(zip([0, *moments], moments, strict=False))
        if lost is not None:
            del chain[lost]

        def respond(request: Any, _context: Any) -> dict[str, Any]:
            first, last = (int(request.qs[name][0]) for name in ("fromepoch", "toepoch"))
            hits = [
                {"previous_action_time": before, "current_action_time": at, "agentName": "Ana"}
                for before, at in chain
                if first <= at < last
            ]
            if longest and last - first > longest:
                hits = hits[:1] + hits[-1:]
            if int(request.qs["from"][0]):
                hits = []
            previous = [at for _, at in chain if at < first]
            found: dict[str, Any] = {"agent_id": "7", "dates": [{"hits": hits}]}
            if previous:
                found["previousResult"] = {"current_action_time": previous[-1]}
            return {"code": "200", "list": {"agentStatus": [found]}, **more}

        return mock.get(self.PATH, json=respond)

    def test_refusal_of_a_page_that_names_no_value_is_no_end(
        self, read: Any, requests_mock: Mocker
    ) -> None:
        self.serve(requests_mock, self.moments(5))
        requests_mock.get(
            self.PATH,
            additional_matcher=lambda request: request.qs["from"] != ["0"],
            status_code=400,
            json={"code": "Q9", "message": "Not now"},
        )
        with pytest.raises(Exception, match="Not now"):
            read("agent_status_changes")

    def moments(self, count: int) -> list[int]:
        return [self.NOW_MS - self.DAY * (count - number) for number in range(count)]

    def test_requests_name_agent_and_period(self, read: Any, requests_mock: Mocker) -> None:
        mock = self.serve(requests_mock, self.moments(5))
        rows = read("agent_status_changes", start_date="2026-02-01")
        assert [row["agent_id"] for row in rows] == ["7"] * 5
        assert rows == sorted(rows, key=lambda row: row["current_action_time"])
        first, second = (request.qs for request in mock.request_history)
        assert (first["from"], second["from"]) == (["0"], ["5"])
        assert first["agentids"] == ["7"]
        assert first["tz"] == ["gmt"]
        assert first["fromepoch"] == [str(1_769_904_000_000 - 1)]  # 2026-02-01, less one
        assert len(first["toepoch"][0]) == len(first["fromepoch"][0])

    def test_change_at_the_end_of_a_period_comes_once(
        self, read: Any, requests_mock: Mocker
    ) -> None:
        start = self.NOW_MS - 400 * self.DAY
        end_of_first = start + 366 * self.DAY
        mock = self.serve(requests_mock, [start, end_of_first, end_of_first + 1])
        rows = read("agent_status_changes", start_date="2025-01-25T12:00:00Z")
        times = [row["current_action_time"] for row in rows]
        assert len(times) == len(set(times)) == 3
        assert len({request.qs["fromepoch"][0] for request in mock.request_history}) == 2

    def test_gap_is_read_again_in_halves(
        self, read: Any, requests_mock: Mocker, caplog: pytest.LogCaptureFixture
    ) -> None:
        self.serve(requests_mock, self.moments(20), longest=8 * self.DAY)
        assert len(read("agent_status_changes", start_date="2026-01-01")) == 20
        assert "do not follow" not in caplog.text

    def test_gap_that_stays_is_told(
        self, read: Any, requests_mock: Mocker, caplog: pytest.LogCaptureFixture
    ) -> None:
        self.serve(requests_mock, self.moments(20), lost=10)
        assert len(read("agent_status_changes", start_date="2026-01-01")) == 19
        assert "1 status changes do not follow the previous one" in caplog.text

    @pytest.mark.parametrize("status", [400, 403, 404])
    @pytest.mark.parametrize("what", ["the offset", "anything"])
    def test_only_a_rejected_offset_ends_the_list(
        self, read: Any, requests_mock: Mocker, status: int, what: str
    ) -> None:
        mock = self.serve(requests_mock, self.moments(5))

        def is_rejected(request: Any) -> bool:
            is_first = not mock.request_history
            return request.qs["from"] != ["0"] if what == "the offset" else not is_first

        error = {"code": "ZVT015", "message": "Nein"}
        requests_mock.get(self.PATH, additional_matcher=is_rejected, status_code=status, json=error)
        if what == "the offset":
            assert len(read("agent_status_changes", start_date="2026-02-01")) == 5
        else:
            with pytest.raises(Exception, match=f"HTTP {status}"):
                read("agent_status_changes", start_date="2026-02-01")

    @pytest.mark.parametrize("found", [None, {}, {"agentStatus": None}, {"agentStatus": []}])
    def test_nothing_is_no_error(self, read: Any, requests_mock: Mocker, found: Any) -> None:
        self.serve(requests_mock, [], list=found)
        assert read("agent_status_changes") == []

    @pytest.mark.parametrize(
        "found",
        [{"others": [1]}, {"agentStatus": {"a": 1}}, [1], {"agentStatus": [{"dates": {"a": 1}}]}],
    )
    def test_unknown_form_is_an_error(self, read: Any, requests_mock: Mocker, found: Any) -> None:
        self.serve(requests_mock, [], list=found)
        with pytest.raises(Exception, match="unexpected response"):
            read("agent_status_changes")
