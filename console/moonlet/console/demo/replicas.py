"""Two replicas of each view, one of them cut off for part of the night, and two operators apart."""

import asyncio
import shutil
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import Final

from moonlet.agents import Client, connect
from moonlet.console.common import Advance, Output, counted
from moonlet.console.demo.link import Link
from moonlet.console.demo.views import Closed, Night, ViewShown
from moonlet.core.frontier import Frontier
from moonlet.projections import Replica, Roster
from moonlet.satellites import SATELLITES, VIEWS, alerts
from moonlet.satellites.messages import CloseAlert
from moonlet.satellites.night import DESK
from moonlet.streams import stream_facts

CUT_AT: Final = 0.15
LOOK_AT: Final = 0.5
MEND_AT: Final = 0.7
"""The parts of the ticks after which the link is cut, the operators look, and it is mended."""

PATIENCE: Final = 30.0
"""Seconds that an operator's command may take, and that replicas may take to be equal."""

ANN: Final = ("ann", f"aegis/{DESK}")
BOB: Final = ("bob", f"pulse/{DESK}")
"""The operators and whom they tell: Ann looks at the replica that is near, Bob at the other."""


class DemoReplicas:
    """`near` is connected as the driver is, `far` by a link that is cut and mended.

    Their files are made anew in `folder` each time: losing one costs a rebuild.
    """

    def __init__(self, moon: Client, url: str, folder: Path, output: Output) -> None:
        self._moon = moon
        self._folder = folder
        self._output = output
        self._link = Link(url)
        self._near: dict[str, Replica] = {}
        self._far: dict[str, Replica] = {}
        self._reached = {part: asyncio.Event() for part in (CUT_AT, LOOK_AT, MEND_AT)}
        self._ticks: dict[float, int] = {}
        self._behind = 0
        self._closed: list[Closed] = []
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> "DemoReplicas":
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir(parents=True)
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self._link)
            topology = self._moon.bus.topology
            there = connect(self._link.url, agents=SATELLITES, topology=topology)
            far = await stack.enter_async_context(there)
            for replicas, moon, place in (
                (self._near, self._moon, "near"),
                (self._far, far, "far"),
            ):
                for view in VIEWS:
                    replica = Replica(moon, view, self._folder / f"{place}-{view.name}.db")
                    replicas[view.name] = await stack.enter_async_context(replica)
            self._apart = asyncio.create_task(self._be_apart(), name="demo: replicas apart")
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._apart.cancel()
        await asyncio.gather(self._apart, return_exceptions=True)
        self._link.mend()
        replicas = [*self._near.values(), *self._far.values()]
        await self._stack.aclose()
        for replica in replicas:  # their files are never opened again
            await Roster(self._moon.bus).dismiss(replica.view.name, replica.name)

    def watch(self, advance: Advance) -> Advance:
        """The driver's progress, passed on to `advance`; the link is cut and mended by it."""

        def take(done: int, total: int) -> None:
            for part, event in self._reached.items():
                if done >= part * total and not event.is_set():
                    self._ticks[part] = done
                    event.set()
            advance(done, total)

        return take

    async def finish(self) -> Night:
        """When all is driven: take the replicas to the journals' ends, and compare them.

        Raises `Unavailable` if one doesn't get there, and what stopped one.
        """
        await self._apart
        token = await self._ends()
        while True:
            for replica in (*self._near.values(), *self._far.values()):
                await replica.wait_for(token, timeout=PATIENCE)
            before, token = token, await self._ends()
            if token == before:
                break
        return Night(
            cut_tick=self._ticks[CUT_AT],
            mended_tick=self._ticks[MEND_AT],
            behind=self._behind,
            closed=self._closed,
            views=[
                ViewShown(
                    view.name,
                    view.version,
                    self._near[view.name].frontier.sequences,
                    self._near[view.name].digest,
                    self._far[view.name].digest,
                    self._near[view.name].value,
                )
                for view in VIEWS
            ],
        )

    async def _be_apart(self) -> None:
        await self._reached[CUT_AT].wait()
        self._link.cut()
        self._output.remark(f"cut off one replica of each view after tick {self._ticks[CUT_AT]}")
        await self._reached[LOOK_AT].wait()
        near, far = self._near[alerts.name], self._far[alerts.name]
        here, there = near.value["open"], far.value["open"]
        both = [name for name in there if name in here][:1]
        # What Bob reads now he says when the link is back: he can't know what Ann did meanwhile.
        words = _words(BOB, far, both + [name for name in there if name not in here][:1])
        await self._say(ANN, _words(ANN, near, both + [n for n in here if n not in there][:1]))
        await self._reached[MEND_AT].wait()
        self._behind = sum((await self._ends()).sequences.values()) - sum(
            far.frontier.sequences.values()
        )
        self._link.mend()
        self._output.remark(f"mended its link: it is {counted(self._behind, 'commit')} behind")
        await self._say(BOB, words)

    async def _say(self, operator: tuple[str, str], words: list[CloseAlert]) -> None:
        name, agent = operator
        for word in words:
            receipt = await self._moon.tell(agent, word, timeout=PATIENCE)
            commit = await receipt.committed(timeout=PATIENCE)
            if commit.outcome == "accepted":
                self._closed.append(Closed(name, agent, commit.revision, word.alert))

    async def _ends(self) -> Frontier:
        """The journals' ends."""
        bus = self._moon.bus
        found = [await stream_facts(bus, name) for name in bus.topology.journal_streams]
        return Frontier.of({facts.name: facts.last for facts in found if facts})


def _words(operator: tuple[str, str], replica: Replica, names: list[str]) -> list[CloseAlert]:
    """The commands by which an operator acknowledges what a replica shows him of these alerts."""
    return [
        CloseAlert(
            name,
            operator[0],
            replica.read("open", name)[1] | replica.read("acknowledged", name)[1],
        )
        for name in names
    ]
