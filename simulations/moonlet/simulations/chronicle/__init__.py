"""What is durable in a world, seen as it is stored."""

__all__: list[str] = []
