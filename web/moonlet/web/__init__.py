"""The web console: histories, states and causes in a browser, as `moonlet.replay` reads them.

It needs the extra `moonlet[web]`, and only shows: nothing can be changed through it.
"""

from typing import TYPE_CHECKING

from moonlet.core.doors import late as _late

if TYPE_CHECKING:
    from moonlet.web.page import NodeFailed, build_page, in_clone, is_built
    from moonlet.web.reading import CommandLine, WebSystem
    from moonlet.web.web_console import WebAddress, WebConsole

__getattr__ = _late(__name__)

__all__ = [
    "CommandLine",
    "NodeFailed",
    "WebAddress",
    "WebConsole",
    "WebSystem",
    "build_page",
    "in_clone",
    "is_built",
]
