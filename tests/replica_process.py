"""A replica in a process of its own, to be killed: `python -m tests.replica_process URL PREFIX F`.

Prints `ready`; for each frontier (JSON) on its input it waits, and prints digest, frontier and
value (JSON).
"""

import asyncio
import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import IO, Any

from moonlet.agents import connect
from moonlet.core.frontier import Frontier
from moonlet.projections import At, AWSet, Fields, LexCounter, LWWRegister, ORMap, Replica, View
from moonlet.streams import Topology
from tests.agents.accounts import Deposited, Withdrawn

ROOT = Path(__file__).parent.parent
REGIONS = ("asia", "eu", "us")

ledger = View(
    "ledger",
    version=1,
    total=LexCounter,
    by_account=ORMap[LexCounter],
    in_debt=AWSet,
    last=ORMap[LWWRegister],
)


@ledger.on_event
def deposited(view: Fields, event: Deposited, at: At) -> None:
    view.total.add(event.amount)
    view.by_account[at.agent.key].add(event.amount)
    view.last[at.agent.key].set(f"{at.agent.type} +{event.amount}")
    view.in_debt.remove(at.agent.key)


@ledger.on_event
def withdrawn(view: Fields, event: Withdrawn, at: At) -> None:
    view.total.add(-event.amount)
    view.by_account[at.agent.key].add(-event.amount)
    view.last[at.agent.key].set(f"{at.agent.type} -{event.amount}")
    view.in_debt.add(at.agent.key)


def topology(prefix: str) -> Topology:
    """Each region's accounts in a journal of their own."""
    return Topology(prefix=prefix, journals={region: [region] for region in REGIONS})


class ReplicaProcess:
    """The process, from outside."""

    def __init__(self, url: str, prefix: str, path: Path) -> None:
        self.path = path
        self._arguments = [url, prefix, str(path)]
        self.start()

    def start(self) -> None:
        """Start it, as a new process over the same file."""
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.replica_process", *self._arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=ROOT,
        )

    def await_ready(self) -> None:
        """Return when it is open."""
        line = self._pipe(self.process.stdout).readline()
        assert line == b"ready\n", line

    def show(self, token: Frontier) -> dict[str, Any]:
        """Its digest, frontier and value, once it has seen `token`."""
        pipe = self._pipe(self.process.stdin)
        pipe.write(json.dumps(token.sequences).encode() + b"\n")
        pipe.flush()
        shown: dict[str, Any] = json.loads(self._pipe(self.process.stdout).readline())
        return shown

    def kill(self) -> None:
        """SIGKILL, and reap."""
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()

    def pause(self) -> None:
        """SIGSTOP."""
        self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT."""
        self.process.send_signal(signal.SIGCONT)

    @staticmethod
    def _pipe(pipe: IO[bytes] | None) -> IO[bytes]:
        assert pipe is not None
        return pipe


async def main(url: str, prefix: str, path: str) -> None:
    """Run until the input ends."""
    loop = asyncio.get_running_loop()
    async with (
        connect(url, topology=topology(prefix)) as moon,
        Replica(moon, ledger, path) as replica,
    ):
        print("ready", flush=True)
        while line := await loop.run_in_executor(None, sys.stdin.readline):
            await replica.wait_for(Frontier(json.loads(line)), timeout=30)
            shown = {
                "digest": replica.digest,
                "frontier": replica.frontier.sequences,
                "value": replica.value,
            }
            print(json.dumps(shown), flush=True)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
