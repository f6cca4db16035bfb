"""An owner whose state is behind the journal, since a former owner committed after it was read."""

import copy
from typing import Any

import msgspec
import pytest

from moonlet.agents import Host
from moonlet.agents.deciding import LookUp, QueuedCommand, Verdict
from moonlet.agents.deciding.known import known
from moonlet.core.envelope import Envelope
from moonlet.core.fold import Fold, Where, revision_of
from moonlet.testing import MoonServer
from tests.agents.accounts import Deposit, DepositLater, account_type
from tests.faulty import until_true


def fold_at(revision: int, **open_: Any) -> Fold[None]:
    fold: Fold[None] = Fold(None)
    fold.revision = revision
    for name, value in open_.items():
        setattr(fold, name, value)
    return fold


def verdict(fold: Fold[None], *, sought: bool = False, **about: Any) -> Verdict | LookUp | None:
    """Of the result of a call, or the firing of a timer."""
    about = {"id": "x", **about}
    envelope = Envelope(agent="account/a", name="Came", body=msgspec.Raw(b"{}"), **about)
    unused: Any = None
    item = QueuedCommand(unused, unused, 0, True)
    item.sought = sought
    return known(fold, item, envelope)


CALL: dict[str, Any] = {"call": "account/a:5.0"}
TIMER: dict[str, Any] = {"timer": "wake", "number": 5}


@pytest.mark.parametrize("about", [CALL, TIMER])
def test_what_a_later_commit_caused_is_not_taken_for_dealt_with(about: dict[str, Any]) -> None:
    assert verdict(fold_at(4), **about) is Verdict.READ_AGAIN
    assert verdict(fold_at(4), sought=True, **about) is Verdict.DONE, "the journal doesn't have it"
    assert verdict(fold_at(5), **about) is Verdict.DONE
    assert verdict(fold_at(9), **about) is Verdict.DONE


async def test_an_owner_that_is_behind_reads_the_journal_before_it_lets_a_timer_go(
    moon_server: MoonServer,
) -> None:
    account = account_type(partitions=1)
    async with moon_server.connect(agents=[account]) as moon, Host(moon, [account]) as host:
        await moon.ask("account/a", Deposit(1))
        partition = host.partition("account", 0)
        assert partition is not None
        agent = partition.agent("a")
        behind = copy.deepcopy(agent.fold)
        await moon.ask("account/a", DepositLater(5, after=1.0))
        await agent.effects_out()
        agent.fold = behind  # as if a former owner had committed that after we had read

        async def fired() -> bool:
            return bool((await moon.state("account/a")).balance == 6)

        await until_true(fired)


def test_what_is_open_is_decided() -> None:
    where = Where(5, 9, 0)
    assert verdict(fold_at(6, calls={"account/a:5.0": where}), **CALL) is None
    firing = {**TIMER, "id": "account/a:5.0"}
    assert verdict(fold_at(6, timers={"wake": where}), **firing) is None
    later = Where(7, 12, 0)
    assert verdict(fold_at(7, timers={"wake": later}), **TIMER) is Verdict.DONE, "it was set again"


@pytest.mark.parametrize(
    ("call", "revision"),
    [
        ("account/a:5.0", 5),
        ("a/b:c:12.3", 12),
        ("", 0),
        ("account/a", 0),
        ("a:x.0", 0),
        ("a:²3.0", 0),
        (f"a:{'9' * 30}.0", 0),
        (":.", 0),
    ],
)
def test_a_calls_id_tells_its_revision_whatever_it_is(call: str, revision: int) -> None:
    assert revision_of(call) == revision
