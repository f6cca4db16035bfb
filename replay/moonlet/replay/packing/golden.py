"""A pytest file that holds what was found in a bundle: the code decides as it did, the state is."""

from collections.abc import Sequence
from math import isfinite
from pathlib import Path
from typing import Any

from moonlet.replay.points import Point

TEST = '''"""Made by `moonlet bundle test`: what was recorded must come out again."""

{imports}

HISTORY = Path(__file__).with_name({file!r})
TYPES = {{made.name: made for made in ({types},)}}


def test_every_command_is_decided_as_it_was() -> None:
    assert_replays(HISTORY, *TYPES.values())
'''

IMPORTS = """from pathlib import Path

{own}

from moonlet.replay import assert_replays"""

IMPORTS_WITH_STATES = """import asyncio
from pathlib import Path
from typing import Any

import pytest
{own}

from moonlet.core.ids import AgentId
from moonlet.replay import BundleSource, assert_replays, changes, fold_at, plain_state
from moonlet.simulations.bundle import read_bundle"""

STATES = """

FOUND: list[tuple[str, int, Any]] = [
{found}]


@pytest.mark.parametrize(("agent", "revision", "state"), FOUND)
def test_a_state_is_as_it_was_found(agent: str, revision: int, state: Any) -> None:
    id = AgentId.parse(agent)
    source = BundleSource(read_bundle(HISTORY)[0], HISTORY.name)
    fold = asyncio.run(fold_at(source, TYPES[id.type], id, revision))
    assert changes(state, plain_state(fold.state)) == []
"""


def golden_test(
    file: Path, places: Sequence[tuple[str, str]], found: Sequence[tuple[Point, Any]]
) -> str:
    """The text of a test file, to stand beside the bundle.

    `places` are the modules and the names of agent types in them, `found` points with their states
    as plain data.
    """
    # Modules are imported as such: two of them may give their types the same name.
    own = "\n".join(f"import {module}" for module in sorted({module for module, _ in places}))
    types = ", ".join(f"{module}.{name}" for module, name in sorted(places))
    imports = IMPORTS_WITH_STATES if found else IMPORTS
    text = TEST.format(imports=imports.format(own=own), file=file.name, types=types)
    if found:
        lines = (
            f"    ({str(point.agent)!r}, {point.revision}, {_literal(state)}),\n"
            for point, state in found
        )
        text += STATES.format(found="".join(lines))
    return text


def _literal(value: Any) -> str:
    """Plain data as Python writes it, so nothing of it is code; floats that have no literal too."""
    if type(value) is dict:
        return "{" + ", ".join(f"{key!r}: {_literal(each)}" for key, each in value.items()) + "}"
    if type(value) is list:
        return "[" + ", ".join(map(_literal, value)) + "]"
    if type(value) is float and not isfinite(value):
        return f'float("{value}")'
    return repr(value)
