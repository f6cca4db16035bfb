"""A pull consumer: what it delivers to whom, and what acknowledgements do."""

__all__: list[str] = []
