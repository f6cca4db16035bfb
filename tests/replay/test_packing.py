"""Bundles of some agents: all of the debugger works on them, and hostile ones are refused."""

import gzip
import subprocess
import sys
from hashlib import blake2b
from pathlib import Path
from typing import Any

import msgspec
import pytest

from moonlet.agents import Host, connect
from moonlet.core.errors import Corrupt, LimitExceeded
from moonlet.core.ids import AgentId
from moonlet.replay import BundleSource, Point, ServerSource, assert_replays, changes, commits_of
from moonlet.replay.packing import chosen_by_pattern, golden_test, pack, pack_of, packing
from moonlet.simulations.bundle import Bundle, read_bundle, write_bundle
from moonlet.simulations.bundle import bundle as format_of
from moonlet.streams import Topology
from moonlet.streams.server.server_process import ServerProcess
from tests.agents.accounts import Deposit, Fill, account_type
from tests.console.support import invoke
from tests.replay.shop import order, stock


async def test_a_part_of_a_running_server_is_taken_while_it_goes_on(
    shared_server: ServerProcess, name: str, tmp_path: Path
) -> None:
    async with (
        connect(shared_server.url, topology=Topology(prefix=name)) as moon,
        Host(moon, [account_type()]),
    ):
        for key in ("a", "b", "big"):
            await moon.ask(f"account/{key}", Deposit(1))
        await (await moon.tell("account/big", Fill(events=30, size=100_000))).committed(timeout=20)
        chosen = await chosen_by_pattern(ServerSource(moon.bus), ["account/b*"])
        assert {str(agent) for agent in chosen} == {"account/b", "account/big"}
        made = await pack(moon.bus, chosen)
        write_bundle(tmp_path / "x.moonlet", made)
        source = BundleSource(read_bundle(tmp_path / "x.moonlet")[0], "x")
        for agent in chosen:
            wanted = [commit async for commit in moon.history(str(agent))]
            assert [commit async for commit in commits_of(source, agent)] == wanted
        assert set(await source.agents()) == chosen
        assert assert_replays(source, account_type()) == 3


async def test_histories_longer_than_a_page_are_taken_whole_and_a_limit_is_kept(
    shared_server: ServerProcess, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packing, "PAGE", 4)
    async with (
        connect(shared_server.url, topology=Topology(prefix=name)) as moon,
        Host(moon, [account_type()]),
    ):
        for _ in range(9):
            await moon.ask("account/a", Deposit(1))
            await moon.ask("account/b", Deposit(1))
        chosen = {AgentId("account", "a")}
        made = await pack(moon.bus, chosen)
        assert assert_replays(BundleSource(made, "x"), account_type()) == 9
        monkeypatch.setattr(packing, "PLAIN_MAX", 100)
        with pytest.raises(LimitExceeded, match="choose fewer"):
            await pack(moon.bus, chosen)


async def test_a_part_of_a_bundle_replays_as_it_did(shop: BundleSource) -> None:
    part = pack_of(shop._bundle, {AgentId("order", "a"), AgentId("stock", "tea")})
    source = BundleSource(part, "part")
    assert [str(agent) for agent in await source.agents()] == ["order/a", "stock/tea"]
    assert assert_replays(source, order, stock) > 5
    assert {held.name for held in part.streams} >= set(part.topology.journal_streams)


def test_the_commands_make_open_and_test(
    shop_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = ("--bundle", str(shop_file))
    made = tmp_path / "bug.moonlet"
    (record,) = invoke("bundle", "create", "--around", "order/a@3", "-o", str(made), *whole,
                       "--json").records  # fmt: skip
    assert record["agents"] == {"order/a": 4, "stock/tea": record["agents"]["stock/tea"]}
    again = invoke("bundle", "create", "--agents", "order/*", "-o", str(made), *whole)
    assert again.code == 2 and "is there already: name another" in again.err
    correlation = invoke("trace", "order/b@1", *whole, "--json").records[0]["correlation"]
    forced = invoke("bundle", "create", "--correlation", correlation, "-o", str(made), "--force",
                    *whole, "--json")  # fmt: skip
    assert sorted(forced.records[0]["agents"]) == ["order/b", "stock/tea"]
    opened = invoke("bundle", "open", str(made))
    assert opened.code == 0 and "order/b" in opened.out and "moonlet why" in opened.out
    assert invoke("history", "order/b", "--bundle", str(made), "--json").records
    test = tmp_path / "test_bug.py"
    code = ("--module", "tests.replay.shop")
    written = invoke("bundle", "test", str(made), "-o", str(test), "--point", "order/b@2", *code)
    assert written.code == 0, written.err
    run = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(test)]
    passed = subprocess.run(run, capture_output=True, text=True, check=False, timeout=60)
    assert passed.returncode == 0 and "2 passed" in passed.stdout, passed.stdout
    test.write_text(test.read_text().replace("'sold out'", "'sold'"))
    failed = subprocess.run(run, capture_output=True, text=True, check=False, timeout=60)
    assert failed.returncode == 1 and "1 failed, 1 passed" in failed.stdout
    for arguments, said in (
        (("create", "-o", "x"), "say which agents"),
        (("create", "--agents", "no/*", "-o", "x", *whole), "no agent of"),
        (("create", "--correlation", "nobody", "-o", "x", *whole), "has no conversation"),
        (("create", "--agents", "*", "-o", "/nowhere/x", *whole), "there is no folder /nowhere"),
        (("test", str(made), "-o", "/tmp/x.py", *code), "it has to stand beside"),
        (("open", "/nowhere/x"), "No such file"),
    ):
        refused = invoke("bundle", *arguments)
        assert refused.code == 2 and said in refused.err, (arguments, refused.err)


def test_points_that_look_alike_and_numbers_without_a_literal_are_all_tested(
    tmp_path: Path,
) -> None:
    """Each point is a test of its own, whatever its key; NaN and infinity are what they are."""
    points = [Point(AgentId.parse(agent), 1) for agent in ("order/a-b", "order/a_b", "order/A-b")]
    odd = {"nan": float("nan"), "far": float("-inf"), "quote": "'\"\\\n\x00", "deep": [{}]}
    places = [("tests.replay.shop", "order")]
    text = golden_test(Path("x.moonlet"), places, [(point, odd) for point in points])
    names: dict[str, Any] = {"__file__": str(tmp_path / "x.py")}
    exec(compile(text, "x.py", "exec"), names)
    found = names["FOUND"]
    assert [agent for agent, *_ in found] == [str(point.agent) for point in points]
    assert all(changes(odd, state) == [] for _, _, state in found)


def forged(folder: Path, plain: bytes, *, version: bytes = b"1") -> Path:
    """A file whose own digest is right, whatever is in it."""
    packed = gzip.compress(plain)
    digest = blake2b(packed, digest_size=32).hexdigest().encode()
    file = folder / "hostile.moonlet"
    file.write_bytes(b"moonlet bundle " + version + b" " + digest + b"\n" + packed)
    return file


def test_hostile_files_are_refused_and_write_nothing(
    shop: BundleSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = msgspec.msgpack.encode(shop._bundle)
    deep = b"\x85\xa5taken\x01\xa6server\xa1x\xa8topology\x80"
    deep += b"\xa7streams\x91\x86\xa4name\xa1a\xa6config" + b"\x81\xa1a" * 200_000 + b"\xc0"
    for plain in (b"", b"\xc1", good[:-10], good + b"x", deep, b"\x80", b"[" * 100_000):
        with pytest.raises(Corrupt, match=r"can't be read|has no|contradicts|take it again"):
            read_bundle(forged(tmp_path, plain))
    monkeypatch.setattr(format_of, "PLAIN_MAX", 1_000_000)
    with pytest.raises(LimitExceeded, match="bytes unpacked"):
        read_bundle(forged(tmp_path, b"\0" * 50_000_000))
    assert [file.name for file in tmp_path.iterdir()] == ["hostile.moonlet"]


def test_a_forged_commit_is_shown_as_such_and_the_rest_stays_usable(
    shop: BundleSource, tmp_path: Path
) -> None:
    def forge(bundle: Bundle) -> Bundle:
        streams = []
        for held in bundle.streams:
            messages = [
                msgspec.structs.replace(m, data=m.data.replace(b'"red"', b'"rad"'))
                for m in held.messages
            ]
            streams.append(msgspec.structs.replace(held, messages=messages))
        return msgspec.structs.replace(bundle, streams=streams)

    file = tmp_path / "forged.moonlet"
    write_bundle(file, forge(shop._bundle))
    bad = invoke("history", "order/b", "--bundle", str(file))
    assert bad.code == 65 and "its bytes changed" in bad.err
    assert invoke("history", "order/a", "--bundle", str(file)).code == 0
    ended = invoke("replay", "--all", "--bundle", str(file), "--module", "tests.replay.shop")
    assert ended.code == 1 and "order/b@1" in ended.out and "3 agents" not in ended.out
