"""Fields of a message that was written by hand, as plain data: those that its class doesn't know.

A stored message keeps what it was sent with: a newer sender's new fields stand in the record, and
older handlers don't see them. Whoever writes a body by hand means each field of it, so one that
would do nothing is refused, where the class is known.
"""

import dataclasses

import msgspec

from moonlet.core.codec import Encoding
from moonlet.core.errors import InvalidMessage


def refuse_unknown_fields(cls: type, name: str, body: bytes, encoding: Encoding) -> None:
    """Raise `InvalidMessage` if the body has a field at its top that `cls` would leave unread."""
    decode = msgspec.json.decode if encoding == "json" else msgspec.msgpack.decode
    plain = decode(body)
    known = _known(cls)
    if known is None or not isinstance(plain, dict):
        return
    for field in plain:
        if field not in known:
            raise InvalidMessage(
                f"{name} has no field {field!r}; it has: {', '.join(sorted(known)) or 'none'}",
                path=f"$.{field}",
            )


def _known(cls: type) -> set[str] | None:
    """The names that the class reads; None if that can't be told, or it takes any."""
    if issubclass(cls, msgspec.Struct):
        tag = cls.__struct_config__.tag_field
        return {*cls.__struct_encode_fields__, *([tag] if tag else [])}
    if dataclasses.is_dataclass(cls):
        return {field.name for field in dataclasses.fields(cls)}
    fields = getattr(cls, "model_fields", None)
    if fields is None or getattr(cls, "model_config", {}).get("extra") == "allow":
        return None
    known = set(fields)
    for field in fields.values():
        for alias in (field.alias, field.validation_alias):
            if alias is not None and not isinstance(alias, str):
                return None  # several names, or a path
            known |= {alias} if alias else set()
    return known
