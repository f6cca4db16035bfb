"""The site of `make docs`: every page has its place in it, and every public name is on a page."""

import importlib
import re
from pathlib import Path

from tests.tools import markdown, site, site_nav, tree

NAV = re.findall(r"^ +- (?:[^:\n]+: )?(\S+\.md)$", tree.read(Path("mkdocs.yml")), re.MULTILINE)
REFERENCE = site.reference()


def test_every_public_name_of_every_package_is_in_the_reference() -> None:
    for package in tree.packages():
        module = importlib.import_module(package)
        top = ".".join(package.split(".")[:2])
        outer = importlib.import_module(top)
        page = REFERENCE.get(top.rpartition(".")[2], "")
        for name in module.__all__:
            value = getattr(module, name)
            public = name in outer.__all__ and getattr(outer, name) is value
            wanted = f"::: {top if public else package}.{name}"
            assert wanted in page.splitlines(), wanted


def test_every_page_has_one_place_in_the_site() -> None:
    pages = [str(page.path) for page in markdown.pages() if page.path.parts[0] != ".github"]
    pages += [f"reference/{name}.md" for name in REFERENCE]
    assert sorted(NAV + site_nav.decisions()) == sorted(pages)


def test_a_name_without_a_heading_is_missed() -> None:
    lines = [line for page in REFERENCE.values() for line in page.splitlines()]
    names = [line.removeprefix("::: ") for line in lines if line.startswith("::: ")]
    built = "".join(f'<h3 id="{name}">' for name in names[1:])
    assert site.missing({"reference/agents.html": built}) == [f"{names[0]} is on no page"]


def test_what_a_browser_would_fetch_from_elsewhere_is_seen() -> None:
    assert (
        site.fetched({"a.html": '<a href="https://nats.io">', "b.css": "url(../font.woff2)"}) == []
    )
    for text in (
        '<script async src="https://host/x.js">',
        '<link rel="stylesheet" href="//host/x.css">',
        "@font-face { src: url('https://host/x.woff2') }",
        'load("https://unpkg.com/mermaid@11/dist/mermaid.min.js")',
    ):
        assert len(site.fetched({"x": text})) == 1, text
