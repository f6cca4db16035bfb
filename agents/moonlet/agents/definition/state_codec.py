"""An agent's state as bytes and back, and whether it comes back as what it was."""

from typing import Any, Final, Generic, TypeVar

import msgspec

from moonlet.core.likeness import Unlike, alike, first_unlike, unencodable

S = TypeVar("S")

LARGE: Final = 4_096
"""Bytes from which a state is compared by columns first: slower for a few fields, faster for many.
"""


class StateCodec(Generic[S]):
    """MessagePack by msgspec; a pydantic model by its own dump, under its aliases."""

    def __init__(self, cls: type[S]) -> None:
        self._cls = cls
        self._validate = getattr(cls, "model_validate", None)
        self._decoder: msgspec.msgpack.Decoder[Any] | None = None

    def encode(self, state: S) -> bytes:
        """The state's bytes; raises what msgspec, pydantic or the class's own code raise."""
        dump = getattr(state, "model_dump", None)
        return msgspec.msgpack.encode(
            dump(mode="python", by_alias=True, warnings=False) if dump else state
        )

    def decode(self, data: bytes) -> S:
        """The state of `encode`; raises the same if it doesn't fit, or can't be decoded at all."""
        if self._validate is not None:
            model: S = self._validate(msgspec.msgpack.decode(data))
            return model
        if self._decoder is None:
            self._decoder = msgspec.msgpack.Decoder(self._cls)
        state: S = self._decoder.decode(data)
        return state

    def unlike(self, state: S, data: bytes) -> Unlike | None:
        """Where what `data` holds is not `state`; None if it comes back as it was.

        Raises nothing: what can't be decoded doesn't come back either.
        """
        try:
            again = self.decode(data)
        except BaseException as error:  # nothing is awaited here: it is the class's own
            return Unlike("$", f"a {type(state).__name__}", f"{type(error).__name__}: {error}")
        if len(data) > LARGE and alike(state, again):
            return None
        return first_unlike(state, again)

    def unencodable(self, state: S, error: BaseException) -> Unlike:
        """Where `encode` fails on `state`, as it did with `error`."""
        path = unencodable(state, self._encode_part)
        return Unlike(path, f"a {type(state).__name__}", f"{type(error).__name__}: {error}")

    def _encode_part(self, part: Any) -> bytes:
        dump = getattr(part, "model_dump", None)
        return msgspec.msgpack.encode(dump(mode="python", warnings=False) if dump else part)
