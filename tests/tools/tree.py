"""What git knows of this checkout: the checks look at that, never at caches or private files."""

import functools
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SOURCE_ROOTS = (
    "agents",
    "console",
    "core",
    "projections",
    "satellites",
    "simulations",
    "replay",
    "streams",
    "telemetry",
    "web",
)


@functools.cache
def tracked() -> tuple[Path, ...]:
    """Every committed or staged file that is still there, sorted, relative to the root.

    Where git can't say (an unpacked archive), every file outside hidden folders and caches.
    """
    listing = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, check=False, capture_output=True, text=True
    )
    if listing.returncode == 0:
        paths = [Path(name) for name in listing.stdout.split("\0") if name]
    else:
        everything = (path.relative_to(ROOT) for path in ROOT.rglob("*"))
        paths = [path for path in everything if not any(map(_is_by_the_way, path.parts))]
    return tuple(sorted(path for path in paths if (ROOT / path).is_file()))


def tracked_with(*suffixes: str) -> tuple[Path, ...]:
    """The tracked files whose name ends in one of these suffixes (`.py`)."""
    return tuple(path for path in tracked() if path.suffix in suffixes)


def read(path: Path) -> str:
    """The text of a tracked file."""
    return (ROOT / path).read_text(encoding="utf-8")


def packages() -> dict[str, Path]:
    """Every package under a source root, nested ones too: import path → its `__init__.py`."""
    inits = [path for path in tracked_with(".py") if path.name == "__init__.py"]
    return {".".join(path.parts[1:-1]): path for path in inits if path.parts[0] in SOURCE_ROOTS}


def _is_by_the_way(part: str) -> bool:
    return part == "__pycache__" or (part.startswith(".") and part != ".ci")
