"""The record of a real server fails the model as soon as one of its rules is broken."""

import importlib
import importlib.abc
import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from moonlet.simulations import jetstream
from tests.simulations.jetstream.mutants import MUTANTS, Mutant
from tests.simulations.jetstream.recorded import first_difference, load

PACKAGE = "moonlet.simulations.jetstream"
FOLDER = Path(jetstream.__file__).parent
RUNS = load()


@pytest.fixture
def fresh_modules() -> Iterator[None]:
    """The model's modules are imported anew, and the old ones are back afterwards."""
    mine = (PACKAGE, "tests.simulations.jetstream.targets")
    kept = {name: sys.modules.pop(name) for name in list(sys.modules) if name.startswith(mine)}
    yield
    for name in [name for name in sys.modules if name.startswith(mine)]:
        del sys.modules[name]
    sys.modules.update(kept)


def test_the_model_does_what_is_on_record() -> None:
    assert first_difference(RUNS) is None


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.rule.replace(" ", "-"))
def test_a_broken_rule_is_seen(mutant: Mutant, fresh_modules: None) -> None:
    path = FOLDER / f"{mutant.module.replace('.', '/')}.py"
    source = path.read_text(encoding="utf-8")
    assert source.count(mutant.old) == 1, f"{path.name} has changed: adapt the mutant"
    _plant(mutant.module, source.replace(mutant.old, mutant.new), path)
    assert first_difference(RUNS) is not None


def _plant(module: str, source: str, path: Path) -> None:
    """Import the package with `source` in place of one of its modules."""
    finder = _Finder(f"{PACKAGE}.{module}", source, path)
    sys.meta_path.insert(0, finder)
    try:
        importlib.import_module(f"{PACKAGE}.model.broker")
    finally:
        sys.meta_path.remove(finder)


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds one module, whose source is given."""

    def __init__(self, name: str, source: str, path: Path) -> None:
        self._name = name
        self._source = source
        self._path = path

    def find_spec(self, name, path, target=None):  # type: ignore[no-untyped-def]
        """See `importlib.abc.MetaPathFinder`."""
        return importlib.util.spec_from_loader(name, self) if name == self._name else None

    def exec_module(self, module):  # type: ignore[no-untyped-def]
        """See `importlib.abc.Loader`."""
        exec(compile(self._source, str(self._path), "exec"), module.__dict__)
