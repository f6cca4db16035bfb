"""`asyncio.Task` and `asyncio.Future` as code in a run finds them.

Made without the loop they would hash by their address. What is made in a run is the simulation's,
what another thread makes on a loop of its own stays asyncio's; `isinstance` asks for asyncio's.
"""

from __future__ import annotations

import asyncio
from typing import Any

from moonlet.simulations.loop import AsyncioFuture, AsyncioTask, SimFuture, SimLoop, SimTask


class _StandIn(type):
    def __call__(cls, *args: Any, **options: Any) -> Any:
        known = _REAL.get(cls)
        if known is None:
            return super().__call__(*args, **options)
        loop = options.get("loop") or asyncio.get_event_loop()
        return known[0 if isinstance(loop, SimLoop) else 1](*args, **options)

    def __instancecheck__(cls, instance: object) -> bool:
        known = _REAL.get(cls)
        if known is None:
            return super().__instancecheck__(instance)
        return isinstance(instance, known[1])

    def __subclasscheck__(cls, subclass: type) -> bool:
        known = _REAL.get(cls)
        if known is None:
            return super().__subclasscheck__(subclass)
        return issubclass(subclass, known[1])


class StandInFuture(SimFuture[Any], metaclass=_StandIn):
    """In the place of `asyncio.Future`."""


class StandInTask(SimTask[Any], metaclass=_StandIn):
    """In the place of `asyncio.Task`."""


_REAL: dict[type, tuple[type, type]] = {
    StandInFuture: (SimFuture, AsyncioFuture),
    StandInTask: (SimTask, AsyncioTask),
}
