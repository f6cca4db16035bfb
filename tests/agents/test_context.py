"""The context of a handler: everything in it is derived from the commit, so equal on replay."""

import random
import subprocess
import sys
import uuid
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from moonlet.agents import Context


def context(
    self_id: str = "account/alice", revision: int = 7, command_id: str = "c1", now_us: int = 5
) -> Context:
    return Context(
        self_id=self_id,
        revision=revision,
        now_us=now_us,
        command_id=command_id,
        sender="c0ffee",
        correlation_id="run-1",
    )


def draws(one: Context) -> list[object]:
    """What a handler might draw, in one order."""
    return [one.random.random(), one.uuid(), one.random.randrange(10**9), one.uuid()]


@given(st.text("ab/", min_size=1), st.integers(0, 10**6), st.text(max_size=5))
def test_equal_commits_draw_equal_numbers(self_id: str, revision: int, command_id: str) -> None:
    again = context(self_id, revision, command_id)
    assert draws(context(self_id, revision, command_id)) == draws(again)


def test_another_agent_revision_or_command_draws_others() -> None:
    contexts = [
        context(),
        context(self_id="account/bob"),
        context(revision=8),
        context(command_id="c2"),
        context(self_id="account/alice:7", revision=1, command_id="c1"),
    ]
    assert len({one.random.random() for one in contexts}) == len(contexts)
    assert context().random.random() == context(now_us=99).random.random(), "the time is no seed"


def test_what_is_drawn_is_the_same_in_a_process_with_another_hash_seed() -> None:
    program = (
        "from moonlet.agents.definition.context import Context;"
        "c = Context(self_id='a/b', revision=3, now_us=5, command_id='x');"
        "print(c.random.random(), c.uuid(), c.now)"
    )
    told = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    here = Context(self_id="a/b", revision=3, now_us=5, command_id="x")
    assert told == {f"{here.random.random()} {here.uuid()} {here.now}\n"}


def test_one_generator_serves_the_whole_handler_and_no_other() -> None:
    one = context()
    assert one.random is one.random
    assert one.random.random() != one.random.random()
    before = random.getstate()
    draws(context())
    assert random.getstate() == before, "the process's own generator is left alone"


def test_uuids_are_of_version_4_and_differ() -> None:
    one = context()
    made = [one.uuid() for _ in range(100)]
    assert len(set(made)) == 100
    assert {(u.version, u.variant) for u in made} == {(4, uuid.RFC_4122)}


@given(st.datetimes(timezones=st.just(UTC), min_value=datetime(1970, 1, 1)))
def test_now_is_the_commits_time_aware_and_exact(moment: datetime) -> None:
    micros = (moment - datetime(1970, 1, 1, tzinfo=UTC)) // (
        datetime(1970, 1, 1, 0, 0, 0, 1) - datetime(1970, 1, 1)
    )
    assert context(now_us=micros).now == moment
    assert context(now_us=micros).now.tzinfo is UTC


def test_the_facts_of_the_command_are_there() -> None:
    one = context()
    assert (one.self_id, one.revision, one.sender, one.correlation_id) == (
        "account/alice",
        7,
        "c0ffee",
        "run-1",
    )
