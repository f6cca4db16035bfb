"""Times as people write them: whole, of a day that is to be found, or so long ago."""

import re
from datetime import UTC, datetime, time, timedelta
from typing import Final

import msgspec

from moonlet.core.errors import Invalid

_AGO: Final = re.compile(r"-(\d{1,9})(ms|s|m|h|d)")
_UNITS: Final = {"ms": 1_000, "s": 10**6, "m": 60 * 10**6, "h": 3_600 * 10**6, "d": 86_400 * 10**6}
_DAY: Final = 86_400 * 10**6
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class TimeText(msgspec.Struct, frozen=True):
    """One of the three: µs since 1970, µs into a day (UTC), or µs ago."""

    at: int | None = None
    of_day: int | None = None
    ago: int | None = None


def parse_moment(text: str) -> TimeText:
    """`2026-03-11T08:45` (UTC, or with its offset), `08:45`, `08:45:03.5`, or `-5m`.

    Raises `Invalid`. An offset behind a time alone is not taken: of which day would it be?
    """
    ago = _AGO.fullmatch(text)
    if ago is not None:
        return TimeText(ago=int(ago[1]) * _UNITS[ago[2]])
    try:
        of_day = time.fromisoformat(text) if ":" in text[:3] and len(text) <= 15 else None
        if of_day is not None and of_day.tzinfo is None:
            inside = timedelta(
                hours=of_day.hour,
                minutes=of_day.minute,
                seconds=of_day.second,
                microseconds=of_day.microsecond,
            )
            return TimeText(of_day=inside // timedelta(microseconds=1))
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        return TimeText(at=(moment - _EPOCH) // timedelta(microseconds=1))
    except (ValueError, OverflowError):
        raise Invalid(
            f"{text!r} is no time: write it like 2026-03-11T08:45:00 (UTC, or with its offset),"
            " 08:45 of the day that is looked at, or -5m for five minutes ago"
        ) from None


def moment_of(moment: TimeText, *, now_us: int, last_us: int) -> int:
    """µs since 1970. `last_us` is the time of the last commit that is looked at.

    A time alone is of today, if something happened today, else of the last commit's day.
    """
    if moment.at is not None:
        return moment.at
    if moment.ago is not None:
        return now_us - moment.ago
    assert moment.of_day is not None
    day = now_us // _DAY
    if last_us // _DAY < day:
        day = last_us // _DAY
    return day * _DAY + moment.of_day
