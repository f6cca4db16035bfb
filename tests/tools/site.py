"""The site: `python -m tests.tools.site` lays out its pages, lets mkdocs build it, and looks at it.

The repository's pages keep their places under `build/pages`, so that their links stay as they are;
files that they link to are laid beside them. The reference has a page a top-level package, with
every name of its `__all__`, and below these the names of the packages inside.
"""

import importlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from tests.tools import drawing, markdown, tree

PAGES: Final = tree.ROOT / "build" / "pages"
SITE: Final = tree.ROOT / "build" / "site"

_ELSEWHERE = re.compile(
    r"<(?:script|img|iframe)[^>]+src=[\"']?(?:https?:)?//"
    r"|<link[^>]+rel=[\"']?(?:stylesheet|preconnect|preload)[^>]+href=[\"']?(?:https?:)?//"
    r"|url\([\"']?(?:https?:)?//|@import[^;]+(?:https?:)?//|https?://unpkg\.com"
)
_LOADED_WHEN_MISSING = re.compile(r"https://unpkg\.com/[\w@./-]+")


def lay_out(folder: Path = PAGES) -> None:
    """Fill the folder anew."""
    shutil.rmtree(folder, ignore_errors=True)
    files = frozenset(tree.tracked())
    for page in markdown.pages():
        wanted = {page.path}
        for link in page.links:
            target = Path(*_steps(page.path.parent / link.target.partition("#")[0]))
            wanted |= {target} & files
        for path in wanted:
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(tree.ROOT / path, folder / path)
        text = tree.read(page.path)
        for code in page.codes:
            if code.language == "mermaid":  # the theme would draw it with a script from elsewhere
                text = text.replace(f"```mermaid\n{code.text}```", drawing.svg(code.text))
        (folder / page.path).write_text(text, encoding="utf-8")
    (folder / "reference").mkdir()
    for name, text in reference().items():
        (folder / "reference" / f"{name}.md").write_text(text, encoding="utf-8")


def _steps(path: Path) -> list[str]:
    steps: list[str] = []
    for step in path.parts:
        if step == ".." and steps:
            steps.pop()
        elif step != ".":
            steps.append(step)
    return steps


def reference() -> dict[str, str]:
    """Page name → text, of every top-level package that offers something."""
    packages = sorted(tree.packages())
    tops = [name for name in packages if name.count(".") == 1]
    pages = {}
    for top in tops:
        inner = [name for name in packages if name.startswith(top + ".")]
        text = _page(top, inner)
        if text:
            pages[top.rpartition(".")[2]] = text
    return pages


def _page(top: str, inner: list[str]) -> str:
    module = importlib.import_module(top)
    lines = [f"# `{top}`", "", module.__doc__ or "", "", *_names(top, module.__all__)]
    public = {(name, id(getattr(module, name))) for name in module.__all__}
    for package in inner:
        room = importlib.import_module(package)
        names = [name for name in room.__all__ if (name, id(getattr(room, name))) not in public]
        if names:
            lines += [
                f"## Inside: `{package}`",
                "",
                room.__doc__ or "",
                "",
                *_names(package, names),
            ]
    return "\n".join(lines) if any(line.startswith(":::") for line in lines) else ""


def _names(package: str, names: list[str]) -> list[str]:
    return [line for name in names for line in (f"::: {package}.{name}", "")]


def build() -> int:
    """Lay out, build strictly (what is doubtful is an error), and look at the result."""
    lay_out()
    shutil.rmtree(SITE, ignore_errors=True)
    built = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict"],  # not --quiet: warnings would pass
        cwd=tree.ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        check=False,
        capture_output=True,
        text=True,
    )
    if built.returncode:
        print(built.stdout + built.stderr, file=sys.stderr)
        return built.returncode
    for script in SITE.rglob("*.js"):
        # The theme would load a library for old browsers, and one that draws, which we don't use.
        text = script.read_text(encoding="utf-8")
        script.write_text(_LOADED_WHEN_MISSING.sub("data:,", text), encoding="utf-8")
    files = {
        str(path.relative_to(SITE)): path.read_text(encoding="utf-8")
        for path in sorted(SITE.rglob("*"))
        if path.suffix in {".html", ".css", ".js"}
    }
    wrong = missing(files) + fetched(files)
    print("\n".join(wrong) or f"the site is whole, in {SITE.relative_to(tree.ROOT)}")
    return bool(wrong)


def missing(files: Mapping[str, str]) -> list[str]:
    """Public names that stand in no heading of the reference's built pages."""
    text = "".join(text for name, text in files.items() if name.startswith("reference/"))
    anchors = set(re.findall(r'id="([\w.]+)"', text))
    return [
        f"{line.removeprefix('::: ')} is on no page"
        for page in reference().values()
        for line in page.splitlines()
        if line.startswith("::: ") and line.removeprefix("::: ") not in anchors
    ]


def fetched(files: Mapping[str, str]) -> list[str]:
    """What a reader's browser would fetch from another host: fonts, scripts, styles, pictures."""
    return [
        f"{name} fetches {text[match.start() : match.start() + 80]!r}"
        for name, text in files.items()
        for match in _ELSEWHERE.finditer(text)
    ]


if __name__ == "__main__":
    sys.exit(build())
