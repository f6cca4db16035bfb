"""Finding code: dotted names, files, names in them, the project file, the satellites."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from moonlet.console.common import find
from moonlet.core.errors import InvalidAgentType, InvalidSettings
from tests.console.support import BANK


@pytest.fixture(autouse=True)
def clean_imports(folder: Path) -> Iterator[None]:
    """Modules and paths as they were: each test has a `bank` of its own."""
    modules, path = set(sys.modules), list(sys.path)
    yield
    for name in set(sys.modules) - modules:
        del sys.modules[name]
    sys.path[:] = path


def test_a_module_gives_every_agent_type_in_it() -> None:
    assert list(find(["bank"])) == ["account"]


def test_a_file_is_found_by_its_path(folder: Path) -> None:
    (folder / "deep").mkdir()
    (folder / "deep" / "other.py").write_text(BANK.replace('"account"', '"deposit"'))
    assert list(find(["deep/other.py", "bank.py"])) == ["deposit", "account"]


def test_a_file_that_is_named_like_a_module_of_the_library_replaces_none(folder: Path) -> None:
    (folder / "json.py").write_text(BANK)
    assert list(find(["json.py"])) == ["account"]
    assert hasattr(sys.modules["json"], "dumps")


def test_a_file_may_import_what_stands_beside_it(folder: Path) -> None:
    (folder / "deep").mkdir()
    (folder / "deep" / "beside.py").write_text(BANK)
    (folder / "deep" / "main.py").write_text("from beside import account\n")
    assert list(find(["deep/main.py"])) == ["account"]


def test_a_name_picks_one_or_a_list_of_them(folder: Path) -> None:
    more = BANK + '\nsavings = AgentType("savings", Account)\nall = (account, savings)\n'
    (folder / "more.py").write_text(more)
    assert list(find(["more:savings"])) == ["savings"]
    assert list(find(["more:all"])) == ["account", "savings"]


def test_the_project_file_names_the_modules(folder: Path) -> None:
    (folder / "pyproject.toml").write_text('[tool.moonlet]\nmodules = ["bank:account"]\n')
    assert list(find(None)) == ["account"]


def test_without_any_word_it_is_the_satellites() -> None:
    assert len(find(None)) == 8


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("nowhere", "no module 'nowhere'"),
        ("bank.nowhere", "no module 'bank.nowhere'"),
        ("nowhere.py", "no file nowhere.py"),
        ("bank:savings", "no agent type 'savings' and no such view; it has: account"),
        ("bank:Deposit", "no agent type 'Deposit'"),
        ("math", "math has no agent type"),
        ("", "can't be imported"),
        ("broken", "ZeroDivisionError: division by zero (.*broken.py:2)"),
        ("ends", "SystemExit"),
        ("hollow", "No module named 'gone'"),
    ],
)
def test_what_is_not_there_is_said(folder: Path, given: str, words: str) -> None:
    (folder / "broken.py").write_text("x = 1\nx / 0\n")
    (folder / "ends.py").write_text("raise SystemExit(3)\n")
    (folder / "hollow.py").write_text("import gone\n")
    with pytest.raises(InvalidSettings, match=words.replace("(", r"\(").replace(")", r"\)")):
        find([given])


def test_two_types_of_one_name_are_refused(folder: Path) -> None:
    (folder / "twin.py").write_text(BANK)
    with pytest.raises(InvalidSettings, match="a second agent type account"):
        find(["bank", "twin"])


def test_a_type_is_checked(folder: Path) -> None:
    (folder / "faulty.py").write_text(BANK + "\nasync def f(s: Account, c: Deposit): ...\n"
                                             "account.on_command(f)\n")  # fmt: skip
    with pytest.raises(InvalidAgentType, match="can't be `async def`"):
        find(["faulty"])


@pytest.mark.parametrize("text", ["[tool.moonlet]\nmodules = 5\n", "[tool", "tool = 5\n"])
def test_a_project_file_that_can_t_be_read_is_named(folder: Path, text: str) -> None:
    (folder / "pyproject.toml").write_text(text)
    with pytest.raises(InvalidSettings, match=r"pyproject\.toml"):
        find(None)
