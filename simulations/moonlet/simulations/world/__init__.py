"""A world: its state, the verbs that hurt it, and the phases that it goes through."""

__all__: list[str] = []
