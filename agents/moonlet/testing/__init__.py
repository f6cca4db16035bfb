"""What users test their agents with: `given`, and fixtures for pytest."""

from moonlet.testing.given import given

__all__ = ["given"]
