"""Reading streams: one consumer's deliveries for queues, and histories to their end or for ever."""

from moonlet.streams.reading.consumer import Consumer
from moonlet.streams.reading.history_reader import HistoryReader
from moonlet.streams.reading.messages import read_messages
from moonlet.streams.reading.terms import owned_queue, shared_queue

__all__ = ["Consumer", "HistoryReader", "owned_queue", "read_messages", "shared_queue"]
