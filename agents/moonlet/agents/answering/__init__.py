"""What the owner of a partition answers: queries, outcomes of commands, orders."""

from moonlet.agents.answering.owner_service import OwnerService

__all__ = ["OwnerService"]
