"""What of a foreign message can be understood here: its version, and that it says things once."""

from moonlet.core.protocol.repeated_keys import refuse_repeated_keys
from moonlet.core.protocol.versions import (
    PROTOCOL,
    PROTOCOL_HEADER,
    check_protocol,
    misunderstood,
)

__all__ = ["PROTOCOL", "PROTOCOL_HEADER", "check_protocol", "misunderstood", "refuse_repeated_keys"]
