"""What a pass over a journal keeps of agents that nobody has asked for yet."""

import asyncio
from types import SimpleNamespace
from typing import Any

from moonlet.agents.recovery.journal_pass import JournalPass
from moonlet.agents.recovery.kept_tails import KeptTails
from moonlet.agents.recovery.pace import Slices
from moonlet.agents.recovery.tail import Tail
from moonlet.agents.recovery.waiting_tail import WaitingTail
from moonlet.core.fold import Fold
from moonlet.core.ids import AgentId
from moonlet.streams import StoredMessage
from moonlet.streams.system import SystemClock
from tests.agents.accounts import account_type

LATE = "moon.evt.account.late"


def waiting(key: str, *, start: int, last: int) -> WaitingTail:
    type_ = account_type()
    agent = AgentId("account", key)
    message = StoredMessage(f"moon.evt.account.{key}", last, 0, None, b"")
    tail = Tail(type_, agent, "journal", Fold(type_.behavior.initial()), message)
    tail.start = start
    return WaitingTail(tail, lambda: 2, start, 0.0)


def a_pass(first: WaitingTail) -> JournalPass:
    kept = KeptTails("journal", "account", 1, number=0, most=1 << 20, expected=1, connection=0)
    subjects = SimpleNamespace(journal=lambda agent: f"moon.evt.{agent.type}.{agent.key}")
    services: Any = SimpleNamespace(
        bus=SimpleNamespace(subjects=subjects), ends=SimpleNamespace(reconnects=0)
    )
    slices = Slices(SystemClock())
    return JournalPass(services, slices, [first], kept, lambda subject: True, lambda: None)


async def test_what_comes_by_of_one_that_joins_is_not_taken_for_kept() -> None:
    """Found by a seed: what its tail took was missing in what was kept, and that was used later."""
    going = a_pass(waiting("first", start=1, last=9))
    assert going.kept.admit(LATE, lambda subject: True)  # its first commit comes by, unasked
    going.kept.add(StoredMessage(LATE, 1, 0, None, b""))
    late = waiting("late", start=2, last=5)  # asked for now: its tail has the first already
    assert going.join(late)
    going.leave(late)
    await asyncio.sleep(0)
    assert not going.kept.has(LATE)
    assert going.kept.take(LATE) is None
