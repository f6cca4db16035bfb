"""The legs of Bridge's saga: lock, release, and unlock where a release was refused.

A release that is refused is compensated; a leg without an answer is asked for again, never undone.
Every ending tells Fuel what came back.
"""

from typing import Final

from moonlet.agents import (
    Cancel,
    Context,
    Decision,
    Perform,
    PerformFailed,
    Rejected,
    Schedule,
    Send,
)
from moonlet.satellites.bridge.events import bridge
from moonlet.satellites.bridge.messages import (
    BridgeIncident,
    ExecutionCompleted,
    ExecutionFailed,
    LegCompleted,
    LegRefused,
    LegStarted,
)
from moonlet.satellites.bridge.state import Bridge, Execution
from moonlet.satellites.bridge.venue import Action, CheckLeg, LegFailed, LegSettled, TransferLeg
from moonlet.satellites.common import BPS, peer, require, share_of
from moonlet.satellites.messages import CapitalDenied, CapitalGranted, SettleTransfer

__all__ = ["bridge"]

MAX_ATTEMPTS: Final = 5

LEG_SECONDS: Final = 30
"""A leg that takes longer than this is an incident."""

TIMER: Final = "leg"


@bridge.on_command
def capital_granted(state: Bridge, command: CapitalGranted, context: Context) -> Decision:
    """The first leg."""
    require(context, "fuel", "capital")
    execution = _under_way(state, command.request, None)
    yield from _start(state, execution, "lock", command.amount)


@bridge.on_command
def capital_denied(state: Bridge, command: CapitalDenied, context: Context) -> Decision:
    """Nothing was set aside, so there is nothing to settle."""
    require(context, "fuel", "capital")
    execution = _under_way(state, command.request, None)
    yield ExecutionFailed(execution.id, 0, 0, False, command.reason)


def _start(
    state: Bridge, execution: Execution, action: Action, amount: int, attempt: int = 1
) -> Decision:
    route = state.routes[execution.bridge]
    call = TransferLeg(
        execution.id,
        action,
        chain=route.target if action == "release" else route.source,
        amount=amount,
        gain={"lock": -route.fee, "release": execution.spread, "unlock": 0}[action],
        refuse=action == "release" and state.initiated in route.outages,
    )
    yield LegStarted(execution.id, action, amount, attempt)
    yield Perform(call)
    yield Schedule(CheckLeg(execution.id, action), after=LEG_SECONDS, name=TIMER)


@bridge.on_perform
async def transfer_leg(call: TransferLeg, call_id: str) -> LegSettled | LegFailed:
    """The simulated venue: a function of the call alone, so that a second run answers the same."""
    if call.refuse:
        return LegFailed(call.execution, call.action, f"{call.chain} has no liquidity")
    amount = call.amount + call.amount * call.gain // BPS
    return LegSettled(call.execution, call.action, amount, call_id)


@bridge.on_command
def leg_settled(state: Bridge, command: LegSettled, context: Context) -> Decision:
    """On to the next leg, or to the end."""
    require(context, "bridge", "a leg's outcome")
    execution = _under_way(state, command.execution, command.action)
    most = execution.held + share_of(execution.held, max(execution.spread, 0))
    if command.amount > most:
        raise Rejected(f"{command.amount} is more than the leg can bring: {most}")
    yield Cancel(TIMER)
    yield LegCompleted(execution.id, command.action, command.amount, command.receipt)
    if command.action == "lock":
        yield from _start(state, execution, "release", command.amount)
        return
    route = state.routes[execution.bridge]
    if command.action == "release":
        profit = command.amount - execution.amount
        yield ExecutionCompleted(execution.id, execution.amount, command.amount, profit)
        yield from _settle(execution, route.target, command.amount, context)
    else:
        reason = "the second leg was refused; the first was undone"
        yield ExecutionFailed(execution.id, execution.amount, command.amount, True, reason)
        yield from _settle(execution, route.source, command.amount, context)


def _settle(execution: Execution, wallet: str, returned: int, context: Context) -> Decision:
    yield Send(peer(context, "fuel"), SettleTransfer(execution.id, wallet, returned))


@bridge.on_command
def leg_failed(state: Bridge, command: LegFailed, context: Context) -> Decision:
    """The venue refused: a release is compensated, a lock leaves nothing to undo."""
    require(context, "bridge", "a leg's outcome")
    execution = _under_way(state, command.execution, command.action)
    yield Cancel(TIMER)
    yield LegRefused(execution.id, command.action, command.reason)
    if command.action == "lock":
        yield ExecutionFailed(
            execution.id, execution.amount, execution.amount, False, command.reason
        )
        route = state.routes[execution.bridge]
        yield from _settle(execution, route.source, execution.amount, context)
        return
    yield BridgeIncident(execution.bridge, "medium", f"{command.action}: {command.reason}")
    attempt = execution.attempt + 1 if command.action == "unlock" else 1
    yield from _again(state, execution, "unlock", attempt)


@bridge.on_command
def perform_failed(state: Bridge, command: PerformFailed, context: Context) -> Decision:
    """The venue gave no answer, so the leg may have happened: ask it again, never undo it.

    The venue knows a leg by execution and action and does it once.
    """
    require(context, "bridge", "a call's failure")
    execution = state.execution
    if execution is None or execution.action is None:
        raise Rejected("no leg is under way")
    yield Cancel(TIMER)
    yield BridgeIncident(execution.bridge, "low", command.error[:500])
    yield from _again(state, execution, execution.action, execution.attempt + 1)


def _again(state: Bridge, execution: Execution, action: Action, attempt: int) -> Decision:
    if attempt <= MAX_ATTEMPTS:
        yield from _start(state, execution, action, execution.held, attempt)
    else:
        what = f"{execution.id} is stuck at {action} after {MAX_ATTEMPTS} attempts: see to it"
        yield BridgeIncident(execution.bridge, "critical", what)


@bridge.on_command
def check_leg(state: Bridge, command: CheckLeg) -> Decision:
    """The leg's timer fired before its answer came: an incident, nothing more."""
    execution = _under_way(state, command.execution, command.action)
    what = f"{command.action} of {command.execution} takes over {LEG_SECONDS} s"
    yield BridgeIncident(execution.bridge, "medium", what)


def _under_way(state: Bridge, id: str, action: Action | None) -> Execution:
    """The execution, if it is at this leg; a late or second answer is rejected.

    At its beginning (None) nothing is in it: what holds money is never begun or denied again.
    """
    execution = state.execution
    is_there = execution is not None and execution.id == id and execution.action == action
    if execution is None or not is_there or (action is None and execution.held):
        leg = action or "its beginning"
        raise Rejected(f"{id} is not at {leg}")
    return execution
