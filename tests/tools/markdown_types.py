"""Type-check the Python printed in the project's pages: `python -m tests.tools.markdown_types`.

A fenced ```python block that begins with an import or a docstring is a complete program and is held
to mypy --strict as any module is. Errors name the page and its own line. A block whose first line
is a comment with a file's name, as `# bank.py`, can be imported by the others under that name.
"""

import ast
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.tools import markdown, tree


def is_program(code: markdown.Code) -> bool:
    """Whether the block stands alone; others are fragments, of which only the syntax is checked."""
    if code.language not in {"python", "py"}:
        return False
    body = ast.parse(code.text).body
    opening = body[0] if body else None
    return isinstance(opening, ast.Import | ast.ImportFrom) or (
        isinstance(opening, ast.Expr)
        and isinstance(opening.value, ast.Constant)
        and isinstance(opening.value.value, str)
    )


def programs(pages: tuple[markdown.Page, ...]) -> dict[str, str]:
    """Module name → source, padded with empty lines so that its lines are the page's."""
    return {
        f"{_module_name(page.path)}_line_{code.line}": "\n" * (code.line - 1) + code.text
        for page in pages
        for code in page.codes
        if is_program(code)
    }


def named(pages: tuple[markdown.Page, ...]) -> dict[str, str]:
    """File name → source of the programs that name their file in their first line."""
    found: dict[str, str] = {}
    for page in pages:
        for code in page.codes:
            name = re.match(r"# (\w+\.py)\n", code.text)
            if name is not None and is_program(code):
                found[name[1]] = code.text
    return found


def check(pages: tuple[markdown.Page, ...]) -> tuple[int, str]:
    """Run mypy over all programs at once: (exit code, its words with the pages' names)."""
    sources = programs(pages)
    if not sources:
        return 0, "no Python programs in the pages"
    with tempfile.TemporaryDirectory(prefix="moonlet-pages-") as folder:
        files = [Path(folder) / f"{name}.py" for name in sources]
        for file, source in zip(files, sources.values(), strict=True):
            file.write_text(source, encoding="utf-8")
        for name, source in named(pages).items():
            (Path(folder) / name).write_text(source, encoding="utf-8")
        result = subprocess.run(
            [sys.executable, "-m", "mypy", "--strict", *map(str, files)],
            cwd=tree.ROOT,
            env={**os.environ, "MYPYPATH": folder},
            check=False,
            capture_output=True,
            text=True,
        )
    words = result.stdout + result.stderr
    for page in pages:
        # mypy's cache may answer with the folder of an earlier run, so only the name is looked for.
        program = rf"\S*\b{_module_name(page.path)}_line_\d+\.py"
        words = re.sub(program, str(page.path), words)
    return result.returncode, words.strip()


def _module_name(path: Path) -> str:
    return "_".join(path.with_suffix("").parts).replace("-", "_").replace(".", "_")


if __name__ == "__main__":
    status, output = check(markdown.pages())
    print(f"Python in the pages: {output}")
    sys.exit(status)
