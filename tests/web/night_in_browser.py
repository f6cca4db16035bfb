"""The night of the depeg in the browser: what README shows, and why Forge sold.

It takes ten seconds, so it is not among the tests of every change: `make picture` runs it.
"""

import json
import re
from pathlib import Path

import pytest

from tests.console.support import finish, start
from tests.web.browsing import Open
from tests.web.support import Opened, built

pytestmark = pytest.mark.xdist_group("web")


def test_the_night_stays_open_to_look_at_and_tells_why_forge_sold(
    tmp_path: Path, tab_of: Open
) -> None:
    built()
    process = start("demo", "--web", "--speed", "12", "--json", folder=tmp_path)
    try:
        assert process.stdout is not None
        opened = Opened(process, json.loads(process.stdout.readline())["address"]).enter()
        told = json.loads(process.stdout.readline())  # the report: the night is over
        assert told["clean"], told
        tab = tab_of(opened)
        page = tab.page
        tab.go("/", ".tiles")
        page.keyboard.press("Control+k")
        page.locator(".palette input").fill("forge/main@0")
        page.keyboard.press("Enter")
        page.locator("#condition").fill("TxExecuted")
        page.locator("#later").click()
        page.locator(".line[data-path='$.executed'][data-mark='~']").wait_for()
        page.locator(".commit.at >> text=TxExecuted").wait_for()
        page.set_viewport_size({"width": 1120, "height": 640})
        tab.shot("web.jpg")
        page.locator("role=tab[name='Why']").click()
        chain = page.locator(".chain")
        chain.locator("li").nth(2).wait_for()
        names = re.findall(r"^(\w+/main)@", chain.inner_text(), re.MULTILINE)
        assert names[0] == "forge/main" and "aegis/main" in names and names[-1] == "oracle/main"
        page.locator("text=What if this had not been").click()
        page.locator("#whatif [data-agent='aegis/main']").wait_for()
        assert tab.complaints == []
    finally:
        process.terminate()
        process.wait(timeout=20)
        finish(process)
