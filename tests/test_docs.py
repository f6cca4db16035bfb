"""The pages: links lead somewhere, what they name exists, decisions are numbered, code is code."""

import ast
import re
from pathlib import Path
from typing import Any

import pytest

from tests.tools import markdown, markdown_types, tree
from tests.tools.markdown import Page

PAGES = markdown.pages()
ADR = Path("docs/adr")
every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.path))


def broken_links(page: Page, pages: tuple[Page, ...], files: frozenset[Path]) -> list[str]:
    """Each relative link of `page` that leads to no tracked file, folder or heading."""
    folders = {parent for file in files for parent in file.parents}
    anchors = {other.path: other.anchors for other in pages}
    wrong = []
    for link in page.links:
        if re.match(r"[a-z][a-z+.-]*:", link.target):
            continue
        name, _, anchor = link.target.partition("#")
        target = _resolved(page.path.parent / name) if name else page.path
        if target not in files and target not in folders:
            wrong.append(f"{page.path}:{link.line}: {link.target}: no such file or folder")
        elif anchor and anchor not in anchors.get(target, frozenset()):
            wrong.append(f"{page.path}:{link.line}: {link.target}: no such heading")
    return wrong


def missing_names(page: Page, files: frozenset[Path]) -> list[str]:
    """Each `folder/file.py` or `folder/file.py::name` in the page that does not exist.

    A path in inline code is read from the root; others than those of the root's folders are left.
    """
    roots = {file.parts[0] for file in files if len(file.parts) > 1}
    wrong = []
    for span, line in page.spans:
        match = re.fullmatch(
            r"((?:[\w.-]+/)+[\w.-]+\.(?:py|md|toml|json|csv|yml))(?:::(\w+))?", span
        )
        if match is None or Path(match[1]).parts[0] not in roots:
            continue
        path = Path(match[1])
        if path not in files:
            wrong.append(f"{page.path}:{line}: {path}: no such file")
        elif match[2] and match[2] not in defined_names(path):
            wrong.append(f"{page.path}:{line}: {path} defines no {match[2]}")
    return wrong


def defined_names(path: Path) -> set[str]:
    """Names of all functions and classes in a module, nested ones too."""
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    return {node.name for node in ast.walk(ast.parse(tree.read(path))) if isinstance(node, kinds)}


def _resolved(path: Path) -> Path:
    parts: list[str] = []
    for part in path.parts:
        if part == ".." and parts:
            parts.pop()
        elif part != ".":
            parts.append(part)
    return Path(*parts)


@every_page
def test_every_link_leads_to_a_file_or_a_heading(page: Page) -> None:
    assert broken_links(page, PAGES, frozenset(tree.tracked())) == []


@every_page
def test_every_file_and_test_that_a_page_names_exists(page: Page) -> None:
    assert missing_names(page, frozenset(tree.tracked())) == []


@every_page
def test_every_python_block_is_python(page: Page) -> None:
    for code in page.codes:
        if code.language in {"python", "py"}:
            flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
            compile(code.text, f"{page.path}:{code.line}", "exec", flags=flags, dont_inherit=True)


def test_the_agent_of_contributing_passes_its_own_test() -> None:
    page = next(page for page in PAGES if page.path == Path("CONTRIBUTING.md"))
    program = next(code for code in page.codes if markdown_types.is_program(code))
    names: dict[str, Any] = {"__name__": "contributing"}
    exec(compile(program.text, f"CONTRIBUTING.md:{program.line}", "exec"), names)
    names["test_a_reservation_takes_from_what_is_free"]()


def test_a_dead_link_a_missing_heading_and_a_missing_test_are_found() -> None:
    page = markdown.parse(
        Path("docs/a.md"),
        "# One, two\n[a](b.md) [b](#one-two) [c](#three) [d](../tests/x.py) `[e](f)`\n"
        "```\n[g](h)\n```\n`tests/test_docs.py::test_gone` `tests/gone.py` `nowhere/gone.py`\n",
    )
    files = frozenset({Path("docs/a.md"), Path("tests/test_docs.py")})
    assert broken_links(page, (page,), files) == [
        "docs/a.md:2: b.md: no such file or folder",
        "docs/a.md:2: #three: no such heading",
        "docs/a.md:2: ../tests/x.py: no such file or folder",
    ]
    assert missing_names(page, files) == [
        "docs/a.md:6: tests/test_docs.py defines no test_gone",
        "docs/a.md:6: tests/gone.py: no such file",
    ]


def test_a_wrong_type_in_a_page_is_named_with_the_line_of_the_page() -> None:
    text = (
        "# A\n\n```python\nimport math\n\nhalf: int = math.pi\n```\n```python\nx: int = ''\n```\n"
    )
    page = markdown.parse(Path("docs/a-b.md"), text)
    status, words = markdown_types.check((page,))
    assert status == 1
    assert words.splitlines()[0].startswith("docs/a-b.md:6: error: Incompatible types"), words
    assert words.splitlines()[-1].startswith("Found 1 error"), "a fragment is no program"


def test_headings_get_the_anchors_that_github_gives_them() -> None:
    text = "# A `b.c` (d)!\n## Same\n## Same\n### [x](y.md) – z\n"
    assert markdown.parse(Path("a.md"), text).anchors == {"a-bc-d", "same", "same-1", "x--z"}


def test_the_changelog_has_a_heading_a_version_the_newest_first() -> None:
    """Keep a Changelog: versions from what isn't released yet to the first, kinds of change."""
    text = tree.read(Path("CHANGELOG.md"))
    unreleased, *released = re.findall(r"^## (.+)$", text, re.MULTILINE)
    assert unreleased == "[Unreleased]"
    versions = [re.fullmatch(r"\[(\d+\.\d+\.\d+)\] - \d{4}-\d\d-\d\d", each) for each in released]
    found = [match[1] for match in versions if match is not None]
    assert len(found) == len(released)
    assert found == sorted(found, key=lambda each: [int(n) for n in each.split(".")], reverse=True)
    assert f'version = "{found[0]}"' in tree.read(Path("pyproject.toml"))
    kinds = {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
    assert set(re.findall(r"^### (.+)$", text, re.MULTILINE)) <= kinds


def test_decisions_are_numbered_without_gaps_and_stand_in_the_index() -> None:
    records = [path for path in tree.tracked_with(".md") if re.match(r"\d{4}-", path.name)]
    assert [path.parent for path in records] == [ADR] * len(records)
    assert [int(path.name[:4]) for path in records] == list(range(1, len(records) + 1))
    index = markdown.parse(ADR / "README.md", tree.read(ADR / "README.md"))
    linked = [link.target for link in index.links if re.match(r"\d{4}-", link.target)]
    assert linked == [path.name for path in records]


def test_every_decision_has_context_decision_consequences_and_evidence() -> None:
    for path in tree.tracked_with(".md"):
        if path.parent == ADR and path.name != "README.md":
            headings = re.findall(r"^## (.+)$", tree.read(path), re.MULTILINE)
            assert headings == ["Context", "Decision", "Consequences", "Evidence"], path
            title = tree.read(path).splitlines()[0]
            assert title.startswith(f"# {int(path.name[:4])}. "), f"{path}: {title}"
