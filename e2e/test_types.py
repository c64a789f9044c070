"""Types and values of the columns of a warehouse."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from e2e.account import KEYS
from e2e.warehouses import Database, Postgres

if TYPE_CHECKING:
    from collections.abc import Mapping

    from e2e.conftest import Twice

MOMENT, TEXT, FLAG, WHOLE, NUMBER, OBJECT = "moment", "text", "flag", "whole", "number", "object"
NAMES = {
    "target-postgres": {
        MOMENT: "timestamp without time zone",
        TEXT: "text",
        FLAG: "boolean",
        WHOLE: "bigint",
        NUMBER: "numeric",
        OBJECT: "jsonb",
    },
    "target-duckdb": {
        MOMENT: "TIMESTAMP",
        TEXT: "VARCHAR",
        FLAG: "BOOLEAN",
        WHOLE: "HUGEINT",
        NUMBER: "DOUBLE",
        OBJECT: "JSON",
    },
    "target-snowflake": {
        MOMENT: "TIMESTAMP_TZ(9)",
        TEXT: "VARCHAR(16777216)",
        FLAG: "BOOLEAN",
        WHOLE: "NUMBER(38,0)",
        NUMBER: "FLOAT",
        OBJECT: "VARIANT",
    },
}
CALL_LOGS = {
    **dict.fromkeys(("start_time", "answer_time", "end_time"), MOMENT),
    **dict.fromkeys(("isblocked", "is_test_call", "voicemail_read_by", "is_bh_off_duty"), FLAG),
    **dict.fromkeys(("feedback", "duration_seconds"), WHOLE),
    **dict.fromkeys(("bridged_agent", "voice_credits", "call_recording", "voicemail"), OBJECT),
    "additional_fields": OBJECT,
}
RECORDINGS = {
    **dict.fromkeys(("start_time", "downloaded_at"), MOMENT),
    **dict.fromkeys(("size", "bytes"), WHOLE),
    "duration_seconds": NUMBER,
}
TRANSCRIPTS = {
    **dict.fromkeys(("segments", "analytics", "additional_fields"), OBJECT),
    "start_time": MOMENT,
}


@pytest.fixture(scope="session")
def types(twice: Twice) -> dict[str, dict[str, str]]:
    """Return the types of the columns of each stream, asked for at once, as rows are."""
    assert isinstance(twice.warehouse, Database)
    return twice.warehouse.all_types(*KEYS)


@pytest.mark.parametrize("twice", NAMES, indirect=True, scope="session")
@pytest.mark.parametrize(
    ("stream", "columns", "count"),
    [("call_logs", CALL_LOGS, 36), ("recordings", RECORDINGS, 12), ("transcripts", TRANSCRIPTS, 9)],
)
def test_each_column_has_the_type_of_its_field(
    twice: Twice,
    types: dict[str, dict[str, str]],
    stream: str,
    columns: Mapping[str, str],
    count: int,
) -> None:
    warehouse = twice.warehouse
    found = own_columns(types[stream])
    names = NAMES[warehouse.loader]
    expected = {name: names[columns.get(name, TEXT)] for name in found}
    if isinstance(warehouse, Postgres) and stream == "transcripts":
        expected["segments"] = "ARRAY"
    assert found == expected
    assert columns.keys() <= found.keys()
    assert len(found) == count


def own_columns(types: Mapping[str, str]) -> dict[str, str]:
    """Return the types of the columns that are not the loader's own, by names in lower case."""
    return {name.lower(): kind for name, kind in types.items() if name[:5].lower() != "_sdc_"}


@pytest.mark.parametrize("twice", ["target-postgres"], indirect=True, scope="session")
def test_postgres_keys_are_unique_and_gaps_told(twice: Twice) -> None:
    warehouse = twice.warehouse
    assert isinstance(warehouse, Postgres)
    keys = warehouse.ask(
        "SELECT json_build_array(conrelid::regclass, pg_get_constraintdef(oid)) "
        "FROM pg_constraint WHERE contype = 'p' AND connamespace = 'zoho'::regnamespace "
        "ORDER BY conrelid::regclass::text"
    )
    assert keys == [
        ["zoho.call_logs", "PRIMARY KEY (logid)"],
        ["zoho.recordings", "PRIMARY KEY (recording_filename)"],
        ["zoho.transcripts", "PRIMARY KEY (logid, kind)"],
    ]
    # A missing object is JSON null, not SQL NULL.
    (counts,) = warehouse.ask(
        "SELECT json_build_array(count(*) FILTER (WHERE voicemail IS NULL), "
        "count(*) FILTER (WHERE voicemail = 'null') > 0) FROM zoho.call_logs"
    )
    assert counts == [0, True]
