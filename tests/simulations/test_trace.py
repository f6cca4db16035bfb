"""The trace: what its digest covers, replays that are stopped, and `.sim` files."""

import random
from asyncio import sleep
from itertools import pairwise
from pathlib import Path

import pytest

from moonlet.simulations import trace as trace_module
from moonlet.simulations.errors import Diverged
from moonlet.simulations.replay import SimHeader, read_sim, write_sim
from moonlet.simulations.replay.sim_file import code_digest
from moonlet.simulations.trace import BLOCK_STEPS, Checkpoint, Trace
from tests.simulations.programs import everything, note, run, this_loop


def traced(seed: int = 1) -> Trace:
    trace = Trace()
    run(lambda: everything(seed), seed, trace)
    return trace


def test_one_changed_bit_of_any_payload_changes_the_digest() -> None:
    """Goal 2: 200 of 200 one-byte mutations of what is delivered."""
    payloads = [random.Random(number).randbytes(40) for number in range(20)]

    def digest(bodies: list[bytes]) -> str:
        trace = Trace()
        for at, body in enumerate(bodies):
            trace.event(at, "h1", "got", body)
        return trace.digest

    seen = {digest(payloads)}
    for mutation in range(200):
        bodies = list(payloads)
        body = bytearray(bodies[mutation % 20])
        body[mutation // 20 * 4] ^= 1 << mutation % 8
        bodies[mutation % 20] = bytes(body)
        seen.add(digest(bodies))
    assert len(seen) == 201


def test_steps_moments_names_and_events_are_all_in_the_digest() -> None:
    def digest(step: tuple[int, int] = (5, 1), name: str = "a#1", kind: str = "got") -> str:
        trace = Trace()
        trace.name(1, name)
        trace.steps.extend(step)
        trace.event(5, "h1", kind, "x", 1, b"y", None)
        return trace.digest

    variants = [digest(), digest((6, 1)), digest((5, 2)), digest(name="b#1"), digest(kind="sent")]
    assert len(set(variants)) == 5
    assert digest() == variants[0]


def test_what_the_digest_covers_cannot_move_between_fields() -> None:
    def digest(*fields: str | bytes) -> str:
        trace = Trace()
        trace.event(0, "", "kind", *fields)
        return trace.digest

    assert len({digest("ab", "c"), digest("a", "bc"), digest("abc"), digest(b"ab", "c")}) == 4


def test_checkpoints_stand_about_every_256_steps() -> None:
    async def main() -> None:
        for _ in range(2_000):
            await sleep(0.001)

    trace = Trace()
    run(main, trace=trace)
    steps = [point.steps for point in trace.checkpoints]
    gaps = [after - before for before, after in pairwise(steps)]
    assert all(BLOCK_STEPS <= gap <= BLOCK_STEPS + 2 for gap in gaps[:-1])
    assert steps[-1] == trace.count > 4_000


def test_a_replay_that_differs_stops_at_the_first_block_that_does() -> None:
    async def main(late: int) -> int:
        for number in range(3_000):
            await sleep(0.002 if number == late else 0.001)
        return this_loop().trace.count

    first = Trace()
    run(lambda: main(1_500), trace=first)
    run(lambda: main(1_500), trace=Trace(expected=first.checkpoints))
    replay = Trace(expected=first.checkpoints)
    with pytest.raises(Diverged) as caught:
        run(lambda: main(1_400), trace=replay)
    assert 2_800 - BLOCK_STEPS - 2 <= caught.value.step <= 2_802
    assert replay.count < 2_802 + 2 * BLOCK_STEPS
    with pytest.raises(Diverged):  # in the last block, which no boundary ends
        run(lambda: main(2_999), trace=Trace(expected=first.checkpoints))


def test_a_written_file_reads_back_and_replays(tmp_path: Path) -> None:
    trace = traced(3)
    path = tmp_path / "a.sim"
    header = SimHeader(test="test_a", seed=3, plan=[["crash", "h1", 5]], workload=["open"]).here()
    write_sim(path, header, trace)
    found = read_sim(path)
    assert found.header.plan == [["crash", "h1", 5]]
    assert found.header.digest == trace.digest
    assert found.header.code == code_digest()
    assert found.header.packages["msgspec"]
    assert found.header.hash_canary == hash("moonlet")
    assert found.checkpoints == trace.checkpoints
    assert found.events == [
        [at_ns, node, kind, *fields] for _, at_ns, node, kind, fields in trace.events
    ]
    run(lambda: everything(3), 3, Trace(expected=found.checkpoints))
    with pytest.raises(Diverged):
        run(lambda: everything(4), 4, Trace(expected=found.checkpoints))


def test_equal_runs_write_equal_bytes_and_large_files_are_compressed(tmp_path: Path) -> None:
    async def main() -> None:
        for number in range(3_000):
            await sleep(0.001)
            note("tick", number, b"x" * 100)

    sizes = []
    for name in ("a.sim", "b.sim"):
        trace = Trace()
        run(main, trace=trace)
        write_sim(tmp_path / name, SimHeader(seed=1), trace)
        sizes.append((tmp_path / name).stat().st_size)
        assert len(read_sim(tmp_path / name).events) == 3_000
    assert (tmp_path / "a.sim").read_bytes() == (tmp_path / "b.sim").read_bytes()
    assert sizes[0] < 64 * 1024


def test_no_file_is_larger_than_64_kib(tmp_path: Path) -> None:
    """Goal 15: what can't be packed into it loses its first events, and says so."""
    dice = random.Random(1)
    trace = Trace()
    for number in range(2_000):
        trace.event(number, "h1", "got", dice.randbytes(200))
    path = tmp_path / "large.sim"
    write_sim(path, SimHeader(test="a:b", plan=[1, 2]), trace)
    assert path.stat().st_size <= 64 * 1024
    found = read_sim(path)
    assert found.header.plan == [1, 2] and found.header.digest == trace.digest
    assert 0 < found.left_out < 2_000
    assert len(found.events) == 2_000 - found.left_out
    assert found.events[-1][0] == 1_999
    assert found.checkpoints == trace.checkpoints


def test_long_payloads_are_abridged_in_the_file_and_whole_in_the_digest(tmp_path: Path) -> None:
    trace = Trace()
    trace.event(7, "h1", "got", b"long" * 1000, b"short", "text")
    write_sim(tmp_path / "a.sim", SimHeader(), trace)
    ((at_ns, node, kind, long, short, text),) = read_sim(tmp_path / "a.sim").events
    assert (at_ns, node, kind, short, text) == (7, "h1", "got", b"short", "text")
    assert long["bytes"] == 4000
    assert len(long["blake2b"]) == 32


def test_checkpoints_stand_in_the_file_where_they_fell(tmp_path: Path) -> None:
    async def main() -> None:
        for number in range(600):
            await sleep(0.001)
            note("tick", number)

    trace = Trace()
    run(main, trace=trace)
    path = tmp_path / "a.sim"
    write_sim(path, SimHeader(), trace)
    lines = path.read_text().splitlines()[1:]
    places = [place for place, line in enumerate(lines) if line.startswith('{"steps"')]
    assert len(places) == len(trace.checkpoints)
    assert 100 < places[0] < 140


def test_a_file_that_is_none_and_one_of_tomorrow_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.sim"
    path.write_bytes(b"not json\n")
    with pytest.raises(ValueError, match=r"no \.sim file"):
        read_sim(path)
    write_sim(path, SimHeader(v=2), Trace())
    with pytest.raises(ValueError, match="version 2"):
        read_sim(path)


def test_events_beyond_the_limit_count_in_the_digest_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trace_module, "EVENTS_KEPT", 2)
    traces = [Trace(), Trace()]
    for last, trace in enumerate(traces):
        for number in (1, 2, 3, last):
            trace.event(number, "", "tick", number)
    assert [len(trace.events) for trace in traces] == [2, 2]
    assert [trace.events_dropped for trace in traces] == [2, 2]
    assert traces[0].digest != traces[1].digest


def test_a_checkpoint_of_nothing_is_none() -> None:
    trace = Trace(expected=[Checkpoint(1, b"x")])
    trace.checkpoint()
    assert trace.checkpoints == []
