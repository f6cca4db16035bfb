"""Many runs: until one fails, from there to the few faults that it takes, and what was seen."""

__all__: list[str] = []
