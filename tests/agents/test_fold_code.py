"""A snapshot is of the code that folded it: whatever that code reaches tells it apart."""

import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from moonlet.agents import AgentType

BASE = '''
import dataclasses, functools, math, enum, decimal
import msgspec
import pydantic
from moonlet.agents import AgentType
RATE = 3
TABLE = {"a": [1, 2], "b": {"c": frozenset({"x", "y", "z"})}}
class Mode(enum.Enum):
    UP = 1
class Rules:
    limit = 10
    def __init__(self, factor): self.factor = factor
    def of(self, n): return n * self.factor
RULES = Rules(2)
def helper(n):
    """Of the helper."""
    def inner(m): return m + 1
    return deeper(inner(n))
def deeper(n): return n * RATE
def shout(function):
    @functools.wraps(function)
    def wrapped(*args): return function(*args)
    return wrapped
DISPATCH = {"up": lambda n: n + 1}
HALF = functools.partial(pow, 2)
class Leg(msgspec.Struct, frozen=True):
    n: int = 0
    def worth(self): return self.n * 2
class State(msgspec.Struct, frozen=True):
    total: int = 0
    leg: Leg = Leg()
    def plus(self, n): return msgspec.structs.replace(self, total=self.total + n)
    @property
    def double(self): return self.total * 2
class Added(msgspec.Struct, frozen=True):
    n: int
    @classmethod
    def one(cls): return cls(1)
made = AgentType("made", State)
@made.on_event
@shout
def added(state: State, event: Added) -> State:
    if event.n in {"p", "q", "r"}: return state
    return state.plus(helper(event.n) + RULES.of(1) + TABLE["a"][0] + DISPATCH["up"](1) + HALF(1))
'''

CHANGES = {
    "a constant": ("RATE = 3", "RATE = 4"),
    "a table": ("[1, 2]", "[1, 3]"),
    "a set in a table": ('"x", "y"', '"x", "w"'),
    "a helper of a helper": ("return n * RATE", "return n * RATE + 1"),
    "a function in a helper": ("return m + 1", "return m + 2"),
    "a method of the state": ("self.total + n)", "self.total - n)"),
    "a property of the state": ("return self.total * 2", "return self.total * 3"),
    "a method of what the state holds": ("return self.n * 2", "return self.n * 3"),
    "a default of what the state holds": ("n: int = 0", "n: int = 1"),
    "a method of an event": ("return cls(1)", "return cls(2)"),
    "an object of rules": ("RULES = Rules(2)", "RULES = Rules(3)"),
    "a method of these rules": ("n * self.factor", "n + self.factor"),
    "a constant of their class": ("limit = 10", "limit = 11"),
    "a function in a table": ("lambda n: n + 1", "lambda n: n + 2"),
    "a part of a function": ("functools.partial(pow, 2)", "functools.partial(pow, 3)"),
    "a decorator": ("return function(*args)", "return function(*args[::1])"),
    "the handler": ('TABLE["a"][0]', 'TABLE["a"][1]'),
    "a set in the handler": ('"p", "q"', '"p", "s"'),
}
SAME = {
    "a comment": ("RATE = 3", "RATE = 3  # per day"),
    "what nobody reaches": ("class Mode", "UNUSED = 7\nclass Mode"),
}


def code_of(source: str, name: str = "made_for_test") -> str:
    module = ModuleType(name)
    sys.modules[name] = module
    try:
        exec(compile(source, f"{name}.py", "exec"), vars(module))
        made: AgentType[Any] = module.made
        made.check()
        return made.state_code()
    finally:
        del sys.modules[name]


@pytest.mark.parametrize("what", CHANGES)
def test_a_change_of_what_folding_reaches_sets_snapshots_aside(what: str) -> None:
    old, new = CHANGES[what]
    assert BASE.count(old) == 1, what
    assert code_of(BASE.replace(old, new)) != code_of(BASE)


@pytest.mark.parametrize("what", SAME)
def test_what_folding_does_not_hang_on_changes_nothing(what: str) -> None:
    old, new = SAME[what]
    assert code_of(BASE.replace(old, new)) == code_of(BASE)


def test_the_module_may_have_another_name_as_a_script_has() -> None:
    assert code_of(BASE, "made_elsewhere") == code_of(BASE)


def test_a_raised_fold_version_sets_snapshots_aside() -> None:
    raised = BASE.replace('AgentType("made", State)', 'AgentType("made", State, fold_version=2)')
    assert code_of(raised) != code_of(BASE)


def test_helpers_in_other_modules_are_followed_also_when_imported_late(tmp_path: Path) -> None:
    handler = BASE.replace(
        "    return state.plus(helper(event.n)",
        "    from late_prices import RATES\n"
        "    return state.plus(prices.deep.cost(event.n) + RATES[0] + helper(event.n)",
    ).replace("import msgspec\n", "import msgspec\nimport prices\n", 1)
    files = {
        "prices/__init__.py": "from . import deep\n",
        "prices/deep.py": "def cost(n): return n * 2\n",
        "late_prices.py": "RATES = [1]\n",
    }
    changed = {
        "prices/deep.py": "def cost(n): return n * 3\n",
        "late_prices.py": "RATES = [2]\n",
    }

    def code(files: dict[str, str]) -> str:
        for file, text in {**files, "app.py": handler}.items():
            path = tmp_path / file
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
        return of_process(tmp_path, "0")

    first = code(files)
    for file, text in changed.items():
        assert code({**files, file: text}) != first, file
    assert code(files) == first


def test_the_code_is_the_same_in_every_process(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(BASE)
    assert len({of_process(tmp_path, seed) for seed in ("1", "2", "3")}) == 1


def of_process(folder: Path, hash_seed: str) -> str:
    """The code of `app.made` in a fresh process."""
    show = "import app; app.made.check(); print(app.made.state_code())"
    env = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONDONTWRITEBYTECODE": "1"}
    ran = subprocess.run(
        [sys.executable, "-c", show],
        cwd=folder,
        env=env,
        capture_output=True,
        text=True,
        check=True,
    )
    return ran.stdout
