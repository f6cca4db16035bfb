"""One stream: what it takes, keeps, fires and lets go."""

__all__: list[str] = []
