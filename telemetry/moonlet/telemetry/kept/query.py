"""What is asked of kept lines."""

import re
from collections.abc import Iterable
from typing import Annotated, Final

import msgspec

from moonlet.core.errors import Invalid
from moonlet.telemetry.kept.line import level_tag, module_tag
from moonlet.telemetry.loggers import LEVELS

LIMIT_MAX: Final = 10_000
"""Lines of one answer."""

TEXT_MAX: Final = 1_000
"""Characters of a text that is looked for, and of an id."""

WORDS_MAX: Final = 32

_PIECE: Final = re.compile(r'(-?)(?:"([^"]*)"|(\S+))')
_WORD: Final = re.compile(r"\w", re.UNICODE)

Asked = Annotated[str, msgspec.Meta(max_length=TEXT_MAX)]
Micros = Annotated[int, msgspec.Meta(ge=0, le=2**62)]


class LogQuery(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """Lines that fit all of it: the newest `limit`, or the oldest if asked for `after` one.

    `text` is words that all stand in a line, in any order: `"two words"` stand together, `word*`
    begins so, `-word` does not stand there. `since` (inclusive) and `until` (exclusive) are
    microseconds since 1970, `level` the least, `module` that one and what is below it. `after` and
    `before` are ids of lines.
    """

    text: Asked = ""
    since: Micros = 0
    until: Micros = 0
    level: Asked = ""
    module: Asked = ""
    agent: Asked = ""
    revision: Micros = 0
    command: Asked = ""
    correlation: Asked = ""
    host: Asked = ""
    trace: Asked = ""
    limit: Annotated[int, msgspec.Meta(ge=1, le=LIMIT_MAX)] = 100
    after: Asked = ""
    before: Asked = ""

    def exact(self) -> dict[str, str]:
        """The ids that are asked for, by name."""
        names = ("agent", "command", "correlation", "host", "trace")
        return {name: getattr(self, name) for name in names if getattr(self, name)}


def words_of(query: LogQuery, modules: Iterable[str] = ()) -> str:
    """What the index is asked; '' if nothing of it needs the index. Raises `Invalid`.

    `modules` are those of the file: that one and what is below it are asked for by name.
    """
    wanted, unwanted = _text(query.text)
    parts = [f"{{text ids}} : {piece}" for piece in wanted]
    for value in query.exact().values():
        if _WORD.search(value):
            parts.append(f"ids : {_quoted(value)}")
    if query.module:
        below = [name for name in modules if _is_below(name, query.module)]
        tags = " OR ".join(module_tag(name) for name in below or [query.module])
        parts.append(f"tags : ({tags})")
    if query.level:
        least = level_number(query.level)
        if least > LEVELS["debug"]:
            levels = [level_tag(n) for n in LEVELS.values() if n >= least]
            parts.append(f"tags : ({' OR '.join(levels)})")
    if unwanted and not parts:
        raise Invalid("words that must not stand there need one that must: add a word, or --level")
    found = " AND ".join(f"({part})" for part in parts)
    for piece in unwanted:
        found = f"({found}) NOT ({{text ids}} : {piece})"
    return found


def _is_below(module: str, wanted: str) -> bool:
    """Whether it is that module, or one below it."""
    return module == wanted or module.startswith(f"{wanted}.")


def level_number(name: str) -> int:
    """The number of a level; raises `Invalid`."""
    number = LEVELS.get(name.lower())
    if number is None:
        raise Invalid(f"level {name!r:.80}: choose one of {', '.join(LEVELS)}")
    return number


def _text(text: str) -> tuple[list[str], list[str]]:
    wanted: list[str] = []
    unwanted: list[str] = []
    for minus, phrase, word in _PIECE.findall(text):
        piece = phrase or word
        star = not phrase and piece.endswith("*")
        if not _WORD.search(piece):
            continue
        (unwanted if minus else wanted).append(_quoted(piece.rstrip("*")) + ("*" if star else ""))
    if len(wanted) + len(unwanted) > WORDS_MAX:
        raise Invalid(f"a text of more than {WORDS_MAX} words: take the rarest of them")
    if text.strip() and not wanted and not unwanted:
        raise Invalid(f"{text!r:.80} has no word that could be looked for")
    return wanted, unwanted


def _quoted(text: str) -> str:
    plain = text.replace('"', " ").replace("\0", " ")
    return f'"{plain}"'
