"""The `moonlet` command; it wires everything, and nothing imports it."""

__all__: list[str] = []
