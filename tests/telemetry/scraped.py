"""A scrape, as one who only knows Prometheus' text format reads it."""

import asyncio
import re
from typing import NamedTuple

_LINE = re.compile(r"([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? ([0-9eE+.-]+|NaN|[+-]Inf)")
_LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(?:,|$)')
_ESCAPES = {r"\\": "\\", r"\"": '"', r"\n": "\n"}

Labels = frozenset[tuple[str, str]]


class Scraped(NamedTuple):
    types: dict[str, str]
    values: dict[tuple[str, Labels], float]

    def value(self, name: str, **labels: str) -> float:
        return self.values[name, frozenset(labels.items())]


def parsed(text: str) -> Scraped:
    """Every line is a comment or a sample of a metric whose type was told before, and told once."""
    assert text.endswith("\n")
    found = Scraped({}, {})
    for line in text.splitlines():
        if line.startswith("# HELP "):
            continue
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            assert name not in found.types
            found.types[name] = kind
            continue
        match = _LINE.fullmatch(line)
        assert match is not None, line
        name, inside, value = match.groups()
        base = re.sub("_(bucket|sum|count)$", "", name)
        assert name in found.types or found.types.get(base) == "histogram", line
        labels = {}
        place = 0
        while inside and place < len(inside):
            label = _LABEL.match(inside, place)
            assert label is not None, line
            labels[label[1]] = re.sub(r"\\.", lambda found: _ESCAPES[found[0]], label[2])
            place = label.end()
        key = name, frozenset(labels.items())
        assert key not in found.values, f"twice: {line}"
        found.values[key] = float(value)
    return found


async def fetch(address: str, request: bytes) -> tuple[int, str]:
    """Status and body of the answer to these bytes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", int(address.rpartition(":")[2]))
    try:
        writer.write(request)
        answer = await asyncio.wait_for(reader.read(), 30)
    finally:
        writer.close()
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split(b" ")[1]), body.decode()
