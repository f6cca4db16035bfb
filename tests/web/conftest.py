"""A shop with a history, a console over it, and one browser's way in."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.web.browsing import Open, Tab, chromium
from tests.web.support import Opened, filled_shop, opened_console, running_shop


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of a shop that runs, and has sold."""
    folder = tmp_path_factory.mktemp("shop")
    with running_shop(folder) as told:
        filled_shop(told["url"])
        (folder / "url").write_text(told["url"])
        (folder / "metrics").write_text(told["metrics"])
        yield folder


@pytest.fixture(scope="session")
def console(shop: Path) -> Iterator[Opened]:
    """The console over the shop, entered."""
    with opened_console(shop, "--watch", (shop / "metrics").read_text()) as opened:
        yield opened.enter()


@pytest.fixture(scope="module")
def browser_running() -> Iterator[Any]:
    """A Chromium for a module: while its driver is there, this thread has a loop that runs."""
    with chromium() as found:
        yield found


@pytest.fixture
def tab_of(browser_running: Any) -> Iterator[Open]:
    """Opens tabs, each in a context of its own."""
    contexts: list[Any] = []

    def open_one(opened: Opened, **given: Any) -> Tab:
        size = {"width": 1280, "height": 800}
        context = browser_running.new_context(locale="en-US", viewport=size, **given)
        contexts.append(context)
        return Tab(context, opened)

    yield open_one
    for context in contexts:
        context.close()
