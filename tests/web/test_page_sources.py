"""The page's sources: typed, pinned, and nothing of anybody else's among them."""

import gzip
import json
import re

import pytest

from moonlet.web import NodeFailed
from moonlet.web.page import NodeRuntime
from moonlet.web.page.build import BUILT, SOURCES
from tests.tools import tree
from tests.web.support import built, needs

pytestmark = pytest.mark.xdist_group("web")


def test_types_hold() -> None:
    built()
    try:
        node = NodeRuntime.find()
        node.install(SOURCES)
    except NodeFailed as error:
        needs("no Node is here", error)
    node.run(SOURCES / "node_modules" / "typescript" / "bin" / "tsc", "-p", ".", cwd=SOURCES)


def test_packages_are_pinned_and_none_is_committed() -> None:
    for folder in ("web/page", "tests/web"):
        pinned = json.loads((tree.ROOT / folder / "package.json").read_text("utf-8"))
        versions = pinned["dependencies"].values()
        assert all(re.fullmatch(r"\d+\.\d+\.\d+", each) for each in versions)
    names = [path.as_posix() for path in tree.tracked()]
    assert not [name for name in names if "node_modules" in name or "page/built" in name]
    assert not [name for name in names if name.endswith(("-lock.json", ".lock", ".min.js"))]


def test_sources_make_no_markup_of_texts() -> None:
    for path in sorted((SOURCES / "src").iterdir()):
        text = path.read_text("utf-8")
        for way in (
            "innerHTML",
            "outerHTML",
            "dangerouslySet",
            "insertAdjacent",
            "eval(",
            "srcdoc",
        ):
            assert way not in text, f"{path.name} has {way}"


def test_the_page_is_small() -> None:
    built()
    sizes = {path.name: len(gzip.compress(path.read_bytes())) for path in BUILT.iterdir()}
    assert sizes["app.js"] + sizes["app.css"] + sizes["index.html"] <= 30_000, sizes
    assert sum(sizes.values()) <= 60_000, sizes
