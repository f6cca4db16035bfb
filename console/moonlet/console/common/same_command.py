"""The command that does what a screen or a page shows."""

import shlex
from pathlib import Path

from moonlet.console.common.options import Options


class SameCommand:
    """Writes commands with what was given to this one; never a server's address, which may hold a
    password.
    """

    def __init__(self, options: Options, modules: list[str], bundle: Path | None) -> None:
        self._where = ["--bundle", str(bundle)] if bundle is not None else []
        if bundle is None and options.embedded:
            self._where = ["--data", str(options.folder)]
        self._modules = [part for module in modules for part in ("--module", module)]

    def line(self, *words: str, code: bool = False) -> str:
        """The line to type; `code`: it needs the agent types."""
        modules = self._modules if code else []
        return shlex.join(["moonlet", *words, *modules, *self._where])
