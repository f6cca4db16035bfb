"""What is new, told while it happens: one tail of the journals, and events to browsers."""

from moonlet.web.live.events import event_stream
from moonlet.web.live.tail import LiveTail

__all__ = ["LiveTail", "event_stream"]
