"""One run of a seed, from an empty world to its end, and the same run once more."""

__all__: list[str] = []
