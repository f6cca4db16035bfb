"""The live tail: what is new comes by itself, once, also to who was away."""

import asyncio
from pathlib import Path

import pytest

from moonlet.streams.server.server_process import ServerProcess
from moonlet.web.live.tail import read_frontier, write_frontier
from tests.web.support import Events, Opened, opened_console, sell

pytestmark = pytest.mark.xdist_group("web")


def test_what_is_committed_is_told_and_who_was_away_gets_it_once(
    console: Opened, shop: Path
) -> None:
    url = (shop / "url").read_text()
    events = Events(console)
    assert events.next()["total"] == 0  # where it begins
    asyncio.run(sell(url, (1, ""), till="till/live"))
    seen: list[str] = []
    while len(seen) < 2:
        seen += [f"{row['agent']}:{row['name']}" for row in events.next()["rows"]]
    assert sorted(seen) == ["ledger/main:Book", "till/live:Sell"]
    events.close()
    asyncio.run(sell(url, (2, ""), (3, ""), till="till/live"))
    again = Events(console, events.id)
    missed: list[str] = []
    while len(missed) < 4:
        missed += [f"{row['agent']}:{row['body']}" for row in again.next()["rows"]]
    again.close()
    assert sorted(missed)[2:] == [
        'till/live:{"amount":2,"note":""}',
        'till/live:{"amount":3,"note":""}',
    ]


def test_a_console_that_was_started_anew_goes_on_where_the_browser_was(shop: Path) -> None:
    url = (shop / "url").read_text()
    with opened_console(shop) as first:
        events = Events(first.enter())
        events.next()
        events.close()
    asyncio.run(sell(url, (1, "while it was away"), till="till/again"))
    with opened_console(shop) as second:
        again = Events(second.enter(), events.id)
        news = again.next()
        again.close()
    assert {row["agent"] for row in news["rows"]} == {"till/again", "ledger/main"}


def test_a_server_that_is_away_is_told_and_it_goes_on_by_itself(
    own_server: ServerProcess, tmp_path: Path
) -> None:
    with opened_console(tmp_path, "--url", own_server.url) as opened:
        events = Events(opened.enter())
        assert events.next()["away"] == ""
        own_server.kill()
        assert events.next()["away"]
        assert opened.request("/api/agents").status == 503
        own_server.start()
        assert events.next()["away"] == ""
        events.close()
        assert opened.api("agents")["agents"] == []


def test_a_frontier_is_read_back_as_it_was_written() -> None:
    frontier = {"moon-journal-a": 3, "moon-journal-b": 12}
    assert read_frontier(write_frontier(frontier)) == frontier
    for text in ("", "a", "a:", "a:-1", "a:1,b", "a:" + "9" * 19, "a:²"):
        assert read_frontier(text) is None
