"""A room."""

__all__: list[str] = []
