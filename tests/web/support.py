"""What the tests of the web console share: a shop with a history, a console over it, requests."""

import asyncio
import http.client
import json
import os
import subprocess
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from moonlet.agents import connect
from moonlet.web import NodeFailed, build_page, is_built
from tests.console.support import Ended, finish, first_line, invoke, start
from tests.web.shop import Count, Sell

MARKUP = "</script><img src=x onerror=\"document.title='owned'\"><script>document.title='owned'"
CONTROL = "\x1b[31m\u202egnp.exe\x00"

SHOP = Path(__file__).with_name("shop.py")


def needs(what: str, error: object) -> None:
    """Skip what can't be had here, with the reason; CI has everything, and fails."""
    told = f"{what}: {error}"
    if os.environ.get("CI"):
        raise AssertionError(told)
    pytest.skip(told)


def built() -> None:
    """The page is there, built if need be."""
    if not is_built():
        try:
            build_page()
        except NodeFailed as error:
            needs("the page can't be built here", error)


@contextmanager
def running_shop(folder: Path) -> Iterator[dict[str, str]]:
    """A server and a host of a shop, in processes of their own; yields what the host printed."""
    (folder / "shop.py").write_text(SHOP.read_text())
    (folder / "pyproject.toml").write_text('[tool.moonlet]\nmodules = ["shop"]\n')
    process = start("run", "shop.py", "--json", "--metrics-port", "0", folder=folder)
    try:
        told = json.loads(first_line(process))
        yield {"url": told["url"].partition(" ")[0], "metrics": told["metrics"]}
    finally:
        process.terminate()
        finish(process)


async def count(url: str, agent: str, pieces: int, times: int) -> None:
    """Have a till counted so often, told all at once: each takes 30 ms a piece."""
    async with connect(url) as moon:
        told = [await moon.tell(agent, Count(pieces)) for _ in range(times)]
        for receipt in told:
            await receipt.committed(timeout=20)


async def sell(url: str, *commands: tuple[int, str], till: str = "till/main") -> None:
    """Sell, one after the other; refusals are part of it."""
    async with connect(url) as moon:
        for amount, note in commands:
            receipt = await moon.tell(till, Sell(amount, note))
            await receipt.committed(timeout=20)


class Opened:
    """A console that runs, and a browser's requests to it."""

    def __init__(self, process: "subprocess.Popen[str]", address: str) -> None:
        self.process = process
        self.address = address
        parts = urllib.parse.urlsplit(address)
        assert parts.port is not None
        self.port = parts.port
        self.base = f"{parts.scheme}://{parts.netloc}"
        self.cookie = ""

    def request(
        self, path: str, headers: dict[str, str] | None = None, method: str = "GET"
    ) -> "Answered":
        """Ask, with the cookie if there is one."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            sent = {"Host": f"127.0.0.1:{self.port}", **(headers or {})}
            if self.cookie and "Cookie" not in sent:
                sent["Cookie"] = self.cookie
            connection.putrequest(method, path, skip_host=True)
            for name, value in sent.items():
                connection.putheader(name, value)
            connection.endheaders()
            answer = connection.getresponse()
            body = answer.read().decode()
            return Answered(answer.status, dict(answer.getheaders()), body)
        finally:
            connection.close()

    def enter(self) -> "Opened":
        """Use the address, as a browser does."""
        parts = urllib.parse.urlsplit(self.address)
        answered = self.request(f"/?{parts.query}")
        assert answered.status == 303, answered
        self.cookie = answered.headers["set-cookie"].partition(";")[0]
        return self

    def api(self, name: str, **given: object) -> Any:
        """What the page is told."""
        answered = self.request(f"/api/{name}?{urllib.parse.urlencode(given)}")
        assert answered.status == 200, answered.body
        return json.loads(answered.body)


class Answered:
    """What came back."""

    def __init__(self, status: int, headers: dict[str, str], body: str) -> None:
        self.status = status
        self.headers = headers
        self.body = body


def here(folder: Path, *arguments: str) -> Ended:
    """Run a command in this process, in a folder."""
    before = Path.cwd()
    os.chdir(folder)
    try:
        return invoke(*arguments)
    finally:
        os.chdir(before)


@contextmanager
def opened_console(folder: Path, *arguments: str) -> Iterator[Opened]:
    """`moonlet web` as a process of its own."""
    built()
    process = start("web", *arguments, "--json", "--port", "0", folder=folder)
    try:
        yield Opened(process, json.loads(first_line(process))["address"])
    finally:
        process.terminate()
        finish(process)


def filled_shop(url: str) -> None:
    """A few sales, refusals, and one that is parked; texts that a browser must not obey."""
    sales = [(5, ""), (7, "plain"), (-1, MARKUP), (3, MARKUP), (2, CONTROL), (13, MARKUP), (4, "")]
    asyncio.run(sell(url, *sales))


class Events:
    """A stream of events, as EventSource reads it."""

    def __init__(self, opened: Opened, last_id: str = "") -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", opened.port, timeout=20)
        headers = {"Cookie": opened.cookie, "Host": f"127.0.0.1:{opened.port}"}
        if last_id:
            headers["Last-Event-ID"] = last_id
        self._connection.request("GET", "/api/live", headers=headers)
        self._answer = self._connection.getresponse()
        assert self._answer.status == 200
        self.id = last_id

    def next(self) -> dict[str, Any]:
        """The next event's data."""
        while True:
            line = self._answer.readline().decode().rstrip("\n")
            if line.startswith("id: "):
                self.id = line[4:]
            elif line.startswith("data: "):
                data: dict[str, Any] = json.loads(line[6:])
                return data

    def close(self) -> None:
        """Leave."""
        self._connection.close()
