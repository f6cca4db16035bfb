"""The processes of a world: hosts and clients on nodes, with clocks, dice and connections."""

__all__: list[str] = []
