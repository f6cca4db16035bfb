"""Plant each fault of `tests/faults` in a copy of the tree, and see its test fail.

`python -m tests.tools.planted [PART ...]`: those whose test or promise holds a PART; else all.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.faults import FAULTS, Fault
from tests.tools import tree

ROOTS = (
    "core",
    "streams",
    "agents",
    "projections",
    "simulations",
    "replay",
    "console",
    "telemetry",
    "web",
)


def plant(fault: Fault, root: Path) -> None:
    """Change the copy; raises `LookupError` if an old text isn't there exactly once."""
    for name, old, new in fault.changes:
        path = root / name
        text = path.read_text(encoding="utf-8")
        if text.count(old) != 1:
            raise LookupError(f"{name} holds {text.count(old)} times: {old!r}")
        path.write_text(text.replace(old, new), encoding="utf-8")


def fails(fault: Fault) -> bool:
    """Whether the fault's test fails under it, as it should."""
    with tempfile.TemporaryDirectory(prefix="moonlet-planted-") as folder:
        root = Path(folder)
        for name in tree.tracked():
            target = root / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(tree.ROOT / name, target)
        plant(fault, root)
        paths = os.pathsep.join(str(root / name) for name in (*ROOTS, "satellites", "."))
        command = [sys.executable, "-m", "pytest", "-q", "-x", "-n0", "-p", "no:cacheprovider"]
        ran = subprocess.run(
            [*command, "--timeout=90", fault.test],
            cwd=root,
            env={**os.environ, "PYTHONPATH": paths},
            check=False,
            capture_output=True,
            text=True,
        )
        if ran.returncode not in (0, 1):
            raise RuntimeError(f"pytest ended with {ran.returncode}:\n{ran.stdout}{ran.stderr}")
        return ran.returncode == 1


def main(parts: list[str]) -> int:
    """Run them; the exit code is how many tests did not notice their fault."""
    chosen = [
        fault
        for fault in FAULTS
        if not parts or any(part in fault.test or part == fault.promise for part in parts)
    ]
    unnoticed = 0
    for fault in chosen:
        noticed = fails(fault)
        unnoticed += not noticed
        verdict = "noticed " if noticed else "UNNOTICED"
        print(f"{verdict} {fault.promise:>9}  {fault.what}  ({fault.test})", flush=True)
    print(f"{len(chosen) - unnoticed} of {len(chosen)} planted faults were noticed")
    return unnoticed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
