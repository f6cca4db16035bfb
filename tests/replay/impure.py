"""Handlers that break every rule; each line that `vet` must name ends in a comment that says so."""

import os
import random
import time
import uuid
from datetime import UTC, datetime
from time import monotonic as clock
from typing import Any

import msgspec

from moonlet.agents import AgentType, Decision, Perform

SEEN: list[int] = []
TABLE: dict[str, int] = {}
count = 0


class Go(msgspec.Struct, frozen=True):
    n: int = 0


class Ask(msgspec.Struct, frozen=True):
    n: int = 0


class Went(msgspec.Struct, frozen=True):
    n: int


class Peek(msgspec.Struct, frozen=True):
    pass


class State(msgspec.Struct):
    n: int = 0
    items: list[int] = []
    by_name: dict[str, list[int]] = {}


bad = AgentType("bad", State)


def stamp() -> float:
    return clock()  # clock


def put(items: list[int], n: int) -> None:
    items.append(n)  # in-place change


class Helper:
    def __init__(self) -> None:
        self.at = time.time()  # clock


@bad.on_command
def go(state: State, command: Go) -> Decision:
    global count  # global state
    count += 1
    n = int(time.time())  # clock
    n += random.randint(1, 6)  # chance
    when = datetime.now(UTC)  # clock
    name = uuid.uuid4().hex  # chance
    print(name, when)  # I/O
    home = os.environ["HOME"]  # I/O
    SEEN.append(n)  # global state
    TABLE[home] = n  # global state
    key = hash(name)  # hash order
    stamp()
    Helper()
    state.n += 1  # in-place change
    items = state.items
    items.append(key)  # in-place change
    for each in state.by_name.values():
        each.sort()  # in-place change
    state.by_name["x"] = items  # in-place change
    del state.items[0]  # in-place change
    items += [1]  # in-place change
    put(state.items, 1)
    yield Went(n)
    yield Perform(Ask(n))


@bad.on_perform
def ask(call: Ask) -> Go:
    time.time()
    return Go(random.randint(1, 6))


@bad.on_event
def went(state: State, event: Went) -> State:
    with open("/dev/null") as file:  # I/O
        file.read()
    state.items.append(event.n)  # in-place change
    return state


@bad.on_query
def peek(state: State, query: Peek) -> float:
    return random.random()  # chance


# What looks alike and is pure.
good = AgentType("good", State)


@good.on_command
def fine(state: State, command: Go) -> Decision:
    items = [*state.items]
    items.append(command.n)
    number = state.n
    number += 1
    copied = dict(state.by_name)
    copied["x"] = items
    local: dict[str, Any] = {}
    local.setdefault("a", []).append(1)
    dice = random.Random(command.n)
    joined = os.path.join("a", "b")
    moment = datetime.fromtimestamp(0, UTC)
    local["x"] = dice, joined, moment
    TABLE.get("x")
    yield Went(number + sorted(items)[0])


@good.on_event
def fold(state: State, event: Went) -> State:
    return msgspec.structs.replace(state, items=[*state.items, event.n])
