"""Clients that do anything on a real server, whose hosts are killed and paused meanwhile.

`python -m tests.consistency.real URL PREFIX` is one of the hosts.
"""

import asyncio
import signal
import sys
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path

from moonlet.agents import AgentType, Client, Host, connect
from moonlet.core.errors import MoonletError
from moonlet.projections import Replica
from moonlet.simulations import Dice
from moonlet.streams import Topology
from tests.consistency.anything import AGENTS, Anything
from tests.consistency.linearizable import unlinearizable
from tests.consistency.register import Numbers, register_type, seen

ROOT = Path(__file__).parent.parent.parent
REST = 1.0
"""Seconds without a new commit after which nothing more is expected."""


class HostProcess:
    """One host in a process of its own, to be hurt."""

    def __init__(self, url: str, prefix: str) -> None:
        self._arguments = (sys.executable, "-m", "tests.consistency.real", url, prefix)
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Return once it owns its share."""
        self._process = await asyncio.create_subprocess_exec(
            *self._arguments, stdout=asyncio.subprocess.PIPE, cwd=ROOT
        )
        assert self._process.stdout is not None
        assert await self._process.stdout.readline() == b"ready\n"

    async def kill(self) -> None:
        """SIGKILL, and reap."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            await process.wait()

    async def sleep(self, seconds: float) -> None:
        """SIGSTOP, and SIGCONT after a while."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        await asyncio.sleep(seconds)
        self._process.send_signal(signal.SIGCONT)


async def hurt(hosts: Sequence[HostProcess], dice: Dice) -> None:
    """Until it is cancelled: one or the other is killed, or stopped for longer than its lease."""
    while True:
        await asyncio.sleep(dice.between(300, 1_200) / 1_000)
        host = dice.pick(hosts)
        if dice.below(2):
            await host.kill()
            await host.start()
        else:
            await host.sleep(dice.between(500, 2_500) / 1_000)


async def run_anything(
    url: str, prefix: str, folder: Path, *, seed: int, steps: int, exchanged: bool
) -> Anything:
    """One run, judged as it goes; its history is the caller's to judge as well."""
    types: list[AgentType[Numbers]] = [register_type()]
    hosts = [HostProcess(url, prefix) for _ in range(2)]
    dice = Dice(f"real {seed}")
    async with AsyncExitStack() as stack:
        topology = Topology(prefix=prefix)
        clients: list[Client] = [
            await stack.enter_async_context(connect(url, agents=types, topology=topology))
            for _ in range(3)
        ]
        for host in hosts:
            stack.push_async_callback(host.kill)
            await host.start()
        replica = await stack.enter_async_context(Replica(clients[0], seen, folder / "seen.db"))
        run = Anything(dice, clients, exchanged=exchanged, replica=lambda: replica, timeout=2.0)
        trouble = asyncio.create_task(hurt(hosts, Dice(f"trouble {seed}")))
        try:
            await run.run(steps)
        finally:
            trouble.cancel()
            await asyncio.wait([trouble])
        for host in hosts:
            await host.kill()
            await host.start()
        for agent in AGENTS:
            await run.start(agent)
        final = await _final(clients[0])
        for agent, numbers in final.items():
            run.history.end(run.history.begin(agent, 99, "read"), numbers)
        run.sessions.check(final)
        return run


async def _final(moon: Client) -> dict[str, list[int]]:
    """All lists, once they don't change any more."""
    before: dict[str, list[int]] = {}
    while True:
        await asyncio.sleep(REST)
        now = {}
        for agent in AGENTS:
            state: Numbers = await moon.state(agent)
            now[agent] = list(state.numbers)
        if now == before and await _at_rest(moon):
            return now
        before = now


async def _at_rest(moon: Client) -> bool:
    """Whether nothing waits in the queues."""
    for name in ("mailboxes", "internal"):
        try:
            info = await moon.bus._js.stream_info(moon.bus.topology.stream(name))
        except MoonletError:
            return False
        if info is None or info["state"]["messages"]:
            return False
    return True


def judge(run: Anything) -> None:
    """Raise if no order explains what the clients saw."""
    wrong = unlinearizable(run.history.operations)
    assert not wrong, f"no order explains what clients saw of {', '.join(wrong)}"


async def main(url: str, prefix: str) -> None:
    """Be a host, until killed."""
    async with connect(url, topology=Topology(prefix=prefix)) as moon:
        async with Host(moon, [register_type()], lease=1):
            print("ready", flush=True)
            await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2]))
