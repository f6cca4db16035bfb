"""Whatever plain data an event holds: it poisons, or it comes back byte for byte from a file and a
delta.
"""

from pathlib import Path
from typing import Any

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from moonlet.core.commit import Event
from moonlet.projections import (
    At,
    AWSet,
    BoundedCounter,
    Fields,
    GSet,
    LexCounter,
    LWWRegister,
    Max,
    MemoryDisk,
    Min,
    MVRegister,
    ORMap,
    PoisonedEvent,
    View,
    ViewDatabase,
    ViewState,
    apply_delta,
    make_delta,
)
from tests.projections.helpers import commit, journals


class Wrote(msgspec.Struct, frozen=True):
    key: str
    value: Any


view = View(
    "plain",
    version=1,
    stock=ORMap[BoundedCounter],
    counts=ORMap[LexCounter],
    elements=AWSet,
    highest=ORMap[Max],
    last=ORMap[LWWRegister],
    lowest=Min,
    members=ORMap[AWSet],
    values=ORMap[MVRegister],
    words=ORMap[GSet],
)


@view.on_event
def wrote(fields: Fields, event: Wrote, at: At) -> None:
    key, value = event.key, event.value
    fields.values[key].set(value)
    fields.last[key].set(value)
    fields.elements.add(key)
    fields.members[key].add(key)
    fields.words[key].add(key)
    if isinstance(value, int | float) and not isinstance(value, bool):
        fields.counts[key].add(value)
        fields.highest[key].put(value)
        fields.lowest.put(value)
        if value > 0:
            fields.stock[key].grant(value)


numbers = st.integers(-(2**64), 2**65) | st.sampled_from([2**63 - 1, 2**63, 2**64 - 1, -(2**63)])
atoms = st.none() | st.booleans() | numbers | st.floats() | st.text()
values = st.recursive(
    atoms,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
events = st.tuples(st.sampled_from(["asia", "eu", "us"]), st.text(max_size=6), values)


@settings(
    max_examples=300,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
@given(st.lists(events, min_size=1, max_size=5))
def test_plain_data_poisons_or_comes_back(written: list[tuple[str, str, Any]]) -> None:
    state, disk = ViewState(view, journals()), MemoryDisk()
    database = ViewDatabase(Path("view.db"), state, disk=disk)
    for journal, key, value in written:
        try:
            body = msgspec.Raw(msgspec.json.encode({"key": key, "value": value}))
        except (OverflowError, UnicodeEncodeError):
            continue  # no journal holds it
        sequence = state.frontier.at(journal) + 1
        before = state.canonical()
        recorded = msgspec.structs.replace(commit(sequence), events=(Event("Wrote", body),))
        try:
            state.fold(recorded, journal)
        except PoisonedEvent:
            assert state.canonical() == before
    database.save()
    database.close()
    loaded, joined = ViewState(view, journals()), ViewState(view, journals())
    ViewDatabase(Path("view.db"), loaded, disk=disk).close()
    apply_delta(joined, make_delta(state))
    assert loaded.canonical() == joined.canonical() == state.canonical()
    shown = msgspec.json.encode(state.value)
    assert msgspec.json.encode(loaded.value) == msgspec.json.encode(joined.value) == shown
