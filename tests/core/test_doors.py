"""Doors that open late: each name is where it says, and no room of that name hides it."""

import importlib
import pkgutil
import subprocess
import sys
from types import ModuleType

import pytest

from tests.tools import tree

LATE = [name for name, path in tree.packages().items() if "_late(__name__)" in tree.read(path)]


def test_some_doors_open_late() -> None:
    assert {"moonlet.projections", "moonlet.replay", "moonlet.console.replay"} <= set(LATE)


@pytest.mark.parametrize("door", LATE)
def test_each_name_is_found_whatever_was_imported_before(door: str) -> None:
    module = importlib.import_module(door)
    rooms = [each.name for each in pkgutil.iter_modules(module.__path__)]
    for room in rooms:
        importlib.import_module(f"{door}.{room}")
    for name in module.__all__:
        assert not isinstance(getattr(module, name), ModuleType) or name in rooms, name
    with pytest.raises(AttributeError, match=f"module '{door}' has no attribute 'nothing'"):
        module.nothing  # noqa: B018
    with pytest.raises(AttributeError):
        module.__nothing__  # noqa: B018


def test_what_nobody_asked_for_is_not_imported() -> None:
    code = (
        "import sys; from moonlet.projections import Observed;"
        " print([n for n in sys.modules if n.startswith('moonlet.projections.')"
        " and n.split('.')[2] != 'values'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
