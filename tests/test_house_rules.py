"""The house rules of CONTRIBUTING.md that no linter knows, held on every tracked file."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from tests.tools import tree

MODULE_LINES_MAX = 500
FUNCTION_LINES_MAX = 70
SLEEP_SECONDS_MAX = 0.2
SLEEP_MARK = "# sleeps:"
THIS = Path("tests/test_house_rules.py")

Function = ast.FunctionDef | ast.AsyncFunctionDef

LATER = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")
MACHINE_PATH = re.compile(r"(?<![\w.])/(work|farm|home/\w+|Users/\w+|root)/")
SKIP = re.compile(r"\b(skip|skipif|xfail|importorskip)\(")
REGISTRY = re.compile(
    r"pypi\.org/(simple|packages)|pythonhosted\.org|registry\.npmjs|registry\.yarnpkg"
    r"|--(extra-)?index-url|--find-links|^index-url",
    re.MULTILINE,
)
LOCK_FILES = {
    "uv.lock",
    "poetry.lock",
    "pdm.lock",
    "Pipfile.lock",
    "package-lock.json",
    "yarn.lock",
    "pnpm-lock.yaml",
    "pip.conf",
    ".npmrc",
}


def functions(module: ast.Module) -> Iterator[Function]:
    """Every function and method, nested ones too."""
    return (node for node in ast.walk(module) if isinstance(node, Function))


def line_count(function: Function) -> int:
    """Lines from `def` to the end, docstring apart."""
    assert function.end_lineno is not None
    docstring = function.body[0] if ast.get_docstring(function) is not None else None
    spoken = 0
    if docstring is not None and docstring.end_lineno is not None:
        spoken = docstring.end_lineno - docstring.lineno + 1
    return function.end_lineno - function.lineno + 1 - spoken


def guesses(text: str) -> list[int]:
    """Lines of real sleeps: any `time.sleep`, an `asyncio.sleep` of 0.2 s or more.

    Not one whose line says why (`# sleeps: …`), none in a `@simulate` test, where time is virtual.
    """
    module = ast.parse(text)
    lines = text.splitlines()
    virtual = {
        id(node)
        for function in functions(module)
        if any("simulate" in ast.unparse(decorator) for decorator in function.decorator_list)
        for node in ast.walk(function)
    }
    found = []
    for node in ast.walk(module):
        if not isinstance(node, ast.Call) or id(node) in virtual:
            continue
        call = ast.unparse(node.func)
        seconds = node.args[0] if node.args else None
        long = (
            isinstance(seconds, ast.Constant)
            and isinstance(seconds.value, int | float)
            and seconds.value >= SLEEP_SECONDS_MAX
        )
        guess = call == "time.sleep" or (call == "asyncio.sleep" and long)
        if guess and SLEEP_MARK not in lines[node.lineno - 1]:
            found.append(node.lineno)
    return sorted(found)


def text_files() -> Iterator[tuple[Path, str]]:
    """Every tracked file that is text, this module apart: it must spell what it forbids."""
    for path in tree.tracked():
        data = (tree.ROOT / path).read_bytes()
        if path != THIS and b"\0" not in data:
            yield path, data.decode("utf-8")


def matches(pattern: re.Pattern[str], text: str) -> list[int]:
    """Lines (1, 2 …) on which the pattern begins."""
    return [text.count("\n", 0, match.start()) + 1 for match in pattern.finditer(text)]


def test_no_module_is_longer_than_500_lines() -> None:
    lengths = {path: tree.read(path).count("\n") for path in tree.tracked_with(".py")}
    assert {path: n for path, n in lengths.items() if n > MODULE_LINES_MAX} == {}


def test_no_function_is_longer_than_a_screen() -> None:
    long = [
        f"{path}:{function.lineno} {function.name}: {line_count(function)} lines"
        for path in tree.tracked_with(".py")
        for function in functions(ast.parse(tree.read(path)))
        if line_count(function) > FUNCTION_LINES_MAX
    ]
    assert long == []


def test_nothing_is_left_for_later() -> None:
    assert [
        f"{path}:{line}"
        for path, text in text_files()
        if path.suffix != ".md"
        for line in matches(LATER, text)
    ] == []


def test_no_file_names_a_machine_or_a_package_registry() -> None:
    assert [
        f"{path}:{line}"
        for path, text in text_files()
        for pattern in (MACHINE_PATH, REGISTRY)
        for line in matches(pattern, text)
    ] == []


def test_there_is_no_lock_file() -> None:
    assert [str(path) for path in tree.tracked() if path.name in LOCK_FILES] == []


def test_no_test_sleeps_for_a_guess() -> None:
    assert [
        f"{path}:{line}"
        for path in tree.tracked_with(".py")
        if path.parts[0] == "tests" and path.parts[1] != "simulations"  # there time is virtual
        for line in guesses(tree.read(path))
    ] == []


def test_no_contract_is_skipped() -> None:
    assert [
        f"{path}:{line}"
        for path in tree.tracked_with(".py")
        if path.parts[:2] == ("tests", "contracts")
        for line in matches(SKIP, tree.read(path))
    ] == []


def test_every_rule_would_see_its_fault() -> None:
    body = "\n".join("    x = 1" for _ in range(80))
    spoken = '    """\n' + "\n" * 80 + '    """\n'
    long, talkative = ast.parse(f"def f():\n{body}\ndef g():\n{spoken}    return 1\n").body
    assert isinstance(long, ast.FunctionDef)
    assert isinstance(talkative, ast.FunctionDef)
    assert (line_count(long), line_count(talkative)) == (81, 2)
    assert guesses("time.sleep(0.01)\nawait_ = asyncio.sleep(1)\nasyncio.sleep(0.05)\n") == [1, 2]
    assert guesses("time.sleep(1)  # sleeps: the clock itself is tested\n") == []
    assert guesses("@simulate(seeds=2)\nasync def test_a(world):\n    asyncio.sleep(9)\n") == []
    assert matches(MACHINE_PATH, "a\n/work/main/x and work/y") == [2]
    assert matches(REGISTRY, "x\ny https://files.pythonhosted.org/packages/z\n") == [2]
    assert matches(SKIP, "skipped()\npytest.skip('no server')\n") == [2]
    assert matches(LATER, "one\n# TODO later\nTODOS\n") == [2]
