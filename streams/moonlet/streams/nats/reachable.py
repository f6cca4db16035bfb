"""Which of several servers answer: found at once, however many of them are dead or silent."""

import asyncio
import random
from collections.abc import Sequence
from typing import Final
from urllib.parse import urlsplit

PROBE_SECONDS: Final = 1.0
"""Seconds that a server has to say something."""

PORT: Final = 4222
"""Where a server listens whose address names no port."""


async def answering_first(servers: Sequence[str], *, hello: bool) -> list[str]:
    """The servers, one that answers first; the others in an order by chance, to spread load.

    All are tried at the same time, as one that is silent takes as long as it is given. With
    `hello` a server must say that it is one (it does, unless TLS comes first). One is not tried.
    """
    order = random.sample(servers, len(servers))  # no reproducible chance: see `select_server`
    if len(order) < 2:
        return order
    probes = {asyncio.ensure_future(_answers(server, hello=hello)): server for server in order}
    waiting = set(probes)
    try:
        async with asyncio.timeout(PROBE_SECONDS):
            while waiting:
                done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                for probe in done:
                    if probe.result():
                        order.remove(probes[probe])
                        return [probes[probe], *order]
    except TimeoutError:
        pass
    finally:
        for probe in waiting:
            probe.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
    return order


async def _answers(server: str, *, hello: bool) -> bool:
    place = urlsplit(server)
    try:
        reader, writer = await asyncio.open_connection(place.hostname, place.port or PORT)
    except (OSError, ValueError):
        return False
    try:
        return not hello or (await reader.readline()).startswith(b"INFO")
    except (OSError, ValueError):  # it hung up, or its line has no end
        return False
    finally:
        writer.close()
