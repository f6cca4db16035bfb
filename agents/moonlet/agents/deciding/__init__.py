"""Deciding, pure: deliveries and a fold in; commits to append and verdicts out. Posts nothing.

Live owners, simulated worlds, `verify`, replay and `given` decide here and nowhere else.
"""

from moonlet.agents.deciding.again import Again, Difference, decide_again
from moonlet.agents.deciding.decide import (
    CHAIN_MAX,
    CommitChain,
    PendingCommit,
    Settled,
    decide_ahead,
    judge,
)
from moonlet.agents.deciding.folding import fold_message, fold_state, initial_state
from moonlet.agents.deciding.known import Sought, is_committed, seen_of
from moonlet.agents.deciding.queued_command import HeldCommand, QueuedCommand, Source
from moonlet.agents.deciding.rules import Rules
from moonlet.agents.deciding.running import Asked, Running, Work, WorkNote
from moonlet.agents.deciding.state_watch import StateWatch, picture
from moonlet.agents.deciding.verdict import LookUp, Verdict
from moonlet.agents.deciding.waiting import WaitingCommands, lane_index

__all__ = [
    "CHAIN_MAX",
    "Again",
    "Asked",
    "CommitChain",
    "Difference",
    "HeldCommand",
    "LookUp",
    "PendingCommit",
    "QueuedCommand",
    "Rules",
    "Running",
    "Settled",
    "Sought",
    "Source",
    "StateWatch",
    "Verdict",
    "WaitingCommands",
    "Work",
    "WorkNote",
    "decide_again",
    "decide_ahead",
    "fold_message",
    "fold_state",
    "initial_state",
    "is_committed",
    "judge",
    "lane_index",
    "picture",
    "seen_of",
]
