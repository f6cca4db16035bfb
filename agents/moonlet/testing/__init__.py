"""What users test their agents with: `given`, and fixtures for pytest."""

from moonlet.testing.given import given
from moonlet.testing.moon_server import MoonServer

__all__ = ["MoonServer", "given"]
