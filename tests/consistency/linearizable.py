"""Whether a history is linearizable: a judge of our own, quick enough for every test run.

Wing and Gong's search with Lowe's memory of what was tried, for lists that only grow. Porcupine,
which others wrote, judges the same histories in `make porcupine`.
"""

from collections.abc import Iterable

from tests.consistency.history import NEVER, Operation

State = tuple[int, ...]


def unlinearizable(operations: Iterable[Operation]) -> list[str]:
    """The agents whose operations fit no order; empty if all is well."""
    agents: dict[str, list[Operation]] = {}
    for operation in operations:
        agents.setdefault(operation.agent, []).append(operation)
    return sorted(agent for agent, own in agents.items() if not _fits(own))


def apply(operation: Operation, state: State) -> State | None:
    """The state after it, None if it could not have given what it gave."""
    if operation.kind == "read":
        return state if operation.numbers == list(state) else None
    refused = operation.kind == "append_if" and len(state) != operation.length
    if operation.end != NEVER and refused != operation.refused:
        return None
    if refused:
        return state
    after = (*state, operation.number)
    return after if operation.numbers in (None, list(after)) else None


def _fits(operations: list[Operation]) -> bool:
    """Whether there is an order that respects what ended before what began."""
    longest = max((op.numbers for op in operations if op.numbers is not None), key=len, default=[])
    known = set(longest)
    own = [op for op in operations if op.end != NEVER or op.number in known]
    own.sort(key=lambda op: op.start)
    everything = (1 << len(own)) - 1
    must = sum(1 << i for i, op in enumerate(own) if op.end != NEVER)
    tried: set[tuple[int, State]] = set()
    stack: list[tuple[int, State]] = [(everything, ())]
    while stack:
        left, state = stack.pop()
        if not left & must:
            return True
        if (left, state) in tried:
            continue
        tried.add((left, state))
        until = min(op.end for i, op in enumerate(own) if left >> i & 1 and op.end != NEVER)
        for i, op in enumerate(own):
            if op.start > until:
                break
            if left >> i & 1:
                after = apply(op, state)
                if after is not None and list(after[: len(longest)]) == longest[: len(after)]:
                    stack.append((left & ~(1 << i), after))
    return False
