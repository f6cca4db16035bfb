"""Keeping secrets out of lines: by the names of facts, and by what secrets look like in a text."""

import re
from collections.abc import Mapping, MutableMapping
from typing import Any, Final

HIDDEN: Final = "[hidden]"

NAMES_KEPT: Final = 4_096
"""Names of facts, and texts, of which it is remembered what came of them."""

DEPTH_MAX: Final = 6
"""Levels of nested facts that are looked into; what lies deeper is hidden."""

_NAMES: Final = (
    r"password|passwd|secret|token|seed|creds|credential|nkey|jwt|authorization|cookie"
    r"|api[_-]?key|private[_-]?key"
)
_SECRET: Final = re.compile(_NAMES, re.I)
_MAYBE: Final = re.compile(rf"://|bearer\s|basic\s|eyJ|S[UAOCNX][A-Z2-7]{{40}}|{_NAMES}", re.I)
_LOOKS: Final = (
    (re.compile(r"(://)[^/\s@]{1,1000}@"), rf"\1{HIDDEN}@"),
    (re.compile(r"\b((?:bearer|basic)\s{1,20})[\w.~+/=-]{8,}", re.I), rf"\1{HIDDEN}"),
    (re.compile(r"\beyJ[\w-]{5,2000}\.[\w-]{5,}(?:\.[\w-]*)?"), HIDDEN),
    (re.compile(r"\bS[UAOCNX][A-Z2-7]{40,}"), HIDDEN),
    (
        re.compile(
            rf"""((?:{_NAMES})[\w-]{{0,40}}["']?\s{{0,9}}[=:]\s{{0,9}}(?:bearer\s|basic\s)?)"""
            r"""(?!\[hidden\])("[^"]*"|'[^']*'|[^\s,;&"'})\]]+)""",
            re.I,
        ),
        rf"\1{HIDDEN}",
    ),
)
"""Repetitions are bounded, or a long text of one letter would take its length squared."""

_names: dict[str, bool] = {}
_clean: set[str] = set()


def is_secret(name: str) -> bool:
    """Whether facts of this name are never shown."""
    known = _names.get(name)
    if known is None:
        if len(_names) >= NAMES_KEPT:
            _names.clear()
        known = _names[name] = _SECRET.search(name) is not None
    return known


def without_secrets(text: str) -> str:
    """The text with what looks like a secret hidden: user info of addresses, `password=…`, bearer
    tokens, JWTs, seeds of NATS keys."""
    if text in _clean or (len(text) < 40 and text.isalnum()):
        return text
    if _MAYBE.search(text) is None:
        if len(text) < 200:
            if len(_clean) >= NAMES_KEPT:
                _clean.clear()
            _clean.add(text)
        return text
    for pattern, instead in _LOOKS:
        text = pattern.sub(instead, text)
    return text


def hidden(value: Any, depth: int = 0) -> Any:
    """A fact's value without secrets: texts, and what stands in lists and mappings."""
    if isinstance(value, str):
        return without_secrets(value)
    if value is None or isinstance(value, int | float):
        return value
    if depth >= DEPTH_MAX:
        return HIDDEN
    if isinstance(value, Mapping):
        return {
            name: HIDDEN if is_secret(str(name)) else hidden(found, depth + 1)
            for name, found in value.items()
        }
    if isinstance(value, list | tuple):
        return [hidden(found, depth + 1) for found in value]
    return without_secrets(str(value)) if isinstance(value, BaseException) else value


def redact(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """A structlog processor: hide values of secret names, and what looks like a secret."""
    for name, value in event.items():
        event[name] = HIDDEN if is_secret(name) else hidden(value)
    return event
