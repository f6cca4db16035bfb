"""simulations."""

__all__: list[str] = []
