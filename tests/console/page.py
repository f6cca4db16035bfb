"""The sessions printed in docs/console.md: what was typed, what came out, and how the two compare.

Numbers, ids and times differ from run to run, and `…` on a line of its own stands for any lines.
"""

import re
from typing import NamedTuple

from tests.tools.markdown import Page

_VOLATILE = (
    (re.compile(r"[ch]-[\w-]{22}(-\d+)?"), "ID"),
    (re.compile(r"\br[\w-]{15}(?![\w-])"), "REPLICA"),
    (re.compile(r"\b[0-9a-f]{16}(?:[0-9a-f]{16})?\b"), "DIGEST"),
    (re.compile(r'"(previous_)?digest":"[0-9a-f]*"'), "DIGEST"),
    (re.compile(r"(/[\w.-]+)+/\.moonlet"), "FOLDER"),
    (re.compile(r"\d[\d,.:]*"), "#"),
    (re.compile(r"\b[KMGT]?i?B\b"), "bytes"),
    (re.compile(r"\bcommands? in flight"), "in flight"),
    (re.compile(r"ahead of|behind"), "beside"),
    (re.compile(r"\s+"), " "),
)


class Typed(NamedTuple):
    """A command of a session, the lines printed below it, and the page's line it stands on."""

    command: str
    output: list[str]
    line: int


def typed(page: Page) -> list[Typed]:
    """All commands of the page's `console` blocks, in order."""
    found: list[Typed] = []
    for code in page.codes:
        if code.language != "console":
            continue
        for number, line in enumerate(code.text.splitlines(), code.line):
            if line.startswith("$ "):
                found.append(Typed(line[2:], [], number))
            else:
                found[-1].output.append(line)
    return found


def alike(expected: list[str], printed: list[str]) -> bool:
    """Whether what was printed is what the page shows, but for what differs from run to run."""
    pattern = "".join(
        "(?:.*\n)*" if line == "…" else re.escape(_steady(line)) + "\n" for line in expected
    )
    return re.fullmatch(pattern, "".join(_steady(line) + "\n" for line in printed)) is not None


def _steady(line: str) -> str:
    for volatile, word in _VOLATILE:
        line = volatile.sub(word, line)
    return line.strip()
