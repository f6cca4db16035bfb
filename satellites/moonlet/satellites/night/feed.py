"""Price feeds: the one that is shipped, CSV files, and the sources that Oracle compares."""

import csv
import io
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Final

from msgspec import Struct

from moonlet.core import Invalid
from moonlet.satellites.common import BPS, MICRO
from moonlet.satellites.oracle import Reading

COLUMNS: Final = ("time_utc", "open", "high", "low", "close", "volume")
MAX_ROWS: Final = 100_000
MAX_BYTES: Final = 16_777_216
MAX_PRICE: Final = 1_000_000
"""Dollars; a greater price is taken for a mistake."""

MAX_VOLUME: Final = 10**15

SOURCE: Final = "feed"
LAGGING: Final = "synthetic-lagging"
ERRATIC: Final = "synthetic-erratic"
OUTLIER_EVERY: Final = 23
"""The erratic source is wrong at index 7 and every 23rd after it."""

OUTLIER_FIRST: Final = 7
OUTLIER: Final = 800
"""By how much it is wrong, up and down in turn, in basis points."""

# USDC in dollars, hourly closes, March 2023 (UTC), as day, hour, thousandths of a dollar.
_DEPEG: Final = """
10T20:1.003 10T21:0.996 10T22:0.996 10T23:0.995 11T00:0.994 11T01:0.988 11T02:0.991 11T03:0.978
11T04:0.978 11T05:0.975 11T06:0.961 11T07:0.963 11T08:0.925 11T09:0.902 11T10:0.901 11T12:0.911
11T13:0.910 11T14:0.910 11T15:0.918 11T16:0.918 11T17:0.933 11T18:0.945 11T19:0.948 11T20:0.977
11T21:0.955 11T22:0.947 11T23:0.961 12T00:0.958 12T01:0.971 12T02:0.965 12T03:0.965 12T04:0.959
12T05:0.965 12T06:0.955 12T07:0.941 12T08:0.949 12T09:0.946 12T10:0.954 12T11:0.959 12T12:0.949
12T13:0.954 12T14:0.949 12T15:0.949 12T16:0.956 12T17:0.962 12T18:0.971 12T19:0.965 12T20:0.964
12T21:0.966 12T22:0.991 12T23:0.986 13T00:0.989 13T01:0.999 13T02:0.995 13T03:0.992 13T04:0.991
13T05:0.987 13T06:0.988 13T07:0.993 13T08:0.992 13T09:0.993 13T10:0.989 13T11:0.989 13T12:0.994
13T13:0.994 13T14:0.994
"""


class Quote(Struct, frozen=True):
    """A price (micro-dollars) at a time (seconds since 1970)."""

    at: int
    price: int


class InvalidFeed(Invalid):
    """A feed's file can't be used: `line` (from 1, the header's) and `column` say where."""

    def __init__(self, message: str, *, line: int = 0, column: str = "") -> None:
        super().__init__(message)
        self.line = line
        self.column = column


def depeg() -> tuple[Quote, ...]:
    """The shipped feed: the real course of USDC from 10 to 13 March 2023, hourly, with one gap."""
    quotes = []
    for word in _DEPEG.split():
        moment, _, price = word.partition(":")
        day, _, hour = moment.partition("T")
        at = datetime(2023, 3, int(day), int(hour), tzinfo=UTC)
        quotes.append(Quote(int(at.timestamp()), int(Decimal(price) * MICRO)))
    return tuple(quotes)


def read_feed(path: str | Path) -> tuple[Quote, ...]:
    """The closes of a CSV file with the columns `COLUMNS`; rows may have gaps, times must rise.

    Raises `InvalidFeed`, naming line and column; a file over `MAX_BYTES` is not read at all.
    """
    path = Path(path)
    try:
        if path.stat().st_size > MAX_BYTES:
            raise InvalidFeed(f"{path} is over {MAX_BYTES:,} bytes: cut it into parts")
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        reason = error.strerror or "it can't be opened"
        raise InvalidFeed(f"{path} can't be read: {reason}; check the path") from None
    except UnicodeDecodeError as error:
        raise InvalidFeed(f"{path} is no UTF-8 text (byte {error.start}): save it as CSV") from None
    return parse_feed(text, str(path))


def parse_feed(text: str, name: str = "the feed") -> tuple[Quote, ...]:
    """As `read_feed`, of text."""
    quotes: list[Quote] = []
    rows = _rows(text, name)
    line, header = next(rows, (1, []))
    if tuple(header) != COLUMNS:
        raise InvalidFeed(
            f"{name}, line {line}: the first line must be {','.join(COLUMNS)}", line=line
        )
    for line, row in rows:
        if len(row) != len(COLUMNS):
            raise InvalidFeed(
                f"{name}, line {line}: {len(row)} fields where {len(COLUMNS)} are expected",
                line=line,
            )
        if len(quotes) >= MAX_ROWS:
            raise InvalidFeed(
                f"{name}, line {line}: over {MAX_ROWS:,} rows: cut it into parts", line=line
            )
        quote = _quote(row, f"{name}, line {line}", line)
        if quotes and quote.at <= quotes[-1].at:
            raise InvalidFeed(
                f"{name}, line {line}, column time_utc: {row[0]} is not after the row before:"
                " sort the rows and drop repeated times",
                line=line,
                column="time_utc",
            )
        quotes.append(quote)
    if not quotes:
        raise InvalidFeed(f"{name} has no rows below its header", line=line)
    return tuple(quotes)


def _rows(text: str, name: str) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    while True:
        try:
            row = next(reader, None)
        except csv.Error as error:
            line = reader.line_num
            raise InvalidFeed(f"{name}, line {line}: no CSV: {error}", line=line) from None
        if row is None:
            return
        if row:
            yield reader.line_num, [field.strip() for field in row]


def _quote(row: Sequence[str], where: str, line: int) -> Quote:
    close = 0
    for column, field in zip(COLUMNS[1:], row[1:], strict=True):
        most = MAX_VOLUME if column == "volume" else MAX_PRICE
        value = _number(field, column, where, line, most, zero=column == "volume")
        if column == "close":
            close = value
    return Quote(_time(row[0], where, line), close)


def _number(field: str, column: str, where: str, line: int, most: int, *, zero: bool) -> int:
    """Micro-units of a decimal number in its range; `zero` says whether 0 will do."""

    def refuse(why: str) -> InvalidFeed:
        shown = field if len(field) <= 40 else f"{field[:37]}..."
        return InvalidFeed(f"{where}, column {column}: {shown!r} {why}", line=line, column=column)

    if not field:
        raise refuse("is empty: give a number, or leave the row out")
    try:
        value = Decimal(field if field.isascii() and "_" not in field else "?")
    except InvalidOperation:
        raise refuse("is not a number") from None
    if not value.is_finite():
        raise refuse("is not finite: give a number, or leave the row out")
    if value < 0 or (value == 0 and not zero):
        raise refuse("is not above zero" if not zero else "is negative")
    if value > most:
        raise refuse(f"is over {most:,}")
    micros = int((value * MICRO).to_integral_value())
    if micros == 0 and not zero:
        raise refuse("is less than a millionth")
    return micros


def _time(field: str, where: str, line: int) -> int:
    try:
        moment = datetime.fromisoformat(field)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None or not 1970 < moment.year < 3000:
        raise InvalidFeed(
            f"{where}, column time_utc: {field[:40]!r} is no time like 2023-03-11T08:00:00Z",
            line=line,
            column="time_utc",
        )
    return int(moment.timestamp())


def readings(feed: Sequence[Quote], index: int, at: int) -> tuple[Reading, ...]:
    """What three sources say at `index`: the feed, and two made from it and marked synthetic.

    One lags a price behind; the other repeats the feed, but for a scripted outlier now and then.
    """
    price = feed[index].price
    before = feed[max(index - 1, 0)].price
    return (
        Reading(SOURCE, price, at),
        Reading(LAGGING, before, at, synthetic=True),
        Reading(ERRATIC, _erratic(price, index), at, synthetic=True),
    )


def _erratic(price: int, index: int) -> int:
    turn, rest = divmod(index - OUTLIER_FIRST, OUTLIER_EVERY)
    if index < OUTLIER_FIRST or rest:
        return price
    return price * (BPS + (OUTLIER if turn % 2 else -OUTLIER)) // BPS
