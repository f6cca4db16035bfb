"""Fields that are never kept when a value of their class is stored: what the class itself tells."""

from typing import Any

import msgspec

from moonlet.core.errors import InvalidAgentType


def refuse_unkept(what: str, cls: type) -> None:
    """Raise `InvalidAgentType` for a pydantic model that writes a field as it can't read it.

    Also for a class that msgspec can't read at all. `what` says whose class it is.
    """
    fields = getattr(cls, "__pydantic_fields__", None)
    if not isinstance(fields, dict) or not hasattr(cls, "model_validate"):
        try:
            msgspec.msgpack.Decoder(cls)
        except TypeError as error:
            raise InvalidAgentType(
                f"{what}: {cls.__qualname__} can't be stored and read again ({error}): annotate its"
                " fields with classes that msgspec knows"
            ) from None
        return
    for name, field in fields.items():
        why = _why_unkept(cls, name, field)
        if why:
            raise InvalidAgentType(
                f"{what}: {cls.__qualname__}.{name} would be lost when it is stored and read"
                f" again: {why}"
            )


def _why_unkept(cls: Any, name: str, field: Any) -> str:
    if field.exclude:
        return "it has exclude=True; take that away"
    written = field.serialization_alias or name
    accepted = field.validation_alias
    choices = getattr(accepted, "choices", [accepted] if accepted is not None else [name])
    by_name = cls.model_config.get("populate_by_name") or cls.model_config.get("validate_by_name")
    if written in choices or (by_name and written == name):
        return ""
    return (
        f"it is written as {written!r}, and read as {', '.join(map(str, choices))}; use one alias"
    )
