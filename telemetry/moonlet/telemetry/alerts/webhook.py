"""A call by HTTP: what has changed, as JSON, to an address of the user's."""

import asyncio
import urllib.request
from collections.abc import Awaitable, Callable, Sequence
from typing import Final
from urllib.parse import urlsplit

import msgspec

from moonlet.core.errors import InvalidSettings, Unavailable
from moonlet.telemetry.alerts.judge import AlertChange

SECONDS: Final = 3.0
"""Seconds that one try may take."""

TRIES: Final = 2


def webhook(url: str) -> Callable[[str, Sequence[AlertChange]], Awaitable[None]]:
    """An action: POST `{"host": ..., "alerts": [...]}` to an http or https address.

    Tried twice, beside the loop, so it may arrive twice; raises `Unavailable` if both failed.
    Redirects are not followed: what is sent goes where it was meant to.
    """
    if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).hostname:
        raise InvalidSettings(f"webhook {url!r:.200}: give an address of http or https")

    async def act(host: str, changes: Sequence[AlertChange]) -> None:
        body = msgspec.json.encode({"host": host, "alerts": list(changes)})
        why = ""
        for _ in range(TRIES):
            try:
                await asyncio.to_thread(_post, url, body)
                return
            except (OSError, ValueError) as error:
                why = str(error)
        raise Unavailable(f"the webhook of alerts did not take what was sent: {why}")

    return act


_OPENER: Final = urllib.request.OpenerDirector()
for _handler in (
    urllib.request.ProxyHandler,
    urllib.request.HTTPHandler,
    urllib.request.HTTPSHandler,
    urllib.request.HTTPErrorProcessor,
    urllib.request.HTTPDefaultErrorHandler,
):  # all but the one that follows redirects
    _OPENER.add_handler(_handler())


def _post(url: str, body: bytes) -> None:
    headers = {"Content-Type": "application/json", "User-Agent": "moonlet"}
    request = urllib.request.Request(url, data=body, headers=headers, method="POST")
    with _OPENER.open(request, timeout=SECONDS):
        pass
