"""The wires of a world, and what the packets on them are about."""

__all__: list[str] = []
