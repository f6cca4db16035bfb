"""NATS by nats-py, without its traps: the one place that speaks it."""

from moonlet.streams.nats.answers import gap
from moonlet.streams.nats.connection import open as open_connection
from moonlet.streams.nats.headers import decode_time
from moonlet.streams.nats.limits import too_large
from moonlet.streams.nats.wire import check_subject, encode_headers

__all__ = ["check_subject", "decode_time", "encode_headers", "gap", "open_connection", "too_large"]
