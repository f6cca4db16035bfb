"""A client's numbers never run further ahead than the agent's window reaches."""

import asyncio

from moonlet.agents.client.sending import Counter
from moonlet.core.memory import WINDOW, Windows


async def test_an_old_number_in_flight_holds_back_the_ones_that_would_push_it_out() -> None:
    counter, window = Counter(), Windows()
    stuck = await counter.take()
    for _ in range(WINDOW - 1):
        number = await counter.take()
        window.add("c", "medium", number)
        counter.done(number)
    waiting = asyncio.create_task(counter.take())
    await asyncio.sleep(0)
    assert not waiting.done()
    assert not window.has("c", "medium", stuck)  # its retry would still be applied
    counter.done(stuck)
    assert await waiting == WINDOW + 1


async def test_who_waits_is_served_in_order_and_who_gives_up_holds_nothing() -> None:
    counter = Counter()
    held = [await counter.take() for _ in range(WINDOW)]
    waiting = [asyncio.create_task(counter.take()) for _ in range(3)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    await asyncio.gather(waiting[0], return_exceptions=True)
    counter.done(held[0])
    counter.done(held[1])
    assert [await waiting[1], await waiting[2]] == [WINDOW + 1, WINDOW + 2]


async def test_a_number_given_to_one_who_is_cancelled_meanwhile_goes_back() -> None:
    counter = Counter()
    held = [await counter.take() for _ in range(WINDOW)]
    first, second = (asyncio.create_task(counter.take()) for _ in range(2))
    await asyncio.sleep(0)
    counter.done(held[0])  # gives to the first, which has not run since
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    counter.done(held[1])
    assert await second == WINDOW + 2
