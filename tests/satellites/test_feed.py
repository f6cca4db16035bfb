"""The shipped feed, CSV files good and bad, and the sources made from a feed."""

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moonlet.core.errors import Invalid
from moonlet.satellites.night.feed import (
    COLUMNS,
    ERRATIC,
    LAGGING,
    MAX_BYTES,
    SOURCE,
    InvalidFeed,
    depeg,
    parse_feed,
    read_feed,
    readings,
)

HEADER = ",".join(COLUMNS)
GOOD = "2023-03-11T08:00:00Z,1.0,1.1,0.9,0.925,10"
REAL = Path(__file__).resolve().parents[3] / "shared/data/usdc-2023-03-depeg.csv"


def test_the_shipped_feed_is_the_course_of_the_depeg() -> None:
    feed = depeg()
    assert len(feed) == 66
    assert (feed[0].at, feed[0].price) == (1_678_478_400, 1_003_000)  # 10 March 2023, 20:00 UTC
    assert (feed[-1].at, feed[-1].price) == (1_678_716_000, 994_000)  # 13 March 2023, 14:00 UTC
    assert min(quote.price for quote in feed) == 901_000
    steps = [after.at - before.at for before, after in pairwise(feed)]
    assert sorted(set(steps)) == [3_600, 7_200]
    assert steps.count(7_200) == 1  # 11 March has no 11:00


def test_a_csv_file_gives_its_closes(tmp_path: Path) -> None:
    path = tmp_path / "feed.csv"
    path.write_text(f"\ufeff{HEADER}\r\n{GOOD}\r\n2023-03-11T09:00:00Z,1,1,1,0.9000005,0\r\n")
    first, second = read_feed(path)
    assert (first.at, first.price) == (1_678_521_600, 925_000)
    assert second.price == 900_000  # to the micro-dollar, half to even


@pytest.mark.skipif(not REAL.exists(), reason="the reference data isn't here")
def test_the_reference_file_is_read_whole_gaps_and_all() -> None:
    feed = read_feed(REAL)
    assert len(feed) == 808
    assert min(quote.price for quote in feed) == 900_761


@pytest.mark.parametrize(
    ("row", "column", "says"),
    [
        ("2023-03-11T08:00:00Z,1,1,1,abc,1", "close", "is not a number"),
        ("2023-03-11T08:00:00Z,1,1,1,NaN,1", "close", "is not finite"),
        ("2023-03-11T08:00:00Z,1,inf,1,1,1", "high", "is not finite"),
        ("2023-03-11T08:00:00Z,1,1,-1,1,1", "low", "is not above zero"),
        ("2023-03-11T08:00:00Z,0,1,1,1,1", "open", "is not above zero"),
        ("2023-03-11T08:00:00Z,1,1,1,1,-1", "volume", "is negative"),
        ("2023-03-11T08:00:00Z,1,1,1,,1", "close", "is empty"),
        ("2023-03-11T08:00:00Z,1,1,1,1e400,1", "close", "is over 1,000,000"),
        ("2023-03-11T08:00:00Z,1,1,1,1e-400,1", "close", "is less than a millionth"),
        ("2023-03-11T08:00:00Z,1,1,1,1_0,1", "close", "is not a number"),
        ("2023-03-11T08:00:00Z,1,1,1,\u0661,1", "close", "is not a number"),
        ("yesterday,1,1,1,1,1", "time_utc", "is no time"),
        ("2023-03-11T08:00:00,1,1,1,1,1", "time_utc", "is no time"),
        ("2023-03-11T07:00:00Z,1,1,1,1,1", "time_utc", "is not after the row before"),
        (GOOD, "time_utc", "is not after the row before"),
    ],
)
def test_a_bad_field_is_refused_with_its_line_and_column(row: str, column: str, says: str) -> None:
    before = "2023-03-11T07:30:00Z,1,1,1,1,1" if "after" in says and row != GOOD else None
    rows = [HEADER, *([before] if before else [GOOD] if row == GOOD else []), row]
    with pytest.raises(InvalidFeed) as caught:
        parse_feed("\n".join(rows), "feed.csv")
    assert caught.value.line == len(rows)
    assert caught.value.column == column
    assert says in str(caught.value)
    assert f"feed.csv, line {len(rows)}, column {column}" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("", 1, "the first line must be"),
        ("time,price\n", 1, "the first line must be"),
        (HEADER, 1, "no rows"),
        (f"{HEADER}\n{GOOD},7", 2, "7 fields where 6"),
        (f"{HEADER}\n\n{GOOD}\n1,2", 4, "2 fields where 6"),
        (f'{HEADER}\n"2023', 2, "no CSV"),
    ],
)
def test_a_bad_shape_is_refused_with_its_line(text: str, line: int, says: str) -> None:
    with pytest.raises(InvalidFeed, match=says) as caught:
        parse_feed(text)
    assert caught.value.line == line


def test_files_that_are_absent_huge_or_no_text_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidFeed, match="check the path"):
        read_feed(tmp_path / "nowhere.csv")
    with pytest.raises(InvalidFeed, match="can't be read"):
        read_feed(tmp_path)
    huge = tmp_path / "huge.csv"
    with huge.open("wb") as file:
        file.truncate(MAX_BYTES + 1)
    with pytest.raises(InvalidFeed, match="over 16,777,216 bytes"):
        read_feed(huge)
    binary = tmp_path / "binary.csv"
    binary.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InvalidFeed, match="no UTF-8"):
        read_feed(binary)


def test_too_many_rows_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("moonlet.satellites.night.feed.MAX_ROWS", 2)
    rows = [f"2023-03-11T08:00:0{n}Z,1,1,1,1,1" for n in range(3)]
    with pytest.raises(InvalidFeed, match="line 4: over 2 rows"):
        parse_feed("\n".join([HEADER, *rows]))


@given(st.text(max_size=200))
def test_any_text_is_a_feed_or_refused(text: str) -> None:
    for candidate in (text, f"{HEADER}\n{text}", f"{HEADER}\n2023-03-11T08:00:00Z,1,1,1,{text},1"):
        try:
            assert all(quote.price > 0 for quote in parse_feed(candidate))
        except Invalid as error:
            assert str(error)


def test_three_sources_are_made_of_the_feed_two_marked_synthetic() -> None:
    feed = depeg()
    first, lagging, erratic = readings(feed, 7, feed[7].at)
    assert [each.source for each in (first, lagging, erratic)] == [SOURCE, LAGGING, ERRATIC]
    assert [each.synthetic for each in (first, lagging, erratic)] == [False, True, True]
    assert first.value == 978_000
    assert lagging.value == 991_000  # a tick behind
    assert erratic.value == 978_000 * 92 // 100  # the scripted outlier
    assert readings(feed, 30, 0)[2].value == feed[30].price * 108 // 100
    outliers = [i for i in range(66) if readings(feed, i, 0)[2].value != feed[i].price]
    assert outliers == [7, 30, 53]
