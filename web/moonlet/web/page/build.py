"""Builds the page of its sources, `web/page`, into `built` beside this module.

An installed Moonlet has it built in; a clone builds it when it is first needed, or is older than
its sources. Nothing here imports Moonlet but `node`, which imports nothing: see there.
"""

import shutil
from hashlib import blake2b
from pathlib import Path
from typing import Final

from moonlet.web.page.node import NodeFailed, NodeRuntime, alone

BUILT: Final = Path(__file__).parent / "built"
"""Where the built page is: its files, and `sources`, a mark of what it was made of."""

SOURCES: Final = Path(__file__).parents[3] / "page"
"""Where its sources are, in a clone."""

FILES: Final = ("index.html", "app.js", "app.css")


def is_built() -> bool:
    """Whether the page is there and, where its sources are, made of these."""
    if not all((BUILT / name).is_file() for name in FILES):
        return False
    return not in_clone() or _made_of() == digest_of(SOURCES)


def in_clone() -> bool:
    """Whether the sources are here, so that it can be built."""
    return (SOURCES / "package.json").is_file()


def build_page() -> None:
    """Make it of its sources; raises `NodeFailed`. Killed on the way it leaves what was there.

    Several processes may come at once: one builds, the others wait for that.
    """
    if not in_clone():
        raise NodeFailed(
            "this installation was made without the page: npm could not be reached, or there was no"
            " Node. Install it again where they are, or start it in a checkout"
        )
    node = NodeRuntime.find()
    node.install(SOURCES)
    with alone(SOURCES / "node_modules" / ".moonlet-build"):
        if not is_built():
            _build(node)


def _build(node: NodeRuntime) -> None:
    fresh = BUILT.with_name("built.new")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir()
    node.run(SOURCES / "bundle.mjs", str(fresh), cwd=SOURCES)
    shutil.copy(SOURCES / "index.html", fresh / "index.html")
    (fresh / "sources").write_text(digest_of(SOURCES), "utf-8")
    shutil.rmtree(BUILT, ignore_errors=True)
    fresh.rename(BUILT)


def digest_of(folder: Path) -> str:
    """What tells these sources from others: all files but what npm brought."""
    found = blake2b(digest_size=16)
    for path in sorted(folder.rglob("*")):
        inner = path.relative_to(folder)
        if path.is_file() and inner.parts[0] != "node_modules":
            found.update(f"{inner.as_posix()}\0".encode() + path.read_bytes() + b"\0")
    return found.hexdigest()


def _made_of() -> str:
    try:
        return (BUILT / "sources").read_text("utf-8")
    except OSError:
        return ""
