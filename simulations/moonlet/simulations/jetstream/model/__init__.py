"""JetStream as a pure value, its API, and core NATS around it."""

__all__: list[str] = []
