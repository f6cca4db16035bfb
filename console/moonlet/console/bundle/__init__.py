"""`bundle create|open|test`: a part of a system as a file, looked into anywhere, held by a test."""

from moonlet.console.bundle.command import bundle_app

__all__ = ["bundle_app"]
