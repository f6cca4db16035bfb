"""Answers of a real server, recorded, and the model judged by them without one.

`python -m tests.simulations.jetstream.recorded` records anew (half a minute), which is only
needed for another server version or when the generator or a timetable changes.
"""

import gzip
import importlib
import json
import tempfile
import time
from pathlib import Path
from typing import Any

from moonlet.streams.server.server_process import ServerProcess, find_server

SAMPLE = Path(__file__).with_name("recorded.jsonl.gz")
SEED = "recorded"
FLUSHED = 0.5  # s after which a killed server forgets nothing that a stopped one doesn't (ledger 8)
R1_EPISODES, R3_EPISODES, RESTARTED_EPISODES = 60, 15, 8

Run = dict[str, Any]
"""`servers`, and `steps`: (time or None, operation or "restart", what the server did)."""


def load() -> list[Run]:
    """The runs on record."""
    with gzip.open(SAMPLE, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def first_difference(runs: list[Run]) -> str | None:
    """Where the model, as it is now imported, first differs from the record; None if nowhere."""
    targets = importlib.import_module("tests.simulations.jetstream.targets")
    for run in runs:
        target = targets.ModelTarget(servers=run["servers"])
        for at, operation, recorded in run["steps"]:
            if operation == "restart":
                target.restart()
                continue
            if at is not None:
                target.now = at
            try:
                foreseen = json.loads(json.dumps(target.run(operation)))
            except Exception as error:  # a broken model may do anything
                foreseen = repr(error)
            if foreseen != recorded:
                return f"{json.dumps(operation)}\nmodel:  {foreseen}\nserver: {recorded}"
    return None


def record() -> list[Run]:
    """Run everything on real servers; what they do must be what the model does."""
    from tests.simulations.jetstream.cluster import start_cluster
    from tests.simulations.jetstream.raw_client import RawClient

    with tempfile.TemporaryDirectory() as folder:
        config = f"jetstream {{ store_dir: {json.dumps(folder + '/data')} }}\n"
        single = ServerProcess(find_server(), Path(folder) / "single", config)
        single.start()
        cluster = start_cluster(Path(folder))
        try:
            client = RawClient(single.url)
            client.request("$JS.API.STREAM.CREATE.KEEP", b'{"name":"KEEP"}')
            runs = [_episode(client, number, 1) for number in range(R1_EPISODES)]
            runs += _timetables(single.url, "")
            runs += _restarted(single)
            client = RawClient(cluster[0].url)
            runs += [_episode(client, number, 3) for number in range(R3_EPISODES)]
        finally:
            for server in (single, *cluster):
                server.kill()
    return runs


def _episode(client: Any, number: int, replicas: int) -> Run:
    from tests.simulations.jetstream.episodes import Episode
    from tests.simulations.jetstream.targets import ServerTarget

    server = ServerTarget(client, replicas=replicas)
    steps: list[list[Any]] = []
    for operation, foreseen in Episode(SEED, number, replicas=replicas).run(60):
        observed = server.run(operation, foreseen)
        assert observed == foreseen, (operation, foreseen, observed)
        steps.append([None, operation, observed])
    return {"servers": replicas, "steps": steps}


def _timetables(url: str, suffix: str) -> list[Run]:
    """All timetables; once more if the machine was too busy to keep to them."""
    from tests.simulations.jetstream.raw_client import RawClient
    from tests.simulations.jetstream.targets import ModelTarget, ServerTarget
    from tests.simulations.jetstream.timetables import SECOND, in_order, timetables

    begin, start = time.monotonic(), time.time_ns()
    tables = timetables(start, suffix)
    models = {name: ModelTarget() for name in tables}
    servers = {name: ServerTarget(RawClient(url)) for name in tables}
    runs: dict[str, Run] = {name: {"servers": 1, "steps": []} for name in tables}
    for at, name, operation in in_order(tables):
        time.sleep(max(begin + at - time.monotonic(), 0))  # sleeps: until the entry's time
        now = models[name].now = start + round(at * SECOND)
        foreseen = models[name].run(operation)
        observed = servers[name].run(operation, foreseen)
        if observed != foreseen:
            assert len(suffix) < 9, (name, at, operation, foreseen, observed)
            return _timetables(url, f"{suffix}x")
        runs[name]["steps"].append([now, operation, observed])
    return list(runs.values())


def _restarted(server: ServerProcess) -> list[Run]:
    from tests.simulations.jetstream.episodes import Episode
    from tests.simulations.jetstream.raw_client import RawClient
    from tests.simulations.jetstream.targets import ServerTarget

    client = RawClient(server.url)
    episodes = [Episode(f"{SEED}/restarted", number) for number in range(RESTARTED_EPISODES)]
    targets = [ServerTarget(client) for _ in episodes]
    runs: list[Run] = [{"servers": 1, "steps": []} for _ in episodes]
    for part in range(3):
        if part:
            time.sleep(FLUSHED)  # sleeps: until consumers' states are on file
            server.kill()
            server.start()
            client = RawClient(server.url)
            for episode, target, run in zip(episodes, targets, runs, strict=True):
                episode.restart()
                target.restart(client)
                run["steps"].append([None, "restart", None])
        for episode, target, run in zip(episodes, targets, runs, strict=True):
            for operation, foreseen in episode.go_on(25) if part else episode.begin():
                observed = target.run(operation, foreseen)
                assert observed == foreseen, (operation, foreseen, observed)
                run["steps"].append([None, operation, observed])
    return [*runs, _directed(server)]


def _directed(server: ServerProcess) -> Run:
    from tests.simulations.jetstream.raw_client import RawClient
    from tests.simulations.jetstream.targets import ModelTarget, ServerTarget
    from tests.simulations.jetstream.timetables import over_a_restart

    model, target = ModelTarget(), ServerTarget(RawClient(server.url))
    steps: list[list[Any]] = []
    for part, operations in enumerate(over_a_restart("Forget")):
        if part:
            time.sleep(FLUSHED)  # sleeps: until consumers' states are on file
            server.kill()
            server.start()
            target.restart(RawClient(server.url))
            model.restart()
            steps.append([None, "restart", None])
        for operation in operations:
            foreseen = model.run(operation)
            observed = target.run(operation, foreseen)
            assert observed == foreseen, (operation, foreseen, observed)
            steps.append([None, operation, observed])
    return {"servers": 1, "steps": steps}


if __name__ == "__main__":
    recorded = record()
    with gzip.GzipFile(SAMPLE, "wb", mtime=0) as file:
        for each in recorded:
            file.write(json.dumps(each, ensure_ascii=False).encode() + b"\n")
    print(f"{SAMPLE}: {SAMPLE.stat().st_size} bytes")
