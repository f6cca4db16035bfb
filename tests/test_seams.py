"""Who may speak to the server: above `streams` nobody calls JetStream or reads its codes."""

import ast
from pathlib import Path

import pytest

from moonlet.streams import codes
from tests.tools import tree

PLAYS_THE_SERVER = ("jetstream", "world", "network", "chronicle")
"""Rooms of the simulation that are the server, or do to it what happens to one."""

CALLS = {
    "consumer_names",
    "create_consumer",
    "create_stream",
    "delete_consumer",
    "open_pull",
    "publish_batch",
    "purge_stream",
    "read_batch",
    "replica_message",
    "stream_info",
    "stream_subjects",
    "update_stream",
}
"""What only `streams` calls of `moonlet.streams.api`; `post` or `message` are others' names too."""

SETTINGS = {"ack_policy", "deliver_policy", "durable_name", "filter_subject", "filter_subjects"}
NUMBERS = frozenset(
    number
    for value in vars(codes).values()
    for number in (value if isinstance(value, frozenset) else [value])
    if isinstance(number, int)
)


def above() -> list[Path]:
    """The product's modules above `streams`, but those that play the server."""
    found = []
    for path in tree.tracked_with(".py"):
        root = path.parts[0]
        plays = root == "simulations" and path.parts[3] in PLAYS_THE_SERVER
        if root in tree.SOURCE_ROOTS and root not in ("core", "streams", "telemetry") and not plays:
            found.append(path)
    return found


def trespasses(source: str) -> list[str]:
    """What a module does that only `streams` may do."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Attribute) and node.attr in {"_js", "js", "err_code"}:
            found.append(f"{node.lineno}: .{node.attr}")
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            if node.func.attr in CALLS:
                found.append(f"{node.lineno}: {node.func.attr}(...)")
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            if node.value in SETTINGS or node.value.startswith("$JS."):
                found.append(f"{node.lineno}: {node.value!r}")
        elif isinstance(node, ast.Constant) and node.value in NUMBERS:
            found.append(f"{node.lineno}: {node.value}")
        elif isinstance(node, ast.ImportFrom) and node.module in INSIDE:
            found.append(f"{node.lineno}: from {node.module}")
    return found


INSIDE = {"moonlet.streams.api", "moonlet.streams.codes", "moonlet.streams.bus"}


def test_above_streams_nobody_speaks_to_the_server() -> None:
    found = {str(path): trespasses(tree.read(path)) for path in above()}
    assert len(found) > 150, "the places are looked for where there is something"
    assert {path: lines for path, lines in found.items() if lines} == {}


@pytest.mark.parametrize(
    "source",
    [
        "bus._js.post('a')",
        "info = await client.bus.js.stream_info(name)",
        "await door.create_consumer(stream, {})",
        "config = {'ack_policy': 'none'}",
        "if error.err_code == MISSING: pass",
        "MISSING = 10059",
        "await bus.request('$JS.API.INFO', b'', timeout=1)",
        "from moonlet.streams.api import Delivery",
    ],
)
def test_a_trespass_is_seen(source: str) -> None:
    assert trespasses(source) != []


def test_codes_stand_in_one_module() -> None:
    found = {}
    for path in tree.tracked_with(".py"):
        if path.parts[0] == "streams" and path.name != "codes.py":
            numbers = [
                node.value
                for node in ast.walk(ast.parse(tree.read(path)))
                if isinstance(node, ast.Constant) and node.value in NUMBERS
            ]
            if numbers:
                found[str(path)] = numbers
    assert found == {}
