"""A simulated test as a value, and one run of it."""

__all__: list[str] = []
