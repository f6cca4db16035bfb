"""The page in a real Chromium: each loads, is usable by all, and obeys no text."""

import asyncio
import http.server
import re
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.tools import tree
from tests.web.browsing import Open, script
from tests.web.support import MARKUP, Opened, sell

pytestmark = pytest.mark.xdist_group("web")

PAGES = [
    ("/", "#host-changes, .tiles"),
    ("/agents?q=till", "td >> text=till/main"),
    ("/history?agent=till/main&at=2", ".line[data-path='$.cash']"),
    ("/history?agent=till/main&at=6&tab=commit", ".traceback"),
    ("/history?agent=till/main&at=3&tab=causes", ".chain"),
    ("/causes?point=ledger/main@2", "circle[data-point='till/main@2']"),
    ("/whatif?point=till/main@2", "#whatif [data-agent='ledger/main']"),
    ("/waiting?agent=till/main", "#waits li"),
    ("/parked", "details.parked"),
    ("/views", "h1 >> text=Views"),
    ("/logs?level=warning", "#lines >> text=till/main@6"),
    ("/alerts", "td >> text=server-away"),
    ("/search?q=Sold", "td >> text=till/main@1"),
]


def test_every_page_loads_without_a_complaint(console: Opened, tab_of: Open) -> None:
    tab = tab_of(console)
    for path, shows in PAGES:
        tab.go(path, shows)
        tab.shot(path.partition("?")[0].strip("/") or "overview")
        assert tab.page.locator(".failure").count() == 0, path
        assert tab.page.locator(".same code").count() > 0, path
    assert tab.complaints == []


def test_texts_from_strangers_stay_texts(console: Opened, tab_of: Open) -> None:
    tab = tab_of(console)
    for path, shows in (
        ("/history?agent=till/main&at=5", f".line >> text={MARKUP}"),
        ("/history?agent=till/main&at=3&tab=commit", "pre"),
        ("/history?agent=till/main&at=6&tab=commit", ".traceback"),
        ("/history?agent=till/main&at=4&tab=causes", ".chain"),
        ("/causes?point=till/main@3", "circle"),
        ("/whatif?point=till/main@4", "#whatif"),
        ("/parked", "details.parked"),
        ("/logs", "#lines .traceback"),
        ("/history?agent=<img src=x onerror=alert(1)>", ".failure"),
        ("/agents?q=<script>document.title='owned'</script>", ".empty"),
    ):
        tab.go(path, shows)
        page = tab.page
        assert page.locator("#page img, #page script, #page iframe").count() == 0, path
        assert "owned" not in page.title()
    assert "\\u202e" in tab.go("/history?agent=till/main&at=5", ".state").inner_text()
    assert [each for each in tab.complaints if "400 (Bad Request)" not in each] == []


def test_code_can_not_be_made_of_text(console: Opened, tab_of: Open) -> None:
    tab = tab_of(console)
    tab.go("/agents", "table")
    assert tab.page.evaluate(script("make_code")) == []


@pytest.fixture
def foreign_site() -> Iterator[str]:
    """A page from elsewhere: another origin, on this machine too."""

    class Page(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("content-type", "text/html")
            self.end_headers()
            self.wfile.write(b"<title>evil</title>")

        def log_message(self, *_: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://evil.test:{server.server_port}/"
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_foreign_page_learns_nothing(console: Opened, tab_of: Open, foreign_site: str) -> None:
    tab = tab_of(console)
    tab.go("/agents", "table")  # the browser is let in
    tab.page.goto(foreign_site)
    learned = tab.page.evaluate(script("spy"), tab.base)
    assert learned == dict.fromkeys(learned, "refused"), learned


def test_a_name_that_is_rebound_to_here_is_refused(console: Opened, tab_of: Open) -> None:
    tab = tab_of(console)
    name = console.cookie.partition("=")[0]
    url = f"http://rebound.test:{console.port}"
    cookie = console.cookie.partition("=")[2]
    tab.page.context.add_cookies([{"name": name, "value": cookie, "url": url}])
    assert tab.page.goto(f"{url}/api/agents").status == 421
    assert "till" not in tab.page.content()


def test_it_goes_by_keyboard_and_has_permalinks(console: Opened, tab_of: Open) -> None:
    tab = tab_of(console)
    page = tab.page
    tab.go("/", ".tiles")
    page.keyboard.press("Control+k")
    page.locator(".palette input").fill("till/main@2")
    page.keyboard.press("Enter")
    page.locator("h1 >> text=revision 2 of").wait_for()
    page.locator(".line[data-path='$.cash'] >> text=12").wait_for()
    page.keyboard.press("ArrowRight")
    page.locator("h1 >> text=revision 3 of").wait_for()
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("d")
    page.locator(".changes >> text=$.notes.plain").wait_for()
    page.wait_for_url(re.compile("at=2.*tab=changes|tab=changes.*at=2"))
    link = page.url
    other = tab_of(console)
    other.go(link.removeprefix(other.base), ".changes >> text=$.notes.plain")
    page.keyboard.press("?")
    page.locator("dialog >> text=dark or light").wait_for()
    page.keyboard.press("Escape")
    before = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.keyboard.press("t")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != before
    assert tab.complaints == []


def test_it_fits_a_phone(console: Opened, tab_of: Open) -> None:
    tab = tab_of(console)
    tab.page.set_viewport_size({"width": 390, "height": 800})
    for path, shows in (PAGES[0], PAGES[2], PAGES[5]):
        tab.go(path, shows)
        wide, tall = tab.page.evaluate(
            "[document.documentElement.scrollWidth, document.querySelector('header').offsetHeight]"
        )
        assert wide <= 390 and tall < 120, (path, wide, tall)


def test_a_condition_has_a_column_and_its_next_place(console: Opened, tab_of: Open) -> None:
    tab = tab_of(console)
    tab.go("/history?agent=till/main&at=0", ".commit[data-revision='1']")
    tab.page.locator("#condition").fill("state.cash > 6")
    tab.page.locator("#later").click()
    tab.page.locator("h1 >> text=revision 2 of").wait_for()
    tab.page.locator(".commit[data-revision='2'] .holds.true").wait_for()
    tab.page.locator(".commit[data-revision='1'] .holds.false").wait_for()
    tab.page.locator("#condition").fill("import os")
    tab.page.locator("#later").click()
    tab.page.locator(".failure").first.wait_for()


def test_what_is_new_appears_by_itself(console: Opened, shop: Path, tab_of: Open) -> None:
    tab = tab_of(console)
    tab.go("/", ".tiles")
    tab.page.locator("#standing >> text=live").wait_for()
    with ThreadPoolExecutor(1) as beside:  # the driver of the browser has this thread's loop
        url = (shop / "url").read_text()
        beside.submit(asyncio.run, sell(url, (1, "new"), till="till/page")).result()
    tab.page.locator("td >> text=till/page@1").wait_for()


def test_all_can_use_it(console: Opened, tab_of: Open) -> None:
    axe = (tree.ROOT / "tests/web/node_modules/axe-core/axe.min.js").read_text()
    for scheme, pages in (("light", PAGES[::2]), ("dark", PAGES[1:4:2])):
        tab = tab_of(console, bypass_csp=True, color_scheme=scheme)  # type: ignore[call-arg]
        for path, shows in pages:
            tab.go(path, shows)
            for details in tab.page.locator("details:not([open]) summary").all():
                details.click()
            tab.page.evaluate(axe)
            found = tab.page.evaluate("axe.run({runOnly: ['wcag2a', 'wcag2aa', 'wcag21aa']})")
            told = [(each["id"], each["nodes"][0]["html"][:120]) for each in found["violations"]]
            assert told == [], (scheme, path)
