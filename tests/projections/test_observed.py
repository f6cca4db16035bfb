"""Tokens of what was seen, as they come from outside: in a command, and so in its event."""

from typing import Any

import msgspec
import pytest

from moonlet.core.commit import Event
from moonlet.projections import Observed, PoisonedEvent, ViewState, apply_delta, make_delta
from tests.projections.helpers import Acknowledged, Forgot, Opened, Raised, commit, new_state

FORGED: dict[str, list[Any]] = {
    "a sequence of 64 bits": [2**63, 0],
    "a sequence that no dot holds": [2**43, 0],
    "sequence 0": [0, 0],
    "a negative sequence": [-1, 0],
    "an index that no dot holds": [1, 4_096],
    "a negative index": [1, -1],
    "a total that is no number": [1, 0, "abc"],
    "a total that is not finite": [1, 0, "-Infinity"],
    "a total out of all bounds": [1, 0, "1e500"],
    "a float out of all bounds": [1, 0, 1e300],
    "a total of many digits": [1, 0, "i" + "9" * 5_000],
    "a list for a total": [1, 0, [1]],
    "a text for a sequence": ["1", 0],
}


def token_of(state: ViewState, field: str, key: str, dot: list[Any]) -> dict[str, Any]:
    tag = state.journals.tags[0]
    return {"view": "exposure", "rows": [[field, key, [[tag, *dot]]]]}


@pytest.mark.parametrize("dot", FORGED.values(), ids=FORGED.keys())
def test_a_forged_token_is_refused_where_a_command_is_read(dot: list[Any]) -> None:
    state = new_state()
    body = {"alert": "x", "seen": token_of(state, "alerts", "x", dot)}
    with pytest.raises(msgspec.MsgspecError, match="seen"):
        msgspec.json.decode(msgspec.json.encode(body), type=Acknowledged)


@pytest.mark.parametrize("dot", FORGED.values(), ids=FORGED.keys())
def test_a_forged_token_in_a_journal_poisons_and_changes_nothing(dot: list[Any]) -> None:
    state = new_state()
    state.fold(commit(1, Raised("x")), "asia")
    state.fold(commit(2, Opened("aave", 3)), "asia")
    before = state.canonical()
    for name, body, field, key in (
        ("Acknowledged", {"alert": "x"}, "alerts", "x"),
        ("Forgot", {"protocol": "aave"}, "by_protocol", "aave"),
    ):
        raw = msgspec.json.encode({**body, "seen": token_of(state, field, key, dot)})
        forged = msgspec.structs.replace(commit(3), events=(Event(name, msgspec.Raw(raw), 1),))
        with pytest.raises(PoisonedEvent):
            state.fold(forged, "asia")
        assert state.canonical() == before


def test_the_farthest_token_that_can_be_is_kept_whole() -> None:
    """Its author lies, or read another copy of the journal; bytes and joins bear it."""
    state, other = new_state(), new_state()
    state.fold(commit(1, Raised("x")), "asia")
    token = msgspec.convert(token_of(state, "alerts", "x", [2**43 - 1, 4_095]), Observed)
    state.fold(commit(2, Acknowledged("x", token)), "asia")
    token = msgspec.convert(token_of(state, "by_protocol", "aave", [1, 0, "1e99"]), Observed)
    state.fold(commit(3, Opened("aave", 3), Forgot("aave", token)), "asia")
    apply_delta(other, make_delta(state))
    assert (other.value, other.canonical()) == (state.value, state.canonical())
    assert state.value["alerts"] == []
