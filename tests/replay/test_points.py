"""Points and times, however they are written."""

from collections.abc import AsyncGenerator

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from moonlet.core.errors import Invalid, MoonletError
from moonlet.core.ids import AgentId
from moonlet.replay import (
    BundleSource,
    Point,
    TimeText,
    commit_at,
    moment_of,
    parse_moment,
    parse_point,
    resolve,
)
from moonlet.streams import StoredMessage
from tests.journals import BEGAN
from tests.replay.histories import history

DAY = 86_400 * 10**6
ORDER = AgentId("order", "a")


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("1970-01-02T00:00:01", TimeText(at=DAY + 10**6)),
        ("1970-01-02T01:00:01+01:00", TimeText(at=DAY + 10**6)),
        ("1970-01-02", TimeText(at=DAY)),
        ("08:45", TimeText(of_day=(8 * 60 + 45) * 60 * 10**6)),
        ("08:45:00.5", TimeText(of_day=(8 * 60 + 45) * 60 * 10**6 + 500_000)),
        ("-5m", TimeText(ago=300 * 10**6)),
        ("-250ms", TimeText(ago=250_000)),
    ],
)
def test_a_time_is_read(text: str, wanted: TimeText) -> None:
    assert parse_moment(text) == wanted


@pytest.mark.parametrize(
    "text",
    ["", "25:00", "08:45+01:00", "noon", "-5", "-5y", "2026-13-01", "99999-01-01", "5m"],
)
def test_what_is_no_time_is_refused_in_words(text: str) -> None:
    with pytest.raises(Invalid, match=r"is no time: write it like|behind"):
        parse_moment(text)


def test_a_time_alone_is_of_today_or_of_the_day_that_is_looked_at() -> None:
    moment = parse_moment("08:45")
    into = (8 * 60 + 45) * 60 * 10**6
    assert moment_of(moment, now_us=9 * DAY + 1, last_us=9 * DAY) == 9 * DAY + into
    assert moment_of(moment, now_us=9 * DAY + 1, last_us=7 * DAY + 5) == 7 * DAY + into
    assert moment_of(parse_moment("-5m"), now_us=9 * DAY, last_us=0) == 9 * DAY - 300 * 10**6


def test_the_texts_of_points() -> None:
    assert parse_point("order/a@17").revision == 17
    assert parse_point("order/a@17.2").revision == 17
    assert parse_point("order/a").kind == parse_point("order/a@last").kind == "last"
    assert parse_point("order/a@08:45").moment == parse_moment("08:45")
    place = parse_point("shop-journal-goods:12.0")
    assert (place.kind, place.stream, place.sequence) == ("place", "shop-journal-goods", 12)
    assert parse_point("order/a:17.0").kind == "id", "an effect's id is its command's"
    assert str(Point(ORDER, 3)) == "order/a@3"


@pytest.mark.parametrize("text", ["", "two words", "order/a@noon", "ü", "x" * 2_000, "a\0b"])
def test_what_is_no_point_is_refused_in_words(text: str) -> None:
    with pytest.raises(Invalid):
        parse_point(text)


@given(st.text(max_size=60))
def test_any_text_is_a_point_or_refused(text: str) -> None:
    try:
        parse_point(text)
    except MoonletError as error:
        assert str(error)


async def test_a_commit_has_many_names(shop: BundleSource) -> None:
    point = Point(ORDER, 2)
    commit = await commit_at(shop, point)
    for text in (
        "order/a@2",
        f"shop-journal-orders:{commit.sequence}",
        f"orders:{commit.sequence}",
        commit.command.id,
        f"order/a@{commit.time.datetime.isoformat()}",
    ):
        assert await resolve(shop, text) == point, text
    last = await resolve(shop, "order/a")
    assert last.revision == 4 and await resolve(shop, "order/a@last") == last
    assert await resolve(shop, "order/a", moment=parse_moment("-1000d")) == Point(ORDER, 0)
    assert await resolve(shop, "order/a@0") == Point(ORDER, 0)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("order/a@9", "order/a has no revision 9: its last is 4"),
        ("order/nobody@1", "order/nobody has no revision 1: it has no commits"),
        ("nowhere:3", "there is no journal nowhere in day.moonlet; there are: shop-journal-goods"),
        ("goods:99999", "shop-journal-goods holds sequences 1 to"),
        ("no-such-id", "no commit of day.moonlet has the command id 'no-such-id'"),
    ],
)
async def test_a_point_that_is_not_there_is_told(shop: BundleSource, text: str, said: str) -> None:
    with pytest.raises(Invalid, match=said):
        await resolve(shop, text)
    with pytest.raises(Invalid, match="order/a@0 is no commit"):
        await commit_at(shop, Point(ORDER, 0))
    with pytest.raises(Invalid, match="is a point already"):
        await resolve(shop, "order/a@2", moment=parse_moment("08:45"))


class Counting(BundleSource):
    """Counts the batches that are read of it."""

    looks = 0

    async def messages(
        self, stream: str, subject: str = ">", *, start: int = 1
    ) -> AsyncGenerator[list[StoredMessage], None]:
        async for batch in super().messages(stream, subject, start=start):
            self.looks += 1
            yield batch


async def test_a_time_and_a_commit_of_a_long_history_are_a_few_looks_away() -> None:
    source, agent = Counting(history(2, 5_000)._bundle, "long"), AgentId("account", "s1")
    for revision in (0, 1, 2, 77, 2_500, 4_999, 5_000, 6_000):
        source.looks = 0
        at = TimeText(at=BEGAN + revision)
        found = await resolve(source, str(agent), moment=at)
        assert found == Point(agent, min(revision, 5_000)) and source.looks <= 20
        source.looks = 0
        if found.revision:
            assert (await commit_at(source, found)).revision == found.revision
            assert source.looks <= 3
    assert (await resolve(source, "account/nobody", moment=TimeText(at=BEGAN))).revision == 0


@pytest.mark.parametrize("broken", [{20}, {1, 2, 3}, {40}, set(range(10, 35)), set(range(1, 41))])
async def test_records_that_can_t_be_read_hide_no_other(broken: set[int]) -> None:
    bundle = history(1, 40)._bundle
    streams = [
        msgspec.structs.replace(
            held,
            messages=[
                msgspec.structs.replace(m, data=b"garbage", headers={})
                if m.sequence in broken
                else m
                for m in held.messages
            ],
        )
        for held in bundle.streams
    ]
    source = BundleSource(msgspec.structs.replace(bundle, streams=streams), "broken")
    agent = AgentId("account", "s0")
    readable = [revision for revision in range(1, 41) if revision not in broken]
    if 40 not in broken:
        for revision in readable:
            assert (await commit_at(source, Point(agent, revision))).revision == revision
        for moment in range(41):
            found = await resolve(source, str(agent), moment=TimeText(at=BEGAN + moment))
            before = max((r for r in readable if r <= moment), default=0)
            behind = min((r for r in readable if r > moment), default=41)
            assert before <= found.revision < behind
