"""The page itself: built of its sources by Node, and served."""

from moonlet.web.page.build import build_page, in_clone, is_built
from moonlet.web.page.files import PageFile, page_files
from moonlet.web.page.node import NodeFailed, NodeRuntime

__all__ = [
    "NodeFailed",
    "NodeRuntime",
    "PageFile",
    "build_page",
    "in_clone",
    "is_built",
    "page_files",
]
