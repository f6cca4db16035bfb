"""A pull consumer: what it delivers to whom, and what acknowledgements do.

Of its stream it knows what `ConsumedStream` says. Imports configurations, the store and the
context of the model.
"""

from moonlet.simulations.jetstream.consumer.consumer import PullConsumer
from moonlet.simulations.jetstream.consumer.pulls import status

__all__ = [
    "PullConsumer",
    "status",
]
