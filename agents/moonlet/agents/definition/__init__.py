"""What an agent type is: its name, state, handlers, and what these may know beside the state."""

from moonlet.agents.definition.agent_type import AgentType
from moonlet.agents.definition.call_handler import CallHandler, CallPolicy, Resource
from moonlet.agents.definition.context import Context, Moment

__all__ = ["AgentType", "CallHandler", "CallPolicy", "Context", "Moment", "Resource"]
