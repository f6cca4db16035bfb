"""Who talks to whom: satellites that share a key are one desk and trust each other's messages."""

from moonlet.agents import Context, Rejected


def peer(context: Context, agent_type: str) -> str:
    """The satellite of that type at this agent's own desk: `aegis/main` for `forge/main`."""
    return f"{agent_type}/{context.self_id.partition('/')[2]}"


def require(context: Context, agent_type: str, what: str) -> None:
    """Reject a command that did not come from that satellite of this desk."""
    expected = peer(context, agent_type)
    if context.sender != expected:
        sender = context.sender if "/" in context.sender else "a client"
        raise Rejected(f"{what} comes from {expected} only, not from {sender}")
