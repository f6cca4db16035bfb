"""Markdown as GitHub shows it: headings, links and fenced code of a page, with their lines."""

import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path

from tests.tools import tree

_FENCE = re.compile(r"^ {0,3}(?P<fence>`{3,}|~{3,})\s*(?P<language>[\w-]*)")
_HEADING = re.compile(r"^ {0,3}#{1,6}\s+(?P<title>.*?)\s*#*\s*$")
_INLINE_CODE = re.compile(r"(?P<ticks>`+)(?P<code>.+?)(?P=ticks)")
_LINK = re.compile(r"!?\[(?P<text>[^\]]*)\]\((?P<target>[^)\s]+)(?:\s+\"[^\"]*\")?\)")
_REFERENCE = re.compile(r"^ {0,3}\[(?P<text>[^\]^]+)\]:\s+(?P<target>\S+)")
_HTML_ANCHOR = re.compile(r"<a\s+(?:id|name)=\"(?P<anchor>[^\"]+)\"")


@dataclass(frozen=True)
class Code:
    """A fenced block: `line` is the page's line (1, 2 …) of the block's first line of code."""

    language: str
    line: int
    text: str


@dataclass(frozen=True)
class Link:
    """A link or image as written, with the page's line."""

    target: str
    line: int


@dataclass(frozen=True)
class Page:
    """One markdown file, read once. `spans` are the pieces of inline code, with their lines."""

    path: Path
    codes: tuple[Code, ...]
    links: tuple[Link, ...]
    spans: tuple[tuple[str, int], ...]
    anchors: frozenset[str]


def slug(title: str) -> str:
    """The anchor GitHub gives a heading: lower case, punctuation gone, a hyphen for each space."""
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", title).replace("`", "")
    kept = (
        "-" if letter == " " else letter
        for letter in text.lower()
        if letter in " -_" or unicodedata.category(letter)[0] in "LNM"
    )
    return "".join(kept)


def parse(path: Path, text: str) -> Page:
    """Read a page's text; `path` only stands in the result."""
    codes: list[Code] = []
    links: list[Link] = []
    spans: list[tuple[str, int]] = []
    anchors: list[str] = []
    fence: tuple[str, str, int] | None = None
    lines = text.splitlines()
    for number, line in enumerate(lines, 1):
        if fence is not None:
            mark, language, first = fence
            if line.strip().startswith(mark) and not line.strip().strip(mark[0]):
                codes.append(Code(language, first, "\n".join(lines[first - 1 : number - 1]) + "\n"))
                fence = None
        elif opening := _FENCE.match(line):
            fence = (opening["fence"], opening["language"], number + 1)
        else:
            if heading := _HEADING.match(line):
                anchors.append(_unique(slug(heading["title"]), anchors))
            anchors.extend(match["anchor"] for match in _HTML_ANCHOR.finditer(line))
            spans.extend((match["code"].strip(), number) for match in _INLINE_CODE.finditer(line))
            prose = _INLINE_CODE.sub(" ", line)
            links.extend(Link(match["target"], number) for match in _LINK.finditer(prose))
            if reference := _REFERENCE.match(prose):
                links.append(Link(reference["target"], number))
    assert fence is None, f"{path}:{fence[2] - 1}: this fence is never closed"
    return Page(path, tuple(codes), tuple(links), tuple(spans), frozenset(anchors))


def pages() -> tuple[Page, ...]:
    """Every tracked page of the project."""
    return tuple(parse(path, tree.read(path)) for path in tree.tracked_with(".md"))


def _unique(anchor: str, taken: list[str]) -> str:
    if anchor not in taken:
        return anchor
    number = 1
    while f"{anchor}-{number}" in taken:
        number += 1
    return f"{anchor}-{number}"
