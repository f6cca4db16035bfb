"""The page of promises and the table of planted faults agree, and neither can rot unseen."""

import re

import pytest

from tests.faults import FAULTS, Fault
from tests.tools import tree

PAGE = (tree.ROOT / "tests" / "promises.md").read_text(encoding="utf-8")


def test_the_page_lists_exactly_the_planted_faults() -> None:
    rows = re.findall(r"^\| `(\S+)` \| (.+) \|$", PAGE, flags=re.MULTILINE)
    assert sorted(rows) == sorted((fault.test, fault.what) for fault in FAULTS)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.what)
def test_a_planted_fault_still_has_a_place(fault: Fault) -> None:
    for name, old, new in fault.changes:
        assert (tree.ROOT / name).read_text(encoding="utf-8").count(old) == 1, (name, old)
        assert old != new


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.what)
def test_the_test_of_a_planted_fault_exists(fault: Fault) -> None:
    file, _, name = fault.test.partition("::")
    source = (tree.ROOT / file).read_text(encoding="utf-8")
    assert f"def {name}(" in source
