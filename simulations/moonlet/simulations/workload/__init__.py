"""Commands from the seed."""

__all__: list[str] = []
