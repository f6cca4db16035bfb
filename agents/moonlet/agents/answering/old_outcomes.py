"""Outcomes of long ago: their commits are found in the journal, one search at a time.

A command without a number is found where its commit stands. For one with a number the agent's
journal is searched, gently: whoever asks for old ones must not keep others waiting.
"""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from contextlib import aclosing
from typing import Any, Final

from moonlet.agents.services import HostServices
from moonlet.core.codec import ENCODING_HEADER, Encoding
from moonlet.core.commit import Command, Commit
from moonlet.core.errors import MoonletError, Unavailable
from moonlet.core.ids import AgentId
from moonlet.core.marks import reached
from moonlet.streams import StoredMessage, decode_commit

SOUGHT_MAX: Final = 64
"""Commands of one partition that are searched for; who asks for further ones asks again."""

STEP: Final = 32
"""Commits that are looked at in one step of the loop: about 0.1 ms."""

Found = tuple[Commit[Any], Encoding]

OutcomeKey = tuple[str, str, str, str, int]
"""An agent, a command's id, and of one with a number also its sender, lane and number."""

_Sought = dict[OutcomeKey, "asyncio.Future[Found | None]"]


class OldOutcomes:
    """The searches of one partition; they end with it. `key` tells what a commit is known by."""

    def __init__(
        self,
        services: HostServices,
        stream: str,
        spawn: Callable[[Coroutine[Any, Any, None], str], "asyncio.Task[None]"],
        key: Callable[[str, Command[Any]], OutcomeKey],
    ) -> None:
        self._key = key
        self._services = services
        self._stream = stream
        self._spawn = spawn
        self._sought: dict[AgentId, _Sought] = {}
        self._count = 0

    async def find(self, agent: AgentId, command: OutcomeKey, sequence: int) -> Found | None:
        """The commit of a command, which stands at `sequence` if that isn't 0.

        Raises `Unavailable` if too many are searched for, and what reading raises.
        """
        if sequence:
            stored = await self._services.journal(self._stream).message(sequence)
            return decode_commit(self._stream, stored) if stored is not None else None
        sought = self._sought.get(agent)
        future = sought.get(command) if sought is not None else None
        if future is None:
            if self._count >= SOUGHT_MAX:
                raise Unavailable(f"over {SOUGHT_MAX} old outcomes are searched for: ask again")
            future = asyncio.get_running_loop().create_future()
            self._count += 1
            future.add_done_callback(self._done)
            if sought is None:
                self._sought[agent] = {command: future}
                self._spawn(self._search(agent), f"search {agent}")
            else:
                reached("old outcomes are searched for together")
                sought[command] = future
        return await asyncio.shield(future)

    def _done(self, future: "asyncio.Future[Found | None]") -> None:
        self._count -= 1
        if not future.cancelled():
            future.exception()  # whoever asks has it; perhaps nobody does any more

    async def _search(self, agent: AgentId) -> None:
        async with self._services.searching:
            sought = self._sought.pop(agent)
            try:
                await self._read(agent, sought)
            except MoonletError as error:
                for future in sought.values():
                    if not future.done():
                        future.set_exception(error)
            finally:
                for future in sought.values():
                    if not future.done():
                        future.set_result(None)

    async def _read(self, agent: AgentId, sought: _Sought) -> None:
        """Give each its commit; ends when all are found, or the journal ends."""
        left = {command: _trace(command[1]) for command in sought}
        journal = self._services.journal(self._stream)
        async with aclosing(journal.messages(agent, wide=True)) as batches:
            async for batch in batches:
                for start in range(0, len(batch), STEP):
                    for message in batch[start : start + STEP]:
                        if _may_be(message, left):
                            found = decode_commit(self._stream, message)
                            command = self._key(found[0].agent, found[0].command)
                            if left.pop(command, None) is not None:
                                sought[command].set_result(found)
                    if not left:
                        return
                    await asyncio.sleep(0)  # others have their turn


def _trace(id: str) -> bytes:
    """What stands in the bytes of an uncompressed commit of this id; nothing if one can't tell."""
    plain = id.isascii() and id.isprintable() and not set(id) & {'"', "\\"}
    return id.encode() if plain else b""


def _may_be(message: StoredMessage, sought: Mapping[OutcomeKey, bytes]) -> bool:
    """Whether a commit may be of one of these commands, by a look at its bytes."""
    if (message.headers or {}).get(ENCODING_HEADER, "json") not in ("json", "msgpack"):
        return True
    data = message.data
    return any(trace in data for trace in sought.values())
