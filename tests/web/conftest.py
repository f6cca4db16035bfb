"""A shop with a history, a console over it, and one browser's way in."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.web.support import Opened, filled_shop, opened_console, running_shop


@pytest.fixture(scope="package")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of a shop that runs, and has sold."""
    folder = tmp_path_factory.mktemp("shop")
    with running_shop(folder) as url:
        filled_shop(url)
        (folder / "url").write_text(url)
        yield folder


@pytest.fixture(scope="package")
def console(shop: Path) -> Iterator[Opened]:
    """The console over the shop, entered."""
    with opened_console(shop) as opened:
        yield opened.enter()
