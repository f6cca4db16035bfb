"""Very many senders to one agent, in short: exact, small in memory and on disk, new ones for free.

`python -m tests.benchmarks.senders` does it with a million.
"""

from pathlib import Path

from moonlet.streams.server import TemporaryServer
from tests.benchmarks import senders

SENDERS = 8_000


async def test_eight_thousand_senders_are_known_exactly_and_take_little(tmp_path: Path) -> None:
    with TemporaryServer(tmp_path) as url:
        found = await senders.measure(url, SENDERS, 200, rounds=4)
    assert found.wrong == 0
    assert found.looked_up < SENDERS / 1_000, "new senders cost nothing"
    assert found.stored > SENDERS - 4_096 - 1_024 - 1
    assert found.memory_bytes < 3_000_000
    found.disk_bytes = senders.disk_of(tmp_path)
    assert found.disk_bytes < 200 * SENDERS
    assert found.known_us < 3 * found.usual_us, "under any load; the benchmark says 1.05"
