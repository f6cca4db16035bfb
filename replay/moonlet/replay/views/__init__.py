"""Shared views as of a time: folded from the journals, up to a cut through all of them."""

from moonlet.replay.views.viewing import view_at

__all__ = ["view_at"]
