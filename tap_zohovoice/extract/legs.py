"""Legs of a call: rows with one `logid` that differ. One is kept, and gets the others' values."""

from collections.abc import Callable, Iterable, Sequence

from tap_zohovoice.singer.json import SerializedRecord

_OTHER_ROWS = "other_rows"  # member of `additional_fields`: values that differ


class CallRows:
    """Rows of a window, one for each call.

    Of rows that differ, that of the later response is kept; within one, the later `end_time`.
    """

    def __init__(self) -> None:
        self.kept: dict[str, SerializedRecord] = {}  # by `logid`, in the order of the responses
        self._replaced: set[SerializedRecord] = set()
        self._legs: set[SerializedRecord] = set()

    @property
    def legs(self) -> set[SerializedRecord]:
        """The rows that are not kept, of calls with several rows that differ."""
        return self._legs and self._legs.difference(self.kept.values())

    def add(self, rows: Iterable[SerializedRecord], is_leg: Callable[[str], bool]) -> None:
        """Add the rows of a response.

        `is_leg` tells for an id whether an earlier row is another leg, not an older version.
        """
        picked: dict[str, SerializedRecord] = {}
        for sent in rows:
            key = sent.logid
            # One that was read before, and replaced, is not newer than the one that is kept.
            is_old = self._replaced and sent in self._replaced
            row = self.kept.get(key, sent) if is_old else sent
            other = picked.setdefault(key, row)
            if row != other:
                both = sorted((other, row), key=lambda leg: leg.record["end_time"] or "")
                lost, picked[key] = both
                self._replaced.add(lost)
                self._legs.add(lost)
        for key in self.kept.keys() & picked.keys():
            before = self.kept[key]
            if picked[key] != before:
                self._replaced.add(before)
                if is_leg(key):
                    self._legs.add(before)
        self.kept.update(picked)

    def merge(self, others: "CallRows") -> None:
        """Add the rows of other responses, of other types of calls."""
        self.add(others.kept.values(), lambda _: True)
        self._legs |= others.legs


def add_other_rows(
    rows: Iterable[SerializedRecord], legs: Iterable[SerializedRecord]
) -> list[SerializedRecord]:
    """Add values of other rows that differ to `additional_fields` of a call."""
    by_call: dict[str, list[SerializedRecord]] = {}
    for leg in legs:
        by_call.setdefault(leg.logid, []).append(leg)
    return [_merge(row, by_call[row.logid]) if row.logid in by_call else row for row in rows]


def _merge(row: SerializedRecord, legs: Sequence[SerializedRecord]) -> SerializedRecord:
    record = row.record
    others = [
        {name: value for name, value in leg.record.items() if value != record[name]} for leg in legs
    ]
    extra, name = record["additional_fields"] or {}, _OTHER_ROWS
    while name in extra:  # a field of the API
        name += "_"
    return SerializedRecord.from_record({**record, "additional_fields": {**extra, name: others}})
