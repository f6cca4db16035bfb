"""A real Chromium, and what it complains of."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.tools import browser, tree
from tests.web.support import Opened, needs

SHOTS = tree.ROOT / "build" / "screenshots"
ARGUMENTS = ("--no-sandbox", "--disable-gpu", "--host-resolver-rules=MAP *.test 127.0.0.1")


@contextmanager
def chromium() -> Iterator[Any]:
    """One that runs; a test skips with the reason where none can, and fails in CI."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError as error:
        needs("no browser can be driven here: pip install 'moonlet[browser]'", error)
    if not browser.PROGRAM.is_file():
        needs("no Chromium is here", "run `make test`, or `python -m tests.tools.browser`")
    with sync_playwright() as driver:
        try:
            found = driver.chromium.launch(
                executable_path=str(browser.PROGRAM),
                args=list(ARGUMENTS),
                env={"HOME": "/tmp", **browser.environment()},
            )
        except Exception as error:
            needs("Chromium can't run here", error)
        yield found
        found.close()


class Tab:
    """A page of the console that was let in; `complaints` are errors and warnings of its own."""

    def __init__(self, context: Any, opened: Opened) -> None:
        name, _, value = opened.cookie.partition("=")
        context.add_cookies([{"name": name, "value": value, "url": opened.base}])
        self.page = context.new_page()
        self.page.set_default_timeout(15_000)
        self.base = opened.base
        self.complaints: list[str] = []
        self.page.on("console", self._heard)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def _heard(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(message.text)

    def go(self, path: str, shows: str) -> Any:
        """Open an address, and wait for what it shows there."""
        self.page.goto(self.base + path)
        found = self.page.locator(shows).first
        found.wait_for()
        return found

    def shot(self, name: str) -> Path:
        """A picture, kept as an artefact of the run."""
        SHOTS.mkdir(parents=True, exist_ok=True)
        where = SHOTS / (name if name.endswith(".jpg") else f"{name}.png")
        given = {"quality": 75} if name.endswith(".jpg") else {}
        self.page.screenshot(path=where, **given)
        return where


def script(name: str) -> str:
    """A function of JavaScript that runs in a page."""
    return (Path(__file__).with_name("scripts") / f"{name}.js").read_text("utf-8")


Open = Callable[[Opened], Tab]
