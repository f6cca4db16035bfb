"""A line as a row of its day's file, and as words of its index."""

import itertools
import re
from typing import Any, Final

import msgspec

from moonlet.telemetry.kept.day_file import Row, Words
from moonlet.telemetry.kept.line import (
    CONTEXT,
    FACTS_MAX,
    MARGIN,
    VALUE_MAX,
    level_tag,
    module_tag,
    shortened,
)
from moonlet.telemetry.kept.lines_waiting import WaitingLine
from moonlet.telemetry.redaction import HIDDEN, hidden, is_secret, without_secrets

TAGS_KEPT: Final = 4_096
"""Modules and levels of which it is remembered how they stand in the index."""


def row_of(line: WaitingLine, start: int) -> tuple[Row, Words]:
    """A line as the table and the index take it; no secret gets any further than here."""
    event = _clean(line.event)
    agent = revision = command = correlation = host = trace = None
    rest: dict[str, Any] = {}
    ids = ""
    for name, value in line.facts.items():
        kind = type(value)
        if is_secret(name):
            value = HIDDEN
        elif kind is str:
            if len(value) >= 40 or not _safe(value):
                value = _clean(value)
        elif kind is int:
            value = value if -(2**63) <= value < 2**63 else str(value)
        elif kind not in ATOMS:
            value = hidden(value)
        if name not in _PLACES or (kind is not str and name != "revision"):
            rest[name] = value
        elif name == "agent":
            agent, ids = value, f"{ids} {value}"
        elif name == "command":
            command, ids = value, f"{ids} {value}"
        elif name == "correlation":
            correlation, ids = value, f"{ids} {value}"
        elif name == "host":
            host, ids = value, f"{ids} {value}"
        elif name == "trace":
            trace, ids = value, f"{ids} {value}"
        elif kind is int:
            revision = value
        else:
            rest[name] = value
    facts, text = "", event
    if rest:
        if len(rest) > FACTS_MAX:
            rest = dict(itertools.islice(rest.items(), FACTS_MAX), cut=len(rest) - FACTS_MAX)
        facts = _json(rest).decode("utf-8", "replace")
        text = f"{event} {facts}"
    tags = _tags.get((line.module, line.level)) or _tags_of(line.module, line.level)
    level, module, micros = line.level, line.module, line.time - start
    return (
        (micros, level, module, event, agent, revision, command, correlation, host, trace, facts),
        (text, ids, tags),
    )


def _clean(text: str) -> str:
    """Without secrets, and what no encoding takes; not too long."""
    if not text.isascii():
        text = text.encode("utf-8", "replace").decode()
    return str(shortened(without_secrets(text[: VALUE_MAX + MARGIN])))


_safe: Final = re.compile(r"[\w/.-]*").fullmatch
"""Short texts of these are no secret by their looks: no `=`, `:` or space."""

ATOMS: Final = frozenset((str, int, float, bool, type(None)))
"""Types of facts that can't change any more."""

_PLACES: Final = frozenset(CONTEXT)
_tags: Final[dict[tuple[str, int], str]] = {}


def _tags_of(module: str, level: int) -> str:
    if len(_tags) >= TAGS_KEPT:
        _tags.clear()
    found = _tags[module, level] = f"{module_tag(module)} {level_tag(level)}"
    return found


_json: Final = msgspec.json.Encoder(enc_hook=repr).encode
