"""Handlers that keep their host's loop: steps of a process that take long, or never end.

What a real host has a thread for is done here beside the world's loop: its marks, and the end of
its process. A command that once took long does so on every host that runs it.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, Final

from moonlet.agents import Running, Work, WorkNote
from moonlet.core.errors import MoonletError
from moonlet.core.ids import AgentId
from moonlet.simulations.process.process import SimProcess
from moonlet.streams import Blocked, BlockedMarks, Bus, Leases

if TYPE_CHECKING:
    from moonlet.simulations.process.host import SimHost

LIMIT: Final = 2
"""Seconds that a handler may take in worlds."""

START_AGAIN: Final = 0.5
"""Seconds until a host is started again that a handler ended."""

SECOND: Final = 1_000_000_000

WRITE: Final = 3.0
"""Seconds that a mark may take."""


class SimRunning(Running):
    """Tells the world what a host is about to run."""

    def __init__(self, blocks: Blocks, process: SimHost) -> None:
        self._blocks = blocks
        self._process = process

    @property
    def work(self) -> Work | None:
        """Nothing that anybody asks for here."""
        return None

    @work.setter
    def work(self, work: Work | None) -> None:
        if work is not None:
            self._blocks.runs(self._process, work)


class Blocks:
    """What takes long in one world. `crash` and `restart` are its verbs.

    `violate(promise, how)` hears of a command that is run again though it ended a host.
    """

    def __init__(
        self,
        crash: Callable[[str], None],
        restart: Callable[[str], None],
        violate: Callable[[str, str], None],
    ) -> None:
        self.crash = crash
        self.restart = restart
        self._violate = violate
        self._armed: dict[str, int] = {}
        self._long: dict[str, int] = {}
        self._ended: dict[str, str] = {}
        self._count = 0

    def running(self, process: SimHost) -> Running:
        """What a host is to put its work into."""
        return SimRunning(self, process)

    def arm(self, host: str, lasts_ns: int) -> None:
        """The next command that this host runs takes so long, wherever it is run."""
        self._armed[host] = lasts_ns

    def clear(self) -> None:
        """Nothing takes long any more."""
        self._armed.clear()
        self._long.clear()

    def runs(self, process: SimHost, work: Work) -> None:
        """A host is about to run this: its step may be a long one."""
        if not self._armed and not self._long:
            return
        note = work.noted()
        if note.kind != "command":
            return
        lasts = self._long.get(note.place) or self._armed.pop(process.name, 0)
        if not lasts:
            return
        self._long[note.place] = lasts
        ended = self._ended.get(note.place)
        if ended is not None:
            what = f"{note.name} to {note.agent} is run by {process.name} though it ended {ended}"
            self._violate("P11 isolated", what)
        _Block(self, process, note, lasts).begin()

    def over(self, block: _Block) -> None:
        """It ended its host, and its mark says so."""
        self._ended[block.note.place] = block.process.name

    def new_name(self, host: str) -> str:
        """Of a process beside that host."""
        self._count += 1
        return f"{host}w{self._count}"


class _Block:
    """One long step of one host."""

    def __init__(self, blocks: Blocks, process: SimHost, note: WorkNote, lasts_ns: int) -> None:
        self.process = process
        self.note = note
        self._blocks = blocks
        self._lasts_ns = lasts_ns
        self._life = process.node.life
        self._marked = False

    def begin(self) -> None:
        """Hold the process up; what this step sends is held as well."""
        process, around = self.process, self.process.surroundings
        around.loop.note("block", process.name, self.note.agent, self._lasts_ns)
        process.node.pause()
        around.network.hold(process.name)
        limit = LIMIT * SECOND
        mark = min(around.lease * SECOND // 2, limit)
        if self._lasts_ns > mark:
            self._later(mark, self._mark)
        self._later(min(self._lasts_ns, limit), self._stop)

    def _later(self, after_ns: int, call: Callable[[], None]) -> None:
        loop = self.process.surroundings.loop
        loop.call_at_ns(loop.now_ns + after_ns, call, context=loop.outside)

    @property
    def _goes_on(self) -> bool:
        return self._life.alive and self._life.paused

    def _mark(self) -> None:
        if self._goes_on:
            self._marked = True
            self._aside(self._put)

    def _stop(self) -> None:
        process, around = self.process, self.process.surroundings
        if self._goes_on and self._lasts_ns > LIMIT * SECOND:
            self._aside(self._give_up)
            return
        if self._goes_on:
            around.network.release(process.name)
            process.node.resume()
        if self._marked and self._life.alive:
            self._aside(self._take_away)

    def _aside(self, work: Callable[[Bus | None], Coroutine[Any, Any, None]]) -> None:
        """What the thread beside the loop does, over a connection of its own; None: it has none."""
        process, around = self.process, self.process.surroundings
        aside = SimProcess(around, self._blocks.new_name(process.name))

        async def run() -> None:
            try:
                await work(await aside.open_bus())
                await aside.close()
            except MoonletError as error:
                around.loop.note("no mark", process.name, str(error))
                await work(None)

        aside.node.spawn(run(), name=f"watch of {process.name}")

    async def _put(self, bus: Bus | None) -> None:
        if bus is not None:
            await BlockedMarks(bus).put(self._blocked(ended=False), timeout=WRITE)

    async def _take_away(self, bus: Bus | None) -> None:
        if bus is not None:
            await BlockedMarks(bus).delete(AgentId.parse(self.note.agent))

    async def _give_up(self, bus: Bus | None) -> None:
        blocks, process = self._blocks, self.process
        if bus is not None:
            await BlockedMarks(bus).put(self._blocked(ended=True), timeout=WRITE)
            blocks.over(self)
            if process.host is not None:
                await Leases(bus, process.surroundings.lease).leave(process.host.id)
        if self._life.alive:
            process.surroundings.loop.note("ended", process.name, self.note.agent)
            blocks.crash(process.name)
            self._later(int(START_AGAIN * SECOND), lambda: blocks.restart(process.name))

    def _blocked(self, *, ended: bool) -> Blocked:
        host = self.process.host
        return self.note.mark(
            host=host.id if host is not None else self.process.name,
            seconds=LIMIT if ended else self.process.surroundings.lease / 2,
            limit=LIMIT,
            ended=ended,
        )
