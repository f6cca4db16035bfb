"""Reading streams: facts, single messages, one consumer's deliveries, histories for ever."""

from moonlet.streams.reading.blobs import BLOB_HEADER, stands_apart, store_apart, with_record
from moonlet.streams.reading.consumer import Consumer
from moonlet.streams.reading.facts import (
    StreamFacts,
    count_up_to,
    facts_up_to,
    last_message,
    next_message,
    purge_subject,
    read_page,
    server_facts,
    stored_message,
    stream_facts,
    stream_names,
    subject_counts,
)
from moonlet.streams.reading.history_reader import HistoryReader
from moonlet.streams.reading.messages import read_messages
from moonlet.streams.reading.terms import owned_queue, shared_queue
from moonlet.streams.reading.topics import Start, TopicPosition, forget_position, topic_position

__all__ = [
    "BLOB_HEADER",
    "Consumer",
    "HistoryReader",
    "Start",
    "StreamFacts",
    "TopicPosition",
    "count_up_to",
    "facts_up_to",
    "forget_position",
    "last_message",
    "next_message",
    "owned_queue",
    "purge_subject",
    "read_messages",
    "read_page",
    "server_facts",
    "shared_queue",
    "stands_apart",
    "store_apart",
    "stored_message",
    "stream_facts",
    "stream_names",
    "subject_counts",
    "topic_position",
    "with_record",
]
