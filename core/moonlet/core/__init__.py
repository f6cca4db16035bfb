"""Pure values, rules and ports: no I/O, clock, randomness, asyncio. All other layers import it."""

__all__: list[str] = []
