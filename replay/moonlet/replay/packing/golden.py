"""A pytest file that holds what was found in a bundle: the code decides as it did, the state is."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from moonlet.replay.points import Point

TEST = '''"""Made by `moonlet bundle test`: what was recorded must come out again."""

import asyncio
from pathlib import Path

{imports}

from moonlet.core.ids import AgentId
from moonlet.replay import BundleSource, assert_replays, fold_at, plain_state
from moonlet.simulations.bundle import read_bundle

HISTORY = Path(__file__).with_name({file!r})
TYPES = {{made.name: made for made in ({types},)}}


def test_every_command_is_decided_as_it_was() -> None:
    assert_replays(HISTORY, *TYPES.values())
'''

STATE = """

def test_{name}_is_as_it_was_found() -> None:
    agent = AgentId("{type}", "{key}")
    source = BundleSource(read_bundle(HISTORY)[0], HISTORY.name)
    fold = asyncio.run(fold_at(source, TYPES["{type}"], agent, {revision}))
    assert plain_state(fold.state) == {state}
"""


def golden_test(
    file: Path, places: Sequence[tuple[str, str]], found: Sequence[tuple[Point, Any]]
) -> str:
    """The text of a test file, to stand beside the bundle.

    `places` are the modules and the names of agent types in them, `found` points with their states
    as plain data.
    """
    imports = "\n".join(f"from {module} import {name}" for module, name in sorted(places))
    types = ", ".join(name for _, name in sorted(places))
    text = TEST.format(file=file.name, imports=imports, types=types)
    for point, state in found:
        agent = point.agent
        plain = "".join(char if char.isalnum() else "_" for char in f"{agent}_{point.revision}")
        text += STATE.format(
            name=plain.lower(),
            type=agent.type,
            key=agent.key,
            revision=point.revision,
            state=_literal(state),
        )
    return text


def _literal(state: Any) -> str:
    """Plain data as Python writes it: what JSON can say, so nothing of it is code."""
    return repr(json.loads(json.dumps(state)))
