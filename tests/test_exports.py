"""Public names: what a package's sorted `__all__` says, no more and no less."""

import ast
import importlib
import re
import tomllib
from pathlib import Path

import pytest

from tests.tools import tree

PACKAGES = tree.packages()
LAYERS = {"moonlet.core", "moonlet.streams", "moonlet.agents", "moonlet.projections"}
UPPER = {("agents", "moonlet", "agents"), ("projections", "moonlet", "projections")}
# Words that DESIGN's vocabulary replaced: agent, partition, parked, view.
STRANGE_WORDS = ("actor", "aggregate", "shard", "deadletter", "dead_letter", "readmodel")


def bound_names(module: ast.Module) -> set[str]:
    """What an `__init__` defines or takes from moonlet's modules, private names apart."""
    names: set[str] = set()
    late = [node.body for node in module.body if isinstance(node, ast.If)]
    for node in [*module.body, *(each for body in late for each in body)]:
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("moonlet."):
            names |= {alias.asname or alias.name for alias in node.names}
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names |= {target.id for target in targets if isinstance(target, ast.Name)}
    return {name for name in names if not name.startswith("_")}


def house_order(name: str) -> tuple[int, list[tuple[int, str]]]:
    """CONSTANTS, then Classes, then functions, numbers by value: ruff's own order (RUF022)."""
    kind = 0 if name.isupper() and len(name) > 1 else 1 if name[0].isupper() else 2
    parts = re.split(r"(\d+)", name)
    return kind, [(int(part), "") if part.isdigit() else (-1, part) for part in parts]


@pytest.mark.parametrize("package", PACKAGES)
def test_all_is_sorted_and_names_exactly_what_the_package_offers(package: str) -> None:
    exported = list(importlib.import_module(package).__all__)
    assert exported == sorted(exported, key=house_order)
    assert set(exported) == bound_names(ast.parse(tree.read(PACKAGES[package])))
    assert len(exported) == len(set(exported))


@pytest.mark.parametrize("package", PACKAGES)
def test_every_public_name_is_there_and_uses_the_words_of_the_design(package: str) -> None:
    module = importlib.import_module(package)
    for name in module.__all__:
        assert hasattr(module, name), f"{package}.{name}"
        assert not any(word in name.lower() for word in STRANGE_WORDS), f"{package}.{name}"


@pytest.mark.parametrize("package", sorted(LAYERS & set(PACKAGES)))
def test_every_public_error_hangs_on_the_one_tree(package: str) -> None:
    base = importlib.import_module("moonlet.core.errors").MoonletError
    module = importlib.import_module(package)
    for name in module.__all__:
        value = getattr(module, name)
        if isinstance(value, type) and issubclass(value, BaseException):
            assert issubclass(value, base), f"{package}.{name} is no MoonletError"


def test_each_source_root_holds_its_package_and_moonlet_itself_is_a_namespace() -> None:
    files = set(tree.tracked())
    for root in tree.SOURCE_ROOTS:
        assert Path(root, "moonlet", root, "__init__.py") in files
        assert Path(root, "moonlet", "__init__.py") not in files
        assert Path(root, "__init__.py") not in files


def test_every_package_is_typed_and_known_to_the_layer_checks() -> None:
    files = set(tree.tracked())
    settings = tomllib.loads(tree.read(Path("pyproject.toml")))["tool"]["importlinter"]
    tops = {name: path for name, path in PACKAGES.items() if name.count(".") == 1}
    assert [
        str(path.parent) for path in tops.values() if path.parent / "py.typed" not in files
    ] == []
    assert sorted(settings["root_packages"]) == sorted(tops)
    layered = re.findall(r"moonlet\.\w+", " ".join(settings["contracts"][0]["layers"]))
    assert sorted(layered) == sorted(tops)


def inner_imports(text: str, layer: str) -> list[str]:
    """Modules inside `layer` (`moonlet.streams`) that a source reaches past its `__init__`."""
    imports = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.ImportFrom)]
    plain = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Import)]
    names = [node.module or "" for node in imports]
    names += [alias.name for node in plain for alias in node.names]
    return [name for name in names if name.startswith(layer + ".")]


def test_agents_and_projections_take_from_streams_only_what_it_offers() -> None:
    assert [
        f"{path}: {name}"
        for path in tree.tracked_with(".py")
        if path.parts[:3] in UPPER
        for name in inner_imports(tree.read(path), "moonlet.streams")
    ] == []
    assert inner_imports("from moonlet.streams.api import Pull\n", "moonlet.streams")
    assert not inner_imports("from moonlet.streams import Pull\n", "moonlet.streams")


def test_an_unlisted_import_and_a_wrong_order_would_be_seen() -> None:
    module = ast.parse(
        "from moonlet.a import b as c, D\nfrom typing import Any\n_f = 1\ng: int = 2\ndef h(): 0\n"
    )
    assert bound_names(module) == {"c", "D", "g", "h"}
    assert sorted(["zip", "P10", "P2", "Host", "MAX"], key=house_order) == [
        "MAX", "P2", "P10", "Host", "zip"
    ]  # fmt: skip
