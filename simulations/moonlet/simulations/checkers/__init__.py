"""What must hold in every world, asked or not: a file per promise.

A checker may watch each commit as it lands, and acknowledgements as they arrive; at the end it is
asked for all that is wrong. What it finds is a `Violation` that names the promise. Of a world they
know the `Evidence`; they import the chronicle, the hosts and the server, which that is made of.
"""

from moonlet.simulations.checkers.chain import check_chain
from moonlet.simulations.checkers.checker import Checker, Evidence, Finding
from moonlet.simulations.checkers.durable import check_durable
from moonlet.simulations.checkers.fenced import Fenced
from moonlet.simulations.checkers.immutable import check_immutable
from moonlet.simulations.checkers.life import check_life
from moonlet.simulations.checkers.nothing_vanishes import check_nothing_vanishes
from moonlet.simulations.checkers.once import check_once
from moonlet.simulations.checkers.order import check_order
from moonlet.simulations.checkers.reads import Reads
from moonlet.simulations.checkers.state import check_snapshots, check_state
from moonlet.simulations.checkers.time import check_time

CHECKERS: tuple[Checker, ...] = (
    check_chain,
    check_nothing_vanishes,
    check_once,
    check_order,
    check_state,
    check_snapshots,
    check_durable,
    check_immutable,
    check_time,
    check_life,
)
"""Run at the end of every world, in this order."""

__all__ = [
    "CHECKERS",
    "Checker",
    "Evidence",
    "Fenced",
    "Finding",
    "Reads",
    "check_chain",
    "check_durable",
    "check_immutable",
    "check_life",
    "check_nothing_vanishes",
    "check_once",
    "check_order",
    "check_snapshots",
    "check_state",
    "check_time",
]
