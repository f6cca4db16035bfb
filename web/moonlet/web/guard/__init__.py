"""The guard of the console: names, tokens, sessions, and what stands before every answer."""

from moonlet.web.guard.access import Access
from moonlet.web.guard.web_guard import WebGuard

__all__ = ["Access", "WebGuard"]
