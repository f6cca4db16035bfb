"""A hook of mkdocs: every decision record stands in the site's navigation, also one made today."""

from typing import Any

from tests.tools import tree


def decisions() -> list[str]:
    """The records' pages, in the order of their numbers."""
    return [str(path) for path in tree.tracked_with(".md") if path.match("docs/adr/0*.md")]


def on_config(config: Any) -> None:
    """Called by mkdocs when it has read `mkdocs.yml`."""
    (section,) = [part for part in config["nav"] if isinstance(part, dict) and "Decisions" in part]
    section["Decisions"] += decisions()
