"""Pure values, rules and ports: no I/O, clock, randomness or asyncio. Every other layer may import it."""

__all__: list[str] = []
