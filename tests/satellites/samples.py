"""Samples of every command and event of the satellites: `python -m tests.satellites.samples`.

Adds what has no sample yet and changes none that is there: a stored body stays as it is for ever.
"""

import asyncio
import json
import re
from pathlib import Path
from typing import Any

import msgspec
from msgspec import inspect

from moonlet.agents import AgentType
from moonlet.satellites import SATELLITES
from moonlet.satellites.night import depeg, drive
from tests.satellites.bus import Bus

PATH = Path(__file__).resolve().parents[1] / "samples" / "satellites-1.json"
KINDS = ("commands", "events")

Samples = dict[str, dict[str, dict[str, Any]]]


def load() -> Samples:
    """The samples there are: agent type → commands or events → name → version and body."""
    loaded: Samples = json.loads(PATH.read_text(encoding="utf-8")) if PATH.exists() else {}
    return loaded


def handlers(agent_type: AgentType[Any], kind: str) -> dict[str, Any]:
    """The handlers of a kind, by schema name."""
    table: dict[str, Any] = getattr(agent_type.behavior, kind)
    return table


def from_the_night() -> dict[tuple[str, str, str], Any]:
    """The shortest body of each message that the night stores."""
    found: dict[tuple[str, str, str], Any] = {}
    bus = Bus()
    asyncio.run(drive(bus, depeg(), speed=1_000.0))
    for agent, commits in bus.commits.items():
        name = agent.partition("/")[0]
        for commit in commits:
            bodies = [("commands", commit.command.name, commit.command.body)]
            bodies += [("events", event.name, event.body) for event in commit.events]
            for kind, message, body in bodies:
                key = (name, kind, message)
                if key not in found or len(str(body)) < len(str(found[key])):
                    found[key] = body
    return found


def example(node: inspect.Type) -> Any:
    """A plain value of a message's type."""
    match node:
        case inspect.StructType(fields=fields, array_like=True):
            return [example(field.type) for field in fields]
        case inspect.StructType(fields=fields):
            return {field.encode_name: example(field.type) for field in fields}
        case inspect.IntType(ge=ge, gt=gt):
            return max(ge or 0, (gt or 0) + 1)
        case inspect.StrType(pattern=pattern):
            return "abc" if re.search(pattern or "", "abc") else "aegis/main 1"
        case inspect.BoolType():
            return True
        case inspect.LiteralType(values=values):
            return values[0]
        case inspect.VarTupleType(item_type=item):
            return [example(item)]
        case inspect.TupleType(item_types=items):
            return [example(item) for item in items]
        case inspect.DictType(key_type=key, value_type=value):
            return {example(key): example(value)}
        case inspect.UnionType(types=types):
            return example(types[0])
    raise AssertionError(f"no example of {node!r} is known")


def main() -> None:
    """Write the samples that are missing."""
    samples, stored = load(), from_the_night()
    for agent_type in SATELLITES:
        for kind in KINDS:
            table = samples.setdefault(agent_type.name, {}).setdefault(kind, {})
            for name, handler in sorted(handlers(agent_type, kind).items()):
                message = handler.message
                body = stored.get((agent_type.name, kind, name))
                if body is None:
                    body = example(inspect.type_info(message.cls))
                body = msgspec.to_builtins(message.convert(body, message.version))
                table.setdefault(f"{name}.{message.version}", body)
    PATH.write_text(json.dumps(samples, indent=1, sort_keys=True) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
