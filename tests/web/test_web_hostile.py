"""What can't be read or shown, what is huge, and who reads nothing: told, and the rest goes on."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest

from moonlet.agents import AgentType
from moonlet.core.errors import Corrupt, Invalid, LimitExceeded
from moonlet.replay import BundleSource, ScanLookup
from moonlet.web import WebSystem
from moonlet.web.answers import ANSWERS
from moonlet.web.answers import histories as histories_of
from moonlet.web.live import LiveTail, event_stream
from moonlet.web.live.tail import KEPT_MAX, READ_MAX
from moonlet.web.reading import Parameters, SystemReader, state_text
from moonlet.web.reading.state_lines import LINES_MAX
from moonlet.web.shared_answers import FRESH, SharedAnswers
from moonlet.web.shared_answers import KEPT_MAX as ANSWERS_MAX
from tests.agents.accounts import account_type
from tests.replay.histories import history


def reader_of(source: BundleSource, code: AgentType[Any] | None = None) -> SystemReader:
    """A reader of a bundle, without any console."""

    @asynccontextmanager
    async def looking() -> AsyncIterator[Any]:
        yield ScanLookup(source)

    return SystemReader(
        WebSystem(
            source=source,
            bus=None,
            types={"account": code or account_type()},
            views={},
            command=lambda *words, code=False: " ".join(words),
            looking=looking,
            searching=looking,
        )
    )


async def told(reader: SystemReader, name: str, **given: object) -> dict[str, Any]:
    """What the page gets, through JSON as it does."""
    asked = Parameters({key: str(value) for key, value in given.items()})
    found: dict[str, Any] = msgspec.json.decode(
        msgspec.json.encode(await ANSWERS[name](reader, asked))
    )
    return found


def broken_at(sequence: int) -> BundleSource:
    """A history of ten commits, one of which is garbage."""
    source = history(1, 10)
    held = source._bundle.streams[0]
    message = held.messages[sequence - 1]
    held.messages[sequence - 1] = msgspec.structs.replace(message, data=b'{"broken')
    return source


async def test_a_record_that_is_garbage_is_one_row_and_the_others_are_there() -> None:
    reader = reader_of(broken_at(4))
    rows = (await told(reader, "history", agent="account/s0"))["rows"]
    assert [row["outcome"] for row in rows].count("unreadable") == 1
    assert len(rows) == 10 and rows[3]["outcome"] == "unreadable" and rows[3]["reason"]
    assert (await told(reader, "state", agent="account/s0", revision=3))["revision"] == 3
    with pytest.raises(Corrupt):
        await told(reader, "state", agent="account/s0", revision=7)
    tail = LiveTail(reader.source)
    stream = event_stream(tail, "moon-journal-main:0")
    await anext(stream)
    first = (await anext(stream)).decode()
    assert '"total":10' in first and first.count('"revision"') == 9
    await stream.aclose()


class Odd:
    """A state that is no data at all."""


async def test_a_state_that_can_not_be_shown_says_so() -> None:
    from moonlet.web.reading import brief

    assert brief(Odd()).startswith("can't be shown")
    nested: list[Any] = []
    for _ in range(5_000):
        nested = [nested]
    assert brief(nested).startswith(("can't be shown", "["))


async def test_huge_states_and_texts_are_cut_and_that_is_said() -> None:
    lines, cut_off = state_text({str(n): n for n in range(LINES_MAX + 10)})
    assert cut_off and len(lines) == LINES_MAX
    lines, cut_off = state_text({"long": "x" * 1_000_000})
    assert not cut_off and len(lines[1].text) < 500 and "1,000,002 characters" in lines[1].text
    deep: Any = 0
    for _ in range(2_000):
        deep = {"in": deep}
    lines, _ = state_text(deep)
    assert lines[-1].depth == 2_000


async def test_a_value_beyond_what_is_shown_names_the_limit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(histories_of, "RECORD_MAX", 10)
    reader = reader_of(history(1, 3))
    with pytest.raises(LimitExceeded, match="use the command"):
        await told(reader, "commit", agent="account/s0", revision=2)


async def test_who_reads_nothing_costs_nothing_and_is_told_how_much_was_missed() -> None:
    source = history(1, READ_MAX + 500)
    tail = LiveTail(source)
    stream = event_stream(tail, "moon-journal-main:1")
    await anext(stream)
    first = (await anext(stream)).decode()
    assert f'"total":{READ_MAX + 499}' in first
    assert len(tail._kept) == KEPT_MAX
    assert first.count('"revision"') == 200  # the last ones: what was before is read where it is
    await stream.aclose()
    assert tail._task is None  # nobody looks any more


async def test_a_frontier_of_another_system_does_no_harm() -> None:
    source = history(1, 5)
    for mark in ("other:9", "moon-journal-main:99", "nonsense", "a:1," * 500):
        stream = event_stream(LiveTail(source), mark)
        await anext(stream)
        assert b'"total":' in await anext(stream)
        await stream.aclose()


async def test_a_bundle_says_what_it_can_not() -> None:
    reader = reader_of(history(1, 1))
    for name in ("waiting", "parked", "logs"):
        with pytest.raises(Invalid, match="bundle"):
            await told(reader, name)


async def test_answers_are_shared_while_they_are_made_and_for_a_second() -> None:
    shared, made = SharedAnswers(), 0
    going = asyncio.Event()

    async def make() -> int:
        nonlocal made
        made += 1
        await going.wait()
        return made

    waiting = [asyncio.create_task(shared.get("a", make)) for _ in range(50)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    going.set()
    assert await asyncio.gather(*waiting[1:]) == [1] * 49
    assert await shared.get("a", make) == 1 and FRESH == 1.0

    async def fail() -> None:
        nonlocal made
        made += 1
        raise Invalid("not now")

    for _ in range(2):
        with pytest.raises(Invalid):
            await shared.get("b", fail)
    assert made == 3
    for number in range(2 * ANSWERS_MAX):
        await shared.get(str(number), make)
    assert len(shared._kept) == ANSWERS_MAX
