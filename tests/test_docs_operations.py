"""Each alarm that a host can raise stands in the page for operators, with what to do."""

import ast
from collections.abc import Iterator
from pathlib import Path

from tests.tools import tree

PAGE = (tree.ROOT / "docs/operations.md").read_text(encoding="utf-8")
RAISED_BY = ("alarm", "alarm_once")


def alarms(source: str) -> Iterator[str]:
    """The texts that are given to an alarm, or to a function that hands its first on to one."""
    parsed = ast.parse(source)
    passed_on = {
        function.name
        for function in ast.walk(parsed)
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
        and function.name not in RAISED_BY
        for call in ast.walk(function)
        if _called(call) in RAISED_BY and _is_its_first(function, call)
    }
    for call in ast.walk(parsed):
        if _called(call) in (*RAISED_BY, *passed_on) and isinstance(call, ast.Call) and call.args:
            first = call.args[0]
            if isinstance(first, ast.Constant) and isinstance(first.value, str):
                yield first.value


def _called(node: ast.AST) -> str:
    if not isinstance(node, ast.Call):
        return ""
    function = node.func
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def _is_its_first(function: ast.FunctionDef | ast.AsyncFunctionDef, call: ast.AST) -> bool:
    names = [argument.arg for argument in function.args.args if argument.arg != "self"]
    first = call.args[0] if isinstance(call, ast.Call) and call.args else None
    return bool(names) and isinstance(first, ast.Name) and first.id == names[0]


def sources() -> Iterator[Path]:
    for root in ("agents", "streams", "projections"):
        yield from sorted((tree.ROOT / root / "moonlet").rglob("*.py"))


def test_each_alarm_is_on_the_page() -> None:
    found = {alarm for path in sources() for alarm in alarms(path.read_text(encoding="utf-8"))}
    assert len(found) >= 20
    assert not [alarm for alarm in sorted(found) if f"`{alarm}`" not in PAGE]


def test_an_alarm_that_is_handed_on_would_be_seen() -> None:
    source = """
def told(what, agent):
    services.alarm_once(what, agent)

async def look():
    await told("a is b", agent)
    services.alarm("c is d", agent=agent)
"""
    assert sorted(alarms(source)) == ["a is b", "c is d"]


WRITES = ("warning", "error", "exception")


def test_each_warning_and_error_is_on_the_page() -> None:
    found = {
        call.args[0].value
        for root in ("agents", "streams", "projections", "console", "telemetry")
        for path in sorted((tree.ROOT / root / "moonlet").rglob("*.py"))
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(call, ast.Call) and _called(call) in WRITES and call.args
        if isinstance(call.args[0], ast.Constant) and isinstance(call.args[0].value, str)
        if isinstance(call.func, ast.Attribute) and isinstance(call.func.value, ast.Name)
        if call.func.value.id == "log"
    }
    assert len(found) >= 40
    assert not [line for line in sorted(found) if f"`{line}`" not in PAGE]
