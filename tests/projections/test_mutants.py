"""Law 15: every fault planted in the product's code dies under the laws.

A fault is a change of one function's source. If that text is gone, the test says so.
"""

import inspect
import sys
import textwrap
from types import ModuleType
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, Phase, settings

from moonlet.projections.exchange import delta
from moonlet.projections.fields import BoundedStore, DotStore, declared, dot_join, recorder
from moonlet.projections.fields.changes import Changes
from moonlet.projections.fields.lattice_store import LatticeStore
from moonlet.projections.view import ViewState
from tests.projections import test_laws
from tests.projections.world import World

COUNTER = "moonlet.projections.fields.counter_store"


class Fault(NamedTuple):
    """In the function `name` of `owner`, `old` becomes `new`."""

    owner: Any
    name: str
    old: str
    new: str


ALWAYS_SLOW = Fault(dot_join, "plan_join", "if store.ahead or theirs_ahead:", "if True:")

# What goes wrong, the law that notices, and how to plant it.
FAULTS: dict[str, tuple[test_laws.Law, *tuple[Fault, ...]]] = {
    "a commit that comes again is folded again": (
        test_laws.the_interleaving_does_not_matter,
        Fault(ViewState, "fold", "if sequence <= self.vector[index]:", "if False:"),
    ),
    "a delta is joined over a gap": (
        test_laws.a_delta_is_as_good_as_the_state,
        Fault(delta, "apply_delta", "if not _covers(state.vector, body.since):", "if False:"),
    ),
    "a removal takes all, seen or not": (
        test_laws.every_step_shows_what_the_definition_says,
        Fault(DotStore, "_write", "if self.dot_of(a) > cover.get(", "if 0 > cover.get("),
    ),
    "without a token a removal takes what other journals wrote": (
        test_laws.every_step_shows_what_the_definition_says,
        Fault(DotStore, "_write", "& JOURNAL_MASK != journal]", "< 0]"),
    ),
    "what is removed ahead is forgotten": (
        test_laws.the_interleaving_does_not_matter,
        Fault(DotStore, "_await", "removed = self.ahead", "return\n    removed = self.ahead"),
    ),
    "a delta leaves out what is removed ahead": (
        test_laws.joining_is_as_good_as_folding,
        Fault(DotStore, "section", "if removed:", "if False:"),
    ),
    "what is removed ahead goes by the dot, not by the key": (
        test_laws.joining_is_as_good_as_folding,
        Fault(
            DotStore,
            "_is_removed",
            "removed = self.ahead.get(key)",
            "removed = {j: d for r in self.ahead.values() for j, d in r.items()}",
        ),
    ),
    "what the frontier has passed stays ahead": (
        test_laws.replicas_converge_after_a_partition,
        Fault(DotStore, "passed", "while waiting and", "while False and"),
    ),
    "a key that is gone at the sender goes, seen or not": (
        test_laws.joining_commutes,
        Fault(
            dot_join,
            "plan_join",
            "_plan_gone(store, gone, to, plan)",
            "plan.update(dict.fromkeys(key for key in gone if key in store.rows))",
        ),
    ),
    "a join is a union without context": (
        test_laws.joining_is_as_good_as_folding,
        ALWAYS_SLOW,
        Fault(dot_join, "_has_seen", "return dot >>", "return False and dot >>"),
    ),
    "a join keeps all that is mine": (
        test_laws.joining_commutes,
        ALWAYS_SLOW,
        Fault(dot_join, "_plan_key", "elif not _has_seen(dot, to, removed):", "else:"),
    ),
    "a join takes all that is theirs": (
        test_laws.joining_is_as_good_as_folding,
        ALWAYS_SLOW,
        Fault(
            dot_join,
            "_plan_key",
            "if dot not in have and not _has_seen(dot, store.frontier, mine_ahead):",
            "if dot not in have:",
        ),
    ),
    "the quick join takes what was removed here": (
        test_laws.reads_never_go_back,
        Fault(dot_join, "_plan_puts", "if dot >= mine_end[journal]:", "if True:"),
    ),
    "commits of one journal come out of order": (
        test_laws.every_addition_counts_once,
        Fault(
            World,
            "feed",
            "self.journals[journal][start : start + count]",
            "reversed(self.journals[journal][start : start + count])",
        ),
    ),
    "a delta's frontier is trimmed to the journals that moved": (
        test_laws.replicas_converge_after_a_partition,
        Fault(delta, "_checked_frontier", "[low + step for", "[low + step if step else 0 for"),
    ),
    "the index forgets keys that a join left as they were": (
        test_laws.a_delta_is_as_good_as_the_state,
        Fault(
            DotStore,
            "join",
            "for keys in (section.ones, section.many, section.gone):",
            "for keys in (plan,):",
        ),
    ),
    "the index claims what a full state didn't name": (
        test_laws.a_delta_is_as_good_as_the_state,
        Fault(delta, "apply_delta", "state.floor[journal] = to[journal]", "pass"),
    ),
    "the index isn't in the order of the changes": (
        test_laws.replicas_converge_after_a_partition,
        Fault(Changes, "add", "sorted(fresh, key=fresh.__getitem__)", "list(fresh)"),
    ),
    "an event hasn't seen those before it in its commit": (
        test_laws.every_step_shows_what_the_definition_says,
        Fault(recorder, "_settled", "closed: set", "return ops\n    closed: set"),
    ),
    "a dot doesn't tell the events of one commit apart": (
        test_laws.every_step_shows_what_the_definition_says,
        Fault(ViewState, "_record", "base | index << INDEX_SHIFT", "base"),
    ),
    "a counter's older part wins": (
        test_laws.every_addition_counts_once,
        Fault(sys.modules[COUNTER], "_newer", "theirs.dot > mine.dot", "theirs.dot < mine.dot"),
    ),
    "a counter's parts are added up by a join": (
        test_laws.every_addition_counts_once,
        Fault(
            sys.modules[COUNTER],
            "_newer",
            "return JournalPart(newest.dot, newest.total,",
            "return JournalPart(newest.dot, mine.total + theirs.total,",
        ),
    ),
    "a counter's reset is lost by a join": (
        test_laws.joining_is_as_good_as_folding,
        Fault(
            sys.modules[COUNTER],
            "_newer",
            "_is_newer(theirs.reset, theirs.base, mine.reset, mine.base)",
            "False",
        ),
    ),
    "the last writer of a maximum wins": (
        test_laws.replicas_converge_after_a_partition,
        Fault(LatticeStore, "_is_better", "order_key(new) > order_key(old)", "True"),
    ),
    "rights that were handed on come back with a join": (
        test_laws.stock_is_never_overspent,
        Fault(BoundedStore, "plan", "theirs.dot > own.dot", "False"),
    ),
    "a register shows the greater dot, not the later time": (
        test_laws.every_step_shows_what_the_definition_says,
        Fault(declared.Field, "_one", "(*put.value[:2], put.dot)", "put.dot"),
    ),
}

few = settings(
    max_examples=3_000,
    deadline=None,
    database=None,
    derandomize=True,
    phases=(Phase.generate,),
    suppress_health_check=list(HealthCheck),
)


def plant(monkeypatch: pytest.MonkeyPatch, fault: Fault) -> None:
    """Give a function the code compiled from its changed source."""
    function = inspect.getattr_static(fault.owner, fault.name)
    source = textwrap.dedent(inspect.getsource(function))
    assert source.count(fault.old) >= 1, f"{fault.name} no longer holds {fault.old!r}"
    changed = source.replace(fault.old, fault.new)
    module = fault.owner
    if not isinstance(module, ModuleType):
        module = sys.modules[fault.owner.__module__]
    names: dict[str, Any] = {}
    exec(compile(changed, f"<{fault.name} with a fault>", "exec"), module.__dict__, names)
    # The code is swapped in place, so that modules which imported the function have it too.
    monkeypatch.setattr(function, "__code__", names[fault.name].__code__)


def test_an_index_that_forgets_and_does_not_say_so_dies(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("moonlet.projections.view.state.MAX_INDEX", 3)
    floor = "self.floor[journal] = max(self.floor[journal], changes.forget(count))"
    plant(monkeypatch, Fault(ViewState, "settle", floor, "changes.forget(count)"))
    with pytest.raises(AssertionError):
        test_laws.check(test_laws.a_delta_is_as_good_as_the_state, few)


@pytest.mark.parametrize("name", FAULTS)
def test_planted_fault_dies(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    law, *faults = FAULTS[name]
    for fault in faults:
        plant(monkeypatch, fault)
    with pytest.raises(Exception):  # noqa: B017 (whatever a wrong state leads to)
        test_laws.check(law, few)


def test_without_a_fault_no_law_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    plant(monkeypatch, Fault(ViewState, "fold", "sequence > 0", "sequence > 0"))
    for law in test_laws.LAWS[:3]:
        test_laws.check(law, settings(few, max_examples=20))
