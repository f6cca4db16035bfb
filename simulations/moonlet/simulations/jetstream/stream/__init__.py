"""One stream: what it takes, keeps, fires and lets go.

The rules (`publishing`, `intake`, `batches`, `schedules`, `expiry`) take its state, and verbs of
`Stream` by argument. Imports consumers, to which it gives what it stores.
"""

from moonlet.simulations.jetstream.stream.intake import error_json
from moonlet.simulations.jetstream.stream.stream import Stream

__all__ = [
    "Stream",
    "error_json",
]
