"""A real server for the time of a test run, in a folder that the caller removes."""

from pathlib import Path
from types import TracebackType

from moonlet.streams.server.embedded import configuration
from moonlet.streams.server.server_process import ServerProcess, find_server


class TemporaryServer:
    """`with TemporaryServer(folder) as url`: without fsync, which no test of agents needs."""

    def __init__(self, folder: Path) -> None:
        self._process = ServerProcess(
            find_server(), folder, configuration(folder / "data", fsync=False)
        )

    def __enter__(self) -> str:
        self._process.start()
        return self._process.url

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.stop()
