"""An account is read into a warehouse, changes, and is read again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from e2e.account import KEYS, held_calls, held_recordings, held_transcripts, keyed
from zoho_voice_sandbox.transcript_fixtures import build_transcript

if TYPE_CHECKING:
    from e2e.conftest import Twice

TYPES = {"voicemail": "1", "recording": "2"}
"""Zoho's numbers for the kinds of transcripts."""


def test_every_call_comes_once_with_all_values(twice: Twice) -> None:
    rows, held = twice.rows["call_logs"], held_calls(twice.box)
    landed = keyed("call_logs", rows)
    assert landed.keys() == held.keys()
    assert len(rows) == len(landed) or not twice.warehouse.upserts
    for key, call in held.items():
        assert landed[key] == twice.warehouse.expect(call)


def test_every_recording_is_there_once(twice: Twice) -> None:
    rows, held = twice.rows["recordings"], held_recordings(twice.box)
    landed = keyed("recordings", rows)
    assert landed.keys() == held.keys()
    assert len(rows) == len(landed) or not twice.warehouse.upserts
    for key, file in held.items():
        assert {name: landed[key][name] for name in file} == file


def test_every_transcript_is_there_once(twice: Twice) -> None:
    rows = twice.rows["transcripts"]
    landed = keyed("transcripts", rows)
    assert landed.keys() == held_transcripts(twice.box)
    assert len(rows) == len(landed) or not twice.warehouse.upserts
    for row in landed.values():
        told = build_transcript(f"{row['logid']} {TYPES[row['kind']]}")
        assert row["provider"] == told["transcriptionProvider"]
        assert [part["text"] for part in row["segments"]] == [
            part["text"] for part in told["transcriptJson"]
        ]


def test_late_calls_are_added_and_changes_updated(twice: Twice) -> None:
    before = keyed("call_logs", twice.first)
    after = keyed("call_logs", twice.rows["call_logs"])
    late, new, changed = ((twice.news[name],) for name in ("late", "new", "changed"))
    assert {late, new} == after.keys() - before.keys()
    assert before[changed]["feedback"] is None
    assert after[changed]["feedback"] == 1
    assert after[changed]["call_recording"]["recording_filename"] == "late.wav"
    files = keyed("recordings", twice.rows["recordings"])
    assert files["late.wav",]["logid"] == changed[0]


def test_meltano_state_is_start_of_last_call(twice: Twice) -> None:
    for bookmarks, expected in zip(twice.bookmarks, twice.expected, strict=True):
        assert bookmarks.keys() == KEYS.keys()
        assert bookmarks["call_logs"]["replication_key_value"] == expected
        for name in KEYS.keys() - {"call_logs"}:
            values = {
                partition["context"]["kind"]: partition["replication_key_value"]
                for partition in bookmarks[name]["partitions"]
            }
            assert values.keys() == {"recording", "voicemail"}
            assert max(values.values()) <= expected
    assert twice.expected[0] < twice.expected[1]


@pytest.mark.parametrize("twice", ["target-jsonl"], indirect=True, scope="session")
def test_second_run_reads_the_lookback_alone(twice: Twice) -> None:
    again = twice.rows["call_logs"][len(twice.first) :]
    assert 0 < len(again) < len(twice.first) / 3


def test_no_limit_was_broken(twice: Twice) -> None:
    assert (twice.box.stats.violations, twice.box.stats.locked_calls) == (0, 0)
