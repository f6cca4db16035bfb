"""A state as plain data: what JSON can show, and what is compared and asked about."""

from typing import Any

import msgspec


def plain_state(state: Any) -> Any:
    """Objects, lists, texts, numbers, booleans and None; keys are texts, sets are sorted."""
    if hasattr(state, "model_dump"):
        return state.model_dump(mode="json")
    return _lists(msgspec.to_builtins(state, str_keys=True))


def _lists(value: Any) -> Any:
    if type(value) is dict:
        return {key: _lists(each) for key, each in value.items()}
    if type(value) in (list, tuple):
        return [_lists(each) for each in value]
    if type(value) in (set, frozenset):
        return sorted((_lists(each) for each in value), key=repr)
    return value
