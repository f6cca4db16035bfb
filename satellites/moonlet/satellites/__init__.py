"""satellites."""

__all__: list[str] = []
