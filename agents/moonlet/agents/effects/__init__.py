"""Effects on their way out of an agent, after the commit that holds them."""

from moonlet.agents.effects.causes import caused_envelope, indexes_to_dispatch, open_indexes
from moonlet.agents.effects.outbox import COMMITS_MAX, Outbox

__all__ = ["COMMITS_MAX", "Outbox", "caused_envelope", "indexes_to_dispatch", "open_indexes"]
