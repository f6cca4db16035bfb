"""Somebody who has never seen Moonlet finds the answers in the page, by clicks alone."""

import asyncio
import os
import re
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.console.support import finish, first_line, start
from tests.web.browsing import Open
from tests.web.support import Opened, count

pytestmark = pytest.mark.xdist_group("web")


def test_which_agent_is_slow_and_why(console: Opened, shop: Path, tab_of: Open) -> None:
    tab = tab_of(console)
    page = tab.page
    tab.go("/", ".tiles")
    page.locator("#standing >> text=live").wait_for()
    with ThreadPoolExecutor(1) as beside:
        url = (shop / "url").read_text()
        beside.submit(asyncio.run, count(url, "till/slow", 2, 4)).result()
    # Its type and command are the slowest by far ...
    page.locator("#speeds tbody tr:first-child >> text=Count").wait_for()
    slowest = page.locator("#speeds tbody tr").first.inner_text()
    assert "till" in slowest and int(re.findall(r"(\d+) ms", slowest)[-1]) >= 50
    # ... this agent is of it, and what came behind has waited for what came before.
    page.locator("a >> text=till/slow@4").first.click()
    page.locator("role=tab[name='Why']").click()
    page.locator("text=The whole conversation").click()
    queued = page.locator("#critical tbody tr").first
    queued.wait_for()
    waited = re.findall(r"([\d.]+) ms", queued.inner_text())
    assert waited and float(waited[-1]) >= 60, queued.inner_text()


def test_why_something_was_done(console: Opened, tab_of: Open) -> None:
    tab = tab_of(console)
    page = tab.page
    tab.go("/", ".tiles")
    page.locator("nav >> text=Agents").click()
    page.locator("#filter").fill("ledger")
    page.locator("td >> text=ledger/main").click()
    page.locator(".commit[data-revision='2']").click()
    page.locator(".line[data-path='$.total'] .name").click()
    page.locator("#why-value >> text=till/main@2").click()
    page.locator("h1 >> text=till/main").wait_for()
    page.locator(".line[data-path='$.cash'] >> text=12").wait_for()
    page.locator("role=tab[name='Why']").click()
    assert "from outside" in page.locator(".chain").inner_text()


def test_what_would_have_happened_without_it(console: Opened, tab_of: Open) -> None:
    tab = tab_of(console)
    page = tab.page
    tab.go("/history?agent=till/main&at=1", ".line[data-path='$.cash']")
    page.locator("role=tab[name='Why']").click()
    page.locator("text=What if this had not been").click()
    found = page.locator("#whatif [data-agent='ledger/main']")
    found.wait_for()
    assert "1 gone" in found.inner_text() and "$.total" in found.inner_text()
    assert "not real" in page.locator("h1").inner_text()
    assert "moonlet fork --drop till/main@1" in page.locator(".same code").first.inner_text()


def test_which_host_died_and_when(console: Opened, shop: Path, tab_of: Open) -> None:
    tab = tab_of(console)
    tab.go("/", ".tiles")
    arguments = ("--lease", "1", "--restarts", "0", "--json")
    process = start("run", "shop.py", *arguments, folder=shop)
    try:
        host = re.search(r'"host":"([^"]+)"', first_line(process))
        assert host is not None
        tab.page.locator(f"#host-changes li >> text={host[1]}").wait_for()
        os.kill(process.pid, signal.SIGKILL)
    finally:
        finish(process)
    died = tab.page.locator("#host-changes li", has_text="died").first
    died.wait_for()
    assert host[1] in died.inner_text()
    assert re.search(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", died.inner_text())
    tab.shot("overview-host-died")
