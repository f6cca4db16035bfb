"""How the server reads numbers and times."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moonlet.simulations.jetstream import headers as fields

SECOND = 1_000_000_000


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [
        ("1h30m", 5400 * SECOND),
        ("250ms", SECOND // 4),
        ("1.5s", SECOND + SECOND // 2),
        (".5s", SECOND // 2),
        ("-2s", -2 * SECOND),
        ("0", 0),
        ("3us2ns", 3002),
        ("", None),
        ("5", None),
        ("1 s", None),
        ("s", None),
        ("1d", None),
    ],
)
def test_durations_are_read_as_go_reads_them(text: str, nanoseconds: int | None) -> None:
    assert fields.duration(text) == nanoseconds


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1s", 1),
        ("1900ms", 1),
        ("60", 60),
        ("Never", fields.NEVER),
        ("500ms", None),
        ("0", None),
        ("-5", None),
        ("x", None),
    ],
)
def test_a_time_to_live_is_whole_seconds_and_at_least_one(text: str, seconds: int | None) -> None:
    assert fields.ttl_seconds(text) == seconds


@given(st.integers(min_value=0, max_value=4_000_000_000 * SECOND))
def test_times_survive_being_written_and_read(time: int) -> None:
    assert fields.from_rfc3339(fields.rfc3339(time)) == time


def test_times_of_other_zones_are_read() -> None:
    assert fields.from_rfc3339("2023-11-14T23:13:20.25+01:00") == 1_700_000_000_250_000_000
    assert fields.from_rfc3339("2023-11-14T22:13:20Z") == 1_700_000_000_000_000_000
    assert fields.from_rfc3339("2023-13-14T22:13:20Z") is None
    assert fields.from_rfc3339("noon") is None


@given(
    st.dictionaries(
        st.from_regex(r"[A-Za-z-]{1,9}", fullmatch=True),
        st.text(st.characters(exclude_characters="\r\n", exclude_categories=["Cs"])).map(str.strip),
        max_size=4,
    )
)
def test_headers_survive_the_wire_and_have_the_size_they_take(headers: dict[str, str]) -> None:
    encoded = fields.encode(headers)
    assert fields.decode(encoded) == headers
    assert fields.size(headers) == (len(encoded) if headers else 0)
