"""What the server's error codes mean to us. The codes are JetStream's own (`err_code`)."""

from typing import Any, Final

from moonlet.core.errors import LimitExceeded, MoonletError
from moonlet.streams.api import ServerRefused, StreamGone

WRONG_LAST_SEQUENCE: Final = 10071
"""`wrong last sequence: N`: the expectation failed; N is the subject's last sequence."""

WRONG_LAST_SEQUENCE_IN_FLIGHT: Final = 10164
"""The same without N: another write to the subject is in flight, or came before in the batch."""

SUBJECTS_OVERLAP: Final = 10065
"""Another stream takes some of the subjects already."""

CONSUMER_NOT_FOUND: Final = 10014
CONSUMER_OVERLAPS: Final = 10100
"""A work queue has a consumer whose filter overlaps."""

STORAGE_CODES: Final = frozenset({10023, 10047, 10077, 10122})
"""Insufficient resources, storage exceeded, a limit of the stream with discard new."""

TOO_LARGE_CODES: Final = frozenset({10054, 10097})
"""Message larger than the stream allows, headers larger than a message may have."""

UNKNOWN_CODES: Final = frozenset({10158, 10163, 10210})
"""The same id is being stored, leader catching up, too many open batches: nothing is known."""

NO_LEADER: Final = frozenset({10008, 10009, 10118, 10119})
"""A cluster is electing, who was asked is no leader, a stream or consumer is offline: nothing was
done."""

NO_MESSAGE: Final = frozenset({10037, 10043})
"""No message was found, or there is no such sequence."""

STREAM_NOT_FOUND: Final = 10059

MAX_BYTES_REQUIRED: Final = 10113
"""The account takes no stream without a limit of bytes."""

MAILBOX_FULL: Final = "per subject"
"""What the server says of a mailbox that is full, and of nothing else."""


LIMIT_CODES: Final = frozenset({10002, 10026, 10027, 10028})
"""The account's resources, the number of consumers, of streams, the memory: no more of them."""


def in_our_words(error: ServerRefused, what: str, stream: str) -> MoonletError:
    """What a refusal to make or change `what` of `stream` means, and what to do about it."""
    if error.err_code in LIMIT_CODES or is_full(error):
        return LimitExceeded(
            f"the server takes no more ({error.description}): {what} of {stream} is not made; raise"
            " the limit"
            " (max_consumers, max_streams, max_storage of the account or stream), or put fewer"
            " agent types on this server"
        )
    if error.err_code == STREAM_NOT_FOUND:
        return StreamGone(
            f"{what} can't be made: the stream {stream} is gone; a host makes a queue again, a"
            " journal is to be restored from its backup",
            stream=stream,
        )
    return error


def no_room(error: ServerRefused, config: dict[str, Any]) -> MoonletError:
    """What a refusal to make the stream `config` means where a limit is the cause; else itself."""
    reserved = int(config.get("max_bytes") or 0)
    if error.err_code == MAX_BYTES_REQUIRED:
        needs = (
            "the account demands that each stream has a limit of bytes (max_bytes_required), and a"
            " journal may have none: take that off the account"
        )
    elif error.err_code in STORAGE_CODES and reserved:
        needs = (
            f"it reserves {reserved >> 20} MiB (max_bytes), and the server or the account has less:"
            " raise max_file_store of the server, or max_file (max_storage) of the account, above"
            " that"
        )
    elif error.err_code in STORAGE_CODES or error.err_code in LIMIT_CODES:
        needs = (
            "raise the limit of the account (max_streams, max_file, replicas), or remove streams"
            " that nobody needs"
        )
    else:
        return error
    return LimitExceeded(
        f"stream {config['name']} can't be made ({error.description}): {needs}; then start again,"
        " which goes on from here",
        limit=reserved,
    )


def is_conflict(error: ServerRefused) -> bool:
    """Whether the server refused because another write came first."""
    return error.err_code in (WRONG_LAST_SEQUENCE, WRONG_LAST_SEQUENCE_IN_FLIGHT)


def is_full(error: ServerRefused) -> bool:
    """Whether the server refused because a limit is reached: nothing was stored."""
    return error.err_code in STORAGE_CODES


def is_too_large(error: ServerRefused) -> bool:
    """Whether the server refused because the message is too large for it: nothing was stored."""
    return error.err_code in TOO_LARGE_CODES


def is_final(error: ServerRefused) -> bool:
    """Whether it is no use to try the same again: what was asked is wrong, not the moment."""
    return error.code < 500


def is_missing(error: ServerRefused) -> bool:
    """Whether the stream isn't there."""
    return error.err_code == STREAM_NOT_FOUND


def is_overlapping(error: ServerRefused) -> bool:
    """Whether another consumer of the work queue has some of the subjects already."""
    return error.err_code == CONSUMER_OVERLAPS


def is_taken(error: ServerRefused) -> bool:
    """Whether another stream has some of the subjects already."""
    return error.err_code == SUBJECTS_OVERLAP


def is_unknown(error: ServerRefused) -> bool:
    """Whether the refusal leaves open what becomes of the message: look, or try again."""
    return error.err_code in UNKNOWN_CODES


def conflicting_sequence(error: ServerRefused) -> int | None:
    """The last sequence that `wrong last sequence: N` names; None if it names none."""
    _, _, number = error.description.rpartition(": ")
    if error.err_code == WRONG_LAST_SEQUENCE and number.isdigit():
        return int(number)
    return None
