"""The model against a real server that is stopped, or killed, and started again."""

import time
from collections.abc import Callable

import pytest

from moonlet.streams.server.server_process import ServerProcess
from tests.simulations.jetstream.episodes import Episode, Step
from tests.simulations.jetstream.raw_client import RawClient
from tests.simulations.jetstream.recorded import FLUSHED
from tests.simulations.jetstream.targets import ServerTarget
from tests.simulations.jetstream.test_fidelity import difference

SEED = "restarts"
EPISODES = 12
RESTARTS = 2


TRIES = 2
"""A busy server hands out, now and then, what is removed at that moment: not twice alike."""


@pytest.mark.parametrize("end", [ServerProcess.stop, ServerProcess.kill])
def test_the_model_forgets_what_a_restarted_server_forgets(
    new_server: Callable[..., ServerProcess], end: Callable[[ServerProcess], None]
) -> None:
    for left in reversed(range(TRIES)):
        try:
            compare_over_restarts(new_server(), end)
            return
        except AssertionError:
            if not left:
                raise


def compare_over_restarts(own_server: ServerProcess, end: Callable[[ServerProcess], None]) -> None:
    """Raises `AssertionError` at the first difference."""
    client = RawClient(own_server.url)
    client.request("$JS.API.STREAM.CREATE.KEEP", b'{"name":"KEEP"}')
    episodes = [Episode(SEED, number) for number in range(EPISODES)]
    servers = [ServerTarget(client) for _ in episodes]
    histories: list[list[object]] = [[] for _ in episodes]

    def go(number: int, steps: list[Step]) -> None:
        for operation, foreseen in steps:
            observed = servers[number].run(operation, foreseen)
            histories[number].append(operation)
            assert observed == foreseen, difference(
                SEED, number, histories[number], foreseen, observed
            )

    try:
        for number, episode in enumerate(episodes):
            go(number, episode.begin())
        for _ in range(RESTARTS):
            for number, episode in enumerate(episodes):
                go(number, episode.go_on(40))
            client.close()
            time.sleep(FLUSHED)  # sleeps: until consumers' states are on file
            end(own_server)
            own_server.start()
            client = RawClient(own_server.url)
            for number, episode in enumerate(episodes):
                episode.restart()
                servers[number].restart(client)
                histories[number].append("restart")
        for number, episode in enumerate(episodes):
            go(number, [*episode.go_on(40), *episode.end()])
    finally:
        client.close()
