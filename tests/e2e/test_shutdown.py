"""How programs really end: tasks cancelled all at once, loops stopped, servers that hang."""

import asyncio
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from moonlet.agents import Host, connect
from moonlet.agents.hosting import host as hosting
from moonlet.core.errors import NoHost
from moonlet.streams import Leases, attach_embedded
from moonlet.streams.server.server_process import ServerProcess
from tests.agents.accounts import Deposit, Fill, GetBalance, account_type

PROGRAM = """
import asyncio, signal, sys
from pathlib import Path
from moonlet.agents import Host, connect
from tests.agents.accounts import Deposit, account_type

async def others(loop):
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    loop.stop()

async def main(how, folder):
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, {
        "cancel all": lambda: [task.cancel() for task in asyncio.all_tasks()],
        "cancel all others": lambda: loop.create_task(others(loop)),
        "stop the loop": loop.stop,
        "exit": lambda: sys.exit(5),
    }[how])
    account = account_type(partitions=1)
    async with connect(folder=Path(folder)) as moon, Host(moon, [account], lease=2):
        while True:
            if await moon.ask("account/a", Deposit(1)) == 20:
                print("ready", flush=True)

asyncio.run(main(*sys.argv[1:]))
"""


@pytest.mark.parametrize("how", ["cancel all", "cancel all others", "stop the loop", "exit"])
def test_a_host_whose_program_cancels_everything_hands_over_and_ends(
    how: str, tmp_path: Path
) -> None:
    program = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, how, str(tmp_path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert program.stdout is not None
        assert program.stdout.readline() == "ready\n"
        program.send_signal(signal.SIGTERM)
        _, errors = program.communicate(timeout=6)  # the promise is 10 s for a host that can't
    finally:
        program.kill()
        program.wait()
    assert program.returncode == (5 if how == "exit" else 1)
    assert "could not be handed over" not in errors
    assert "never awaited" not in errors
    assert asyncio.run(attach_embedded(tmp_path)) is None
    assert asyncio.run(living(tmp_path)) == []


async def living(folder: Path) -> list[str]:
    """The hosts that own something in that folder, or have a lease."""
    async with connect(folder=folder) as moon:
        hosts, records = await Leases(moon.bus, 2).look()
        assert records
        return [host.host for host in hosts] + [r.owner for r in records.values() if r.owner]


async def test_a_host_stops_in_time_though_the_server_hangs(
    own_server: ServerProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hosting, "HAND_OVER", 0.5)
    account = account_type()
    async with connect(own_server.url, agents=[account]) as moon:
        host = Host(moon, [account], lease=2)
        await host.start()
        await asyncio.gather(*(moon.ask(f"account/{n}", Deposit(1)) for n in range(20)))
        filling = [moon.tell(f"account/{n}", Fill(1, 10), timeout=1) for n in range(20)]
        under_way = asyncio.gather(*filling, return_exceptions=True)
        await asyncio.sleep(0)
        own_server.pause()
        begun = time.monotonic()
        await host.stop()
        assert time.monotonic() - begun < 0.5 + 4 * hosting.LET_GO + 0.5
        assert host.partitions == []
        own_server.resume()
        await under_way
        with pytest.raises(NoHost):
            await moon.query("account/1", GetBalance(), timeout=0.3)
        async with Host(moon, [account], lease=2):  # nothing is lost, and nobody is in the way
            assert await moon.ask("account/1", Deposit(1), timeout=10) == 2
