"""The loop of a run: virtual time, one order of steps per seed, and nodes whose steps they are.

asyncio's own code runs on it unchanged. Imports nothing of the other rooms; `node`, `tasks` and
`waits` know of the loop only what they ask of it.
"""

from moonlet.simulations.loop.node import EPOCH_NS, LIFE, Life, Node, current_node
from moonlet.simulations.loop.offline import Wire
from moonlet.simulations.loop.sim_loop import SimLoop
from moonlet.simulations.loop.tasks import AsyncioFuture, AsyncioTask, SimFuture, SimTask, number_of
from moonlet.simulations.loop.waits import HERE, waiting, where

__all__ = [
    "EPOCH_NS",
    "HERE",
    "LIFE",
    "AsyncioFuture",
    "AsyncioTask",
    "Life",
    "Node",
    "SimFuture",
    "SimLoop",
    "SimTask",
    "Wire",
    "current_node",
    "number_of",
    "waiting",
    "where",
]
