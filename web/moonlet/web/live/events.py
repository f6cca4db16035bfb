"""Server-sent events: the tail as a browser's EventSource takes it, with the frontier as id.

A browser that lost the connection comes back with the last id that it got, and is told what it
missed, once.
"""

import asyncio
from collections.abc import AsyncGenerator
from typing import Final

import msgspec

from moonlet.web.live.tail import LiveTail, plain_news, read_frontier, write_frontier

EVERY: Final = 0.25
"""Seconds between two events to one browser: what is new in between is joined."""

QUIET: Final = 10.0
"""Seconds after which a line is sent though nothing is new, so that both ends know."""

ROWS_MAX: Final = 200
"""Commits in one event."""


async def event_stream(tail: LiveTail, last_id: str) -> AsyncGenerator[bytes, None]:
    """Events for one browser until it leaves."""
    frontier = read_frontier(last_id) if last_id else None
    told: str | None = None
    await tail.enter(frontier)
    try:
        yield b"retry: 1000\n\n"
        while True:
            version = tail.version
            news = await tail.since(frontier, ROWS_MAX)
            if news.total or news.away != told:
                body = msgspec.json.encode(plain_news(news)).decode()
                mark = write_frontier(news.frontier) if news.frontier else last_id
                yield f"id: {mark}\ndata: {body}\n\n".encode()
                told = news.away
            elif frontier == news.frontier:
                yield b": quiet\n\n"
            frontier = news.frontier or frontier
            await asyncio.sleep(EVERY)  # sleeps: so long is joined
            await tail.moved(version, QUIET)
    finally:
        await tail.leave()
