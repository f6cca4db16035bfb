"""Declaring calls: what of handlers and policies is refused, and of results that nobody hears."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from moonlet.agents import Host, Perform, Rejected
from moonlet.core.errors import InvalidAgentType
from moonlet.testing import MoonServer
from tests.agents.test_agent_type import Account, Deposit, Fetch, Fetched, make


def test_a_perform_handler_has_one_result_and_may_wait_or_block() -> None:
    async def generator(call: Fetch) -> AsyncIterator[Fetched]:
        yield Fetched("")

    def yields(call: Fetch) -> Iterator[Fetched]:
        yield Fetched("")

    def blocks(call: Fetch) -> Fetched:
        return Fetched("")

    async def waits(call: Fetch) -> Fetched:
        return Fetched("")

    with pytest.raises(InvalidAgentType, match=r"@account.on_perform .*has no annotation"):
        make().on_perform(lambda call: None)
    for function in (generator, yields):
        with pytest.raises(InvalidAgentType, match="a call has one result: return it"):
            make().on_perform(function)
    for accepted, is_async in ((blocks, False), (waits, True)):
        account = make()
        account.on_perform(accepted)
        assert account.performs["Fetch"].is_async is is_async


@pytest.mark.parametrize(
    ("wrong", "match"),
    [
        ({"attempts": 0}, "attempts=0"),
        ({"attempts": True}, "attempts=True"),
        ({"timeout": float("inf")}, "timeout=inf"),
        ({"attempt_timeout": 0}, "attempt_timeout=0"),
        ({"attempt_timeout": 700.0}, "longer than the timeout=600.0"),
        ({"wait": float("nan")}, "wait=nan"),
        ({"retry_on": BaseException}, "retry_on="),
        ({"retry_on": (OSError, KeyboardInterrupt)}, "retry_on="),
        ({"retry_on": "OSError"}, "retry_on="),
    ],
)
def test_a_policy_that_can_not_be_is_refused(wrong: dict[str, Any], match: str) -> None:
    with pytest.raises(InvalidAgentType, match=match):

        @make().on_perform(**wrong)  # type: ignore[untyped-decorator]
        async def fetch(call: Fetch) -> Fetched:
            return Fetched("")


def test_a_call_without_a_handler_or_whose_result_nobody_hears_is_refused() -> None:
    nobody_runs = make()

    @nobody_runs.on_command
    def ask(state: Account, command: Deposit) -> Iterator[Any]:
        yield Perform(Fetch("x"))

    with pytest.raises(InvalidAgentType, match="ask yields Perform, and the type has no on_perf"):
        nobody_runs.check()

    nobody_hears = make()

    @nobody_hears.on_perform
    async def fetch(call: Fetch) -> Fetched | Deposit:
        return Fetched("")

    @nobody_hears.on_command
    def deposit(state: Account, command: Deposit) -> None: ...

    with pytest.raises(InvalidAgentType, match="fetch returns Fetched, which has no on_command"):
        nobody_hears.check()


async def test_a_call_that_no_check_sees_is_parked_where_it_is_yielded(
    moon_server: MoonServer,
) -> None:
    account = make()

    def helper() -> Any:
        return Perform(Fetch("x"))

    @account.on_command
    def ask(state: Account, command: Deposit) -> Iterator[Any]:
        yield helper()

    async with moon_server.connect(agents=[account]) as moon, Host(moon, [account]):
        with pytest.raises(Rejected, match=r"Perform\(Fetch\) was yielded, and no on_perform"):
            await moon.ask("account/a", Deposit(1))
