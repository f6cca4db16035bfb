"""Reading beside the screens: they go on meanwhile, and see how far it is."""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, TypeVar

T = TypeVar("T")


class Stopped(Exception):
    """Nobody waits for what was being read any more."""


class Apart:
    """One reading at a time. A file's are done in a thread, always the same; a server's wait for
    the server, so they need none, and must be on its loop.
    """

    def __init__(self, *, in_thread: bool) -> None:
        self._pool = ThreadPoolExecutor(1, "reading") if in_thread else None
        self._lock = asyncio.Lock()
        self._stopped = threading.Event()
        self.done = (0, 0)
        """What was gone through, and what there is; zeros while nothing is told of."""
        self.at_end: list[Callable[[], None]] = []
        """What is to be closed at the end, where it was opened."""

    def progress(self, done: int, total: int) -> None:
        """For whoever reads: tell how far it is; raises `Stopped`."""
        if self._stopped.is_set():
            raise Stopped
        self.done = (done, total)

    async def run(self, reading: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Have it done, after what was begun before. Cancelled, it ends where it next tells."""
        async with self._lock:
            self._stopped.clear()
            try:
                if self._pool is None:
                    return await reading()
                loop = asyncio.get_running_loop()
                thread = loop.run_in_executor(self._pool, lambda: asyncio.run(reading()))
                try:
                    return await asyncio.shield(thread)
                except asyncio.CancelledError:  # nobody else may read while it still does
                    self._stopped.set()
                    while not thread.done():
                        with suppress(asyncio.CancelledError):  # once more, at the app's end
                            await asyncio.wait([thread])
                    thread.exception()
                    raise
            finally:
                self.done = (0, 0)

    def close(self) -> None:
        """Have the thread end, with what it does."""
        self._stopped.set()
        if self._pool is not None:
            for closing in self.at_end:
                self._pool.submit(closing)
            self._pool.shutdown()
