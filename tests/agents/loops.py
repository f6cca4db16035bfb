"""An agent type whose handlers may keep the loop, and a host of it as a process of its own.

`python -m tests.agents.loops URL PREFIX LEASE LIMIT` prints `ready` when it owns its share.
"""

import asyncio
import subprocess
import sys
import time
from pathlib import Path
from typing import IO

import msgspec

from moonlet.agents import AgentType, Decision, Host, Reply, Topology, connect
from moonlet.telemetry import configure

ROOT = Path(__file__).parent.parent.parent
WARNING = 30


class Step(msgspec.Struct, frozen=True):
    """Takes so many seconds."""

    seconds: float = 0


class Spin(msgspec.Struct, frozen=True):
    """Never ends."""


class Hold(msgspec.Struct, frozen=True):
    """Holds the interpreter's lock for ever, as code in C can."""


class Stepped(msgspec.Struct, frozen=True):
    pass


class Look(msgspec.Struct, frozen=True):
    seconds: float = 0


class Steps(msgspec.Struct, frozen=True):
    n: int = 0


loops = AgentType("loops", Steps, partitions=4)


@loops.on_command
def step(state: Steps, command: Step) -> Decision:
    time.sleep(command.seconds)  # sleeps: that is what the handler does
    yield Stepped()
    yield Reply(state.n + 1)


@loops.on_command
def spin(state: Steps, command: Spin) -> Decision:
    while True:
        pass
    yield Reply()


@loops.on_command
def hold(state: Steps, command: Hold) -> Decision:
    import ctypes

    ctypes.PyDLL(None).sleep(3_600)  # PyDLL keeps the lock
    yield Reply()


@loops.on_event
def stepped(state: Steps, event: Stepped) -> Steps:
    return Steps(state.n + 1)


@loops.on_query
def look(state: Steps, query: Look) -> int:
    time.sleep(query.seconds)  # sleeps: that is what the handler does
    return state.n


class LoopsHost:
    """The process, from outside; what it says on stderr goes to `log`."""

    def __init__(self, url: str, prefix: str, log: Path, *, lease: int, limit: float) -> None:
        self.log = log
        with log.open("wb") as errors:
            self.process = subprocess.Popen(
                [sys.executable, "-m", __name__, url, prefix, str(lease), str(limit)],
                stdout=subprocess.PIPE,
                stderr=errors,
                cwd=ROOT,
            )

    def await_ready(self) -> None:
        """Return when it owns its share of the partitions."""
        output: IO[bytes] | None = self.process.stdout
        assert output is not None
        assert output.readline() == b"ready\n", self.log.read_text()

    def close(self) -> None:
        """SIGKILL, if it has not ended, and reap."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()


async def main(url: str, prefix: str, lease: str, limit: str) -> None:
    """Run until killed."""
    configure(WARNING)
    async with connect(url, topology=Topology(prefix=prefix)) as moon:
        async with Host(moon, [loops], lease=int(lease), handler_limit=float(limit)):
            print("ready", flush=True)
            await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
