"""The web console under load: `python -m tests.benchmarks.web_console [COMMITS]`.

A slider through a long history in a real Chromium, how soon a page is there, what the process
takes; and browsers that look at a busy tail. Prints figures; they hold for the machine as it is.
"""

import asyncio
import http.client
import os
import resource
import subprocess
import sys
import threading
import time
import urllib.parse
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any

import msgspec

from moonlet.replay import BundleSource, JournalFacts, ScanLookup
from moonlet.streams import StoredMessage
from moonlet.web import WebAddress, WebConsole, WebSystem
from tests.agents.accounts import account_type
from tests.replay.histories import history
from tests.web.browsing import chromium

STEPS = 200
VIEWERS = 50
RATE = 5_000
SECONDS = 10


class Growing:
    """A history that grows by so many commits a second, as a busy system's does."""

    def __init__(self, whole: BundleSource, rate: int) -> None:
        self._whole = whole
        self._rate = rate
        self._began = time.monotonic()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._whole, name)

    async def journals(self) -> list[JournalFacts]:
        """As long as they are by now."""
        grown = 1_000 + int((time.monotonic() - self._began) * self._rate)
        found = await self._whole.journals()
        return [msgspec.structs.replace(each, last=min(each.last, grown)) for each in found]

    async def messages(
        self, stream: str, subject: str = ">", *, start: int = 1
    ) -> AsyncGenerator[list[StoredMessage], None]:
        """Up to there."""
        last = next(each.last for each in await self.journals() if each.stream == stream)
        async for batch in self._whole.messages(stream, subject, start=start):
            yield [each for each in batch if each.sequence <= last]
            if batch and batch[-1].sequence >= last:
                return


async def serve(commits: int, rate: int = 0) -> None:
    """One agent of so many commits, in memory, until somebody ends it."""
    whole = history(1, commits)
    source: Any = Growing(whole, rate) if rate else whole

    @asynccontextmanager
    async def looking() -> Any:
        yield ScanLookup(source)

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    system = WebSystem(
        source=source,
        bus=None,
        types={"account": account_type()},
        views={},
        command=lambda *words, code=False: " ".join(("moonlet", *words)),
        looking=looking,
        searching=looking,
    )
    async with WebConsole(system, WebAddress()) as console:
        print(console.access.address, before, flush=True)
        await asyncio.Event().wait()


def scrub(address: str, last: int) -> None:
    """Drag the slider: each step waits for the state that it shows."""
    with chromium() as browser:
        page = browser.new_context(locale="en-US").new_page()
        page.goto(address)
        base = address.partition("/?")[0]
        began = time.perf_counter()
        page.goto(f"{base}/history?agent=account/s0")
        page.locator(".line").first.wait_for()
        print(f"history of {last:,}: newest state seen {time.perf_counter() - began:.2f} s")
        for name in ("first", "again"):
            taken = page.evaluate(
                """async ([last, steps, shift]) => {
                const slider = document.querySelector("#slider"), began = performance.now();
                const seen = () => document.querySelector("[data-path='$.balance'] .value");
                for (let step = 1; step <= steps; step++) {
                  const at = Math.floor(step * last / steps) - shift;
                  slider.value = at;
                  slider.dispatchEvent(new Event("input", { bubbles: true }));
                  const shown = String(at);
                  while (seen()?.textContent !== shown)
                    await new Promise(requestAnimationFrame);
                }
                return performance.now() - began;
              }""",
                [last, STEPS, 7],
            )
            print(f"{name}: {STEPS / taken * 1000:.0f} steps/s over {last:,} commits")


def view(address: str, pid: int) -> None:
    """So many browsers at a tail that grows fast: what the console takes for it."""
    parts = urllib.parse.urlsplit(address)
    connection = http.client.HTTPConnection("127.0.0.1", parts.port or 0)
    connection.request("GET", f"/?{parts.query}")
    cookie = connection.getresponse().headers["set-cookie"].partition(";")[0]
    streams = []
    for _ in range(VIEWERS):
        stream = http.client.HTTPConnection("127.0.0.1", parts.port or 0)
        stream.request("GET", "/api/live", headers={"Cookie": cookie})
        streams.append(stream.getresponse())
    read = [0]

    def drain(answer: http.client.HTTPResponse) -> None:
        with suppress(http.client.HTTPException, OSError):  # it is ended in the middle
            while data := answer.read1(65_536):
                read[0] += len(data)

    for each in streams:
        threading.Thread(target=drain, args=(each,), daemon=True).start()
    time.sleep(2)  # sleeps: they have all begun
    before, began = _cpu(pid), time.monotonic()
    time.sleep(SECONDS)  # sleeps: so long it is measured
    taken = (_cpu(pid) - before) / (time.monotonic() - began)
    told = f"{VIEWERS} viewers of {RATE:,} commits/s: {taken:.0%} of a core"
    print(f"{told}, {read[0] / 1e6 / (SECONDS + 2):.1f} MB/s")


def _cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def served(commits: int, rate: int = 0) -> Iterator[tuple[str, float, int]]:
    """The console in a process of its own: its address, its history's MiB, its process id."""
    numbers = [str(commits), str(rate)]
    command = [sys.executable, "-m", "tests.benchmarks.web_console", "serve", *numbers]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        address, before = process.stdout.readline().split()
        yield address, int(before) / 1024, process.pid
    finally:
        process.kill()
        process.wait()


def main() -> None:
    """As the module says."""
    if sys.argv[1:2] == ["serve"]:
        asyncio.run(serve(int(sys.argv[2]), int(sys.argv[3])))
        return
    commits = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    print("load", os.getloadavg())
    with served(commits) as (address, before, pid):
        scrub(address, commits)
        status = Path(f"/proc/{pid}/status").read_text("utf-8").splitlines()
        peak = next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) / 1024
        print(f"memory: {peak:.0f} MiB, of which the history {before:.0f}")
    with served(2 * RATE * SECONDS, RATE) as (address, _, pid):
        view(address, pid)


if __name__ == "__main__":
    main()
