"""`given` is as strict about clocks and chance as a simulated world."""

import asyncio
import random
import time
from pathlib import Path

import msgspec
import pytest

from moonlet.agents import AgentType, Context, Decision, Reply, Send
from moonlet.core.errors import Invalid
from moonlet.simulations.bundle import write_bundle
from moonlet.simulations.errors import Escape, Impure
from moonlet.testing import given
from tests.agents.accounts import Deposit, Transfer, account_type
from tests.replay.histories import history


class Ask(msgspec.Struct, frozen=True):
    what: str


class Asked(msgspec.Struct, frozen=True):
    what: str


class Seen(msgspec.Struct, frozen=True):
    at: float = 0.0


probe = AgentType("probe", Seen)


@probe.on_command
def ask(state: Seen, command: Ask, context: Context) -> Decision:
    match command.what:
        case "clock":
            yield Reply(time.time())
        case "chance":
            yield Reply(random.random())
        case "swallowed":
            try:
                time.time()
            except Exception:
                yield Reply(0)
        case "context":
            yield Reply([context.now_us, context.random.random()])
        case _:
            yield Asked(command.what)


@probe.on_event
def asked(state: Seen, event: Asked) -> Seen:
    return Seen(time.monotonic() if event.what == "fold" else 1.0)


@pytest.mark.parametrize(
    ("what", "told"),
    [
        ("clock", "time.time\\(\\) in the command handler .*ask"),
        ("chance", "random"),
        ("swallowed", "time.time"),
        ("fold", "time.monotonic\\(\\) in the event handler"),
    ],
)
def test_a_handler_that_asks_for_what_a_replay_has_not_fails_its_test(what: str, told: str) -> None:
    with pytest.raises(Escape, match=told):
        given(probe).when(Ask(what)).then()
    time.time()  # and the clock is there again for the test


def test_a_fold_is_as_pure_when_a_history_is_given() -> None:
    with pytest.raises(Impure, match="event handler"):
        given(probe).events(Asked("fold"))


async def test_what_the_context_gives_is_no_escape_in_a_running_loop_either() -> None:
    reply = given(probe).when(Ask("context")).reply
    assert reply == given(probe).when(Ask("context")).reply
    await asyncio.sleep(0)


def test_a_recorded_history_is_where_a_test_may_begin(tmp_path: Path) -> None:
    """As an agent stood in a bundle, with its id and revision; what comes of it has effects too."""
    write_bundle(tmp_path / "day.moonlet", history(2, 5)._bundle)
    account = account_type()
    base = given(account).at(tmp_path / "day.moonlet", "account/s1@3")
    outcome = base.when(Transfer("account/s0", 2)).then(effects=[Send("account/s0", Deposit(2))])
    assert outcome.state.balance == base.when(Deposit(1)).reply - 3
    with pytest.raises(Invalid, match="has no revision 9"):
        given(account).at(tmp_path / "day.moonlet", "account/s1@9")
