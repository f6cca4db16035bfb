"""Finding commits by their words, in the index, which is made if there is none."""

from typing import Any, Final

from moonlet.web.reading import Parameters, SystemReader

HITS_MAX: Final = 100
"""Commits that are found at most, the newest first."""


async def search(reader: SystemReader, asked: Parameters) -> dict[str, Any]:
    """Commits that have all words of `q` in names, ids or reasons."""
    text = asked.text("q")
    async with reader.searching() as index:
        hits = index.search(text, HITS_MAX)
    return {"hits": hits, "command": reader.system.command("search", text)}
