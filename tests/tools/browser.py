"""A Chromium for the tests of the web console, from npm: `python -m tests.tools.browser`.

It lies in `tests/web/node_modules`, and takes no package of the machine: libraries that are missing
here come with it.
"""

import subprocess
import sys

from moonlet.web.page import NodeFailed, NodeRuntime
from tests.tools import tree

FOLDER = tree.ROOT / "tests" / "web"
UNPACKED = FOLDER / "node_modules" / ".chromium"
PROGRAM = UNPACKED / "chromium"
ARCHIVES = FOLDER / "node_modules" / "@sparticuz" / "chromium" / "bin"

UNPACK = """
import { createReadStream, createWriteStream } from "node:fs";
import { pipeline } from "node:stream/promises";
import { createBrotliDecompress } from "node:zlib";
const [from, to] = process.argv.slice(2);
await pipeline(createReadStream(from), createBrotliDecompress(), createWriteStream(to));
"""


def install() -> None:
    """Have it; raises `NodeFailed`."""
    node = NodeRuntime.find()
    if not node.install(FOLDER) and PROGRAM.is_file():
        return
    UNPACKED.mkdir(exist_ok=True)
    script = UNPACKED / "unpack.mjs"
    script.write_text(UNPACK)
    for archive in ("al2023.tar.br", "swiftshader.tar.br", "fonts.tar.br"):
        tar = UNPACKED / "archive.tar"
        node.run(script, str(ARCHIVES / archive), str(tar), cwd=FOLDER)
        subprocess.run(["tar", "-xf", str(tar), "-C", str(UNPACKED)], check=True)
        tar.unlink()
    fresh = UNPACKED / "chromium.new"
    node.run(script, str(ARCHIVES / "chromium.br"), str(fresh), cwd=FOLDER)
    fresh.chmod(0o755)
    fresh.rename(PROGRAM)


def environment() -> dict[str, str]:
    """What it needs beside: its own libraries, if the machine has not all of them."""
    linked = subprocess.run(["ldd", str(PROGRAM)], capture_output=True, text=True, check=False)
    if "not found" not in linked.stdout:
        return {}
    return {"LD_LIBRARY_PATH": str(UNPACKED / "lib")}


if __name__ == "__main__":
    try:
        install()
    except (NodeFailed, OSError, subprocess.SubprocessError) as error:
        sys.exit(f"no Chromium: {error}")
