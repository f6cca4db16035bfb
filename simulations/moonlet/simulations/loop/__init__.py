"""The loop of a run: virtual time, one order of steps per seed, nodes whose steps they are."""

__all__: list[str] = []
