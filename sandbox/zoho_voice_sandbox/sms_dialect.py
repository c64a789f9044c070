"""Undocumented behaviour of the endpoints of text messages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class SmsDialect:
    """Choices for sent, received and scheduled text messages.

    The zone of `fromDate` and `toDate`, and whether the latter is included, are those of calls.

    Attributes:
        sms_dates: The form of `fromDate` and `toDate`: `20251204 00:00`, `20251204 00:00:00`,
            `2025-12-04 00:00`, `2025-12-04 00:00:00`, `2025-12-04`, `2025-12-04T00:00:00+05:30`,
            any of these, or none.
        sms_other_dates: Whether dates in other forms are refused or ignored, or select nothing.
        sms_sent_offset_minutes: Zone of `sentTime`, in minutes east of UTC.
        sms_archived: Whether archived messages are listed only where they are asked for, or also
            among the others.
    """

    sms_dates: Literal[
        "compact_minutes",
        "compact_seconds",
        "dashed_minutes",
        "dashed_seconds",
        "day",
        "offset",
        "any",
        "none",
    ] = "dashed_seconds"
    sms_other_dates: Literal["refuse", "ignore", "nothing"] = "refuse"
    sms_sent_offset_minutes: int = 330
    sms_archived: Literal["separate", "everywhere"] = "separate"
