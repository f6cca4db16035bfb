"""How much is sent and read at once, and what is said of more."""

from typing import Final

from moonlet.core.errors import PayloadTooLarge

UNREAD_BYTES: Final = 128 * 1024
"""Bytes that may wait to be read; nats-py's 32 KiB cost a fifth of a journal's reading."""

SUBJECT_BYTES_MAX: Final = 2048
"""The server closes the connection at a control line over 4,096 bytes."""

CONTROL_LINE_MAX: Final = 1024 * 1024
"""Bytes of a line; the server's INFO lists a whole cluster."""


def too_large(size: int, limit: int, subject: str) -> PayloadTooLarge:
    """The error for a message of `size` bytes."""
    return PayloadTooLarge(
        f"not sent: a message of {size} bytes, headers counted, is over the server's limit of "
        f"{limit} bytes ({subject}); send less, or raise max_payload on the server",
        limit=limit,
        value=size,
    )
