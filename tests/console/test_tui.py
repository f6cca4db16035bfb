"""The terminal UI: its screens as text, every key, and what comes from outside."""

import asyncio
import os
import pty
import re
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import msgspec
import pytest
from textual.pilot import Pilot
from textual.widgets import Input
from textual.worker import WorkerCancelled

from moonlet.agents import Host, connect
from moonlet.console.common import Options, Output
from moonlet.console.replay import Reading, reading
from moonlet.console.tui import start
from moonlet.console.tui.apart import Apart
from moonlet.console.tui.browser import Browser
from moonlet.console.tui.panels import text_panel
from moonlet.console.tui.printable import label, printable
from moonlet.console.tui.state_lines import LINES_MAX, OPEN_TO, state_lines
from moonlet.core.errors import Unavailable
from moonlet.core.ids import AgentId
from moonlet.replay import Point, changes
from moonlet.simulations.bundle import read_bundle, write_bundle
from moonlet.streams import Topology
from moonlet.streams.server.server_process import ServerProcess
from tests.agents.accounts import account_type
from tests.console.support import COMMAND, ENVIRONMENT, invoke
from tests.faulty import until
from tests.replay.conftest import shop_file as _shop_file
from tests.replay.histories import history
from tests.replay.shop import TYPES, Place, Refill

shop_file = _shop_file

SHOP = {made.name: made for made in TYPES}
MODULE = "tests.replay.shop"
SCREENS = Path(__file__).with_name("screens")


@asynccontextmanager
async def browsing(
    options: Options, bundle: Path | None, at: str | None, size: tuple[int, int]
) -> AsyncIterator[Pilot[None]]:
    async with reading(options, bundle, TYPES) as opened:
        point = await opened.point(at) if at is not None else None
        made = Browser(
            options, opened, SHOP, point, keyframes=None, modules=[MODULE], bundle=bundle
        )
        async with made.run_test(size=size) as pilot:
            await settled(pilot)
            yield pilot


def browser(bundle: Path, at: str | None = None, size: tuple[int, int] = (100, 20)) -> Any:
    """The app on a bundle, at a point."""
    options = Options(None, None, Path(), False, False, Output(json=False))
    return browsing(options, bundle, at, size)


@pytest.fixture(autouse=True)
def no_idling(monkeypatch: pytest.MonkeyPatch) -> None:
    """Textual waits after each key until the processor is idle; `settled` knows for what."""

    async def a_moment(*_: float) -> None:
        await asyncio.sleep(0)  # sleeps: other tasks have their turn

    for module in ("textual.app", "textual.pilot"):
        monkeypatch.setattr(f"{module}.wait_for_idle", a_moment)


async def settled(pilot: Pilot[None]) -> None:
    """Until what was begun is done, and the screen stays as it is."""
    before, same = "", 0
    while same < 3:
        await pilot.pause()
        running = [each for each in pilot.app.workers if not each.is_finished]
        if running:
            with suppress(WorkerCancelled):  # another took its place
                await pilot.app.workers.wait_for_complete(running)
        now = seen(pilot)
        same = same + 1 if now == before and now and not running else 0
        before = now


async def press(pilot: Pilot[None], *keys: str) -> str:
    """Press keys one after the other, and have the screen."""
    await pilot.press(*keys)
    await settled(pilot)
    return seen(pilot)


async def typed(pilot: Pilot[None], text: str) -> str:
    """Type into the line that asks, and have the screen."""
    pilot.app.screen.query_one("#answer", Input).value = text
    return await press(pilot, "enter")


def seen(pilot: Pilot[None]) -> str:
    """The screen as text."""
    strips = pilot.app.screen._compositor.render_strips()
    return "\n".join(strip.text.rstrip() for strip in strips)


def said(pilot: Pilot[None]) -> str:
    """What was said beside."""
    return "\n".join(str(each.message) for each in pilot.app._notifications)


SAME = (
    (re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}"), "2026-11-30 08:00:00.000"),
    (re.compile(r"c-[A-Za-z0-9_-]{22}"), "c-0000000000000000000000"),
)


@pytest.mark.parametrize(
    ("name", "at", "keys"),
    [
        ("agents", None, ()),
        ("state", "order/a@3", ()),
        ("changes", "order/a@3", ("d",)),
        ("changes_since_a_mark", "order/a@1", ("m", "down", "down", "d")),
        ("commit", "order/a@3", ("c",)),
        ("value", "order/a@3", ("tab", "down", "enter")),
        ("why", "order/a@4", ("w",)),
        ("effects", "order/a@1", ("e",)),
        ("command", "order/a@2", ("colon",)),
        ("before_the_first", "order/a@0", ("w",)),
    ],
)
async def test_a_screen_is_as_it_was_seen_and_judged(
    shop_file: Path, monkeypatch: pytest.MonkeyPatch, name: str, at: str | None, keys: Sequence[str]
) -> None:
    monkeypatch.chdir(shop_file.parent)
    async with browser(Path(shop_file.name), at) as pilot:
        screen = await press(pilot, *keys)
    for pattern, same in SAME:
        screen = pattern.sub(same, screen)
    file = SCREENS / f"{name}.txt"
    was_seen = file.exists()
    if not was_seen:
        file.write_text(f"{screen}\n", "utf-8")
    assert was_seen, f"{file} is new: look at it, and keep it"
    assert screen == file.read_text("utf-8").rstrip("\n")


async def test_keys_go_through_a_history(shop_file: Path) -> None:
    async with browser(shop_file) as pilot:
        assert "stock/tea" in await press(pilot, "end")
        await press(pilot, "slash")
        filtered = await typed(pilot, "order/")
        assert "3 of 4 agents" in filtered and "stock/tea" not in filtered
        assert "order/a@4 of 4" in await press(pilot, "home", "enter")
        assert "order/a@3" in await press(pilot, "k")
        assert "order/a@0" in await press(pilot, "pageup")
        assert "order/a@1" in await press(pilot, "right")
        assert "order/a@0" in await press(pilot, "left")
        assert "order/a@4" in await press(pilot, "end")
        await press(pilot, "home", "slash")
        assert "order/a@2" in await typed(pilot, "Reserved")
        assert "order/a@2" in await press(pilot, "n"), "there is no other"
        assert "nowhere that way" in said(pilot)
        await press(pilot, "home", "slash")
        assert "order/a@3" in await typed(pilot, "state.receipt != ''")
        # the second line of the state is the status: to where it changes, and back
        assert "order/a@4" not in await press(pilot, "home", "tab", "home", "down", "x")
        assert "order/a@2" in await press(pilot, "x")
        assert "order/a@1" in await press(pilot, "X")
        folded = await press(pilot, "home", "enter")
        assert "state {6}" in folded
        assert "status" in await press(pilot, "enter")
        await press(pilot, "g")
        assert "stock/tea@2 of 6" in await typed(pilot, "stock/tea@2")
        opened = await press(pilot, "w", "tab", "down", "down", "enter")
        assert "order/a@1 of 4" in opened, "the cause was opened"
        assert "stock/tea@2" in await press(pilot, "escape")
        await press(pilot, "g")
        await typed(pilot, "nobody/x")
        assert "nobody" in said(pilot)
        await press(pilot, "f1")
        assert "the next change of the line" in said(pilot)
        await press(pilot, "f")
        found = await typed(pilot, "SoldOut")
        assert "2 commits with SoldOut" in found and "order/b@2" in found
        assert await press(pilot, "colon") and "moonlet search SoldOut" in seen(pilot)
        assert "order/b@2 of 2" in await press(pilot, "enter")
        assert "read again" not in await press(pilot, "r")
        await press(pilot, "q")
    assert pilot.app.return_code == 0


@pytest.mark.parametrize("size", [(80, 24), (10, 3), (300, 80)])
async def test_a_terminal_of_any_size_shows_something(
    shop_file: Path, size: tuple[int, int]
) -> None:
    async with browser(shop_file, "order/a@3", size) as pilot:
        for key in ("d", "w", "e", "s", "colon", "tab", "end", "left", "x"):
            assert await press(pilot, key)


HOSTILE = "[bold red]x[/] \x1b[2J\x1b]0;owned\x07 \u202egpj.exe \r\n" + "y" * 1_000_000


async def test_what_comes_from_outside_is_text_and_a_server_may_go(
    shared_server: ServerProcess, name: str
) -> None:
    """Markup, escapes and a megabyte are shown as what they are; a server away is told."""
    topology = Topology(prefix=name)
    options = Options(shared_server.url, None, Path(), False, False, Output(json=False), name)
    async with (
        connect(shared_server.url, agents=TYPES, topology=topology) as moon,
        Host(moon, TYPES),
    ):
        await moon.ask("order/odd", Place("tea", 1, HOSTILE))
        async with browsing(options, None, "order/odd@1", (100, 20)) as pilot:
            for key in ("s", "d", "w", "e"):
                screen = await press(pilot, key)
                assert "[bold red]x[/]" in screen or key in "we", "there is no room for it"
                assert not set(screen) & {"\x1b", "\x07", "\r", "\u202e"}
            assert "\\x1b[2J" in await press(pilot, "s")
            assert name not in await press(pilot, "colon") and "nats://" not in seen(pilot)

            async def gone(agent: AgentId) -> Any:
                raise Unavailable("the server does not answer")

            source = pilot.app.opened.source  # type: ignore[attr-defined]
            last, source.last = source.last, gone
            await press(pilot, "r")
            assert "the server does not answer" in said(pilot)
            assert "order/odd@1" in seen(pilot), "what was read is still there"
            source.last = last
            await moon.ask("stock/tea", Refill(3))
            assert "order/odd@" in await press(pilot, "r", "end")


async def test_a_commit_that_was_tampered_with_is_told_at_its_place(
    shop_file: Path, tmp_path: Path
) -> None:
    whole = read_bundle(shop_file)[0]
    subject = f"{whole.topology.prefix}.evt.order.a"
    streams = []
    for held in whole.streams:
        messages, own = [], 0
        for message in held.messages:
            own += message.subject == subject
            if message.subject == subject and own == 3:
                message = msgspec.structs.replace(message, data=message.data[:-9] + b"123456789")
            messages.append(message)
        streams.append(msgspec.structs.replace(held, messages=messages))
    write_bundle(tmp_path / "odd.moonlet", msgspec.structs.replace(whole, streams=streams))
    async with browser(tmp_path / "odd.moonlet", "order/a@4") as pilot:
        assert "order/a@4 of 4" in seen(pilot) and "order/a@4 can't be shown:" in seen(pilot)
        assert "      3  can't be read: " in seen(pilot) and "4  rejected: Place" in seen(pilot)
        assert "order/a@3 of 4  can't be read" in await press(pilot, "up")
        assert "status: 'reserved'" in await press(pilot, "up"), "what is before it is usable"
        assert "sent by stock/tea@2" in await press(pilot, "w")


async def test_without_the_code_all_but_states_is_seen(shop_file: Path) -> None:
    options = Options(None, None, Path(), False, False, Output(json=False))
    async with reading(options, shop_file) as opened:
        start = await opened.point("order/a@3")
        made = Browser(options, opened, {}, start, keyframes=None, modules=[], bundle=shop_file)
        async with made.run_test(size=(100, 20)) as pilot:
            await settled(pilot)
            assert "the code of agent type order is not known here" in unwrapped(pilot)
            assert "sent by stock/tea@2" not in seen(pilot)
            assert "the result of a call by order/a@2" in await press(pilot, "w")
            assert "event  Moved" in await press(pilot, "c")
            assert "order/a@2 of 4" in await press(pilot, "k")
            assert "is not known here" in await press(pilot, "x") + said(pilot)


def unwrapped(pilot: Pilot[None]) -> str:
    """The panel's lines as one."""
    return "".join(line.partition("│")[2].rstrip("▁▂▃▄▅▆▇█ ") for line in seen(pilot).split("\n"))


async def test_a_long_way_tells_how_far_it_is_and_ends_when_it_is_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """And meanwhile commits are seen, the newest first; what was folded is kept."""
    passed: list[int] = []
    progress, gate = Apart.progress, threading.Event()

    def told(self: Apart, done: int, total: int) -> None:
        passed.append(done)
        progress(self, done, total)
        gate.wait(5)

    monkeypatch.setattr(Apart, "progress", told)
    source, count = history(1, 3_000), 3_000
    options = Options(None, None, Path(), False, False, Output(json=False))
    point = Point(AgentId("account", "s0"), count)
    made = Browser(
        options,
        Reading(source, None),
        {"account": account_type()},
        point,
        keyframes=None,
        modules=[],
        bundle=Path("x"),
    )
    async with made.run_test(size=(100, 20)) as pilot:
        await until(lambda: 'Deposit {"amount":1}' in seen(pilot))
        assert f"balance: {count}" not in seen(pilot), "which is not folded yet"
        await until(lambda: "reading: 255 of 3,000 commits" in seen(pilot))
        gate.set()
        await settled(pilot)
        assert f"balance: {count}" in seen(pilot)
        await press(pilot, "home", "slash")
        pilot.app.screen.query_one("#answer", Input).value = "state.balance < 0"
        gate.clear()
        await pilot.press("enter")
        await until(lambda: "esc stops it" in seen(pilot))
        passed.clear()
        await pilot.press("escape")
        gate.set()
        await settled(pilot)
        assert "account/s0@0 of 3,000" in seen(pilot)
        assert len(passed) < 3, "what nobody waits for is not read to its end"
        assert "account/s0@3000 of 3,000" in await press(pilot, "end"), "and it goes on"
        await press(pilot, "n")
        assert "nowhere that way" in said(pilot)


async def test_a_value_of_a_megabyte_is_seen_whole_and_cut_elsewhere(shop_file: Path) -> None:
    panel = text_panel("é中" * 200_000 + "\x1b[2J\nsecond", 40)
    assert 15_000 < len(panel.lines) < LINES_MAX and panel.lines[-1] == "second"
    assert "\\x1b[2J" in panel.lines[-2] and not any("\x1b" in line for line in panel.lines)
    assert len(text_panel("x\n" * 100_000, 40).lines) == LINES_MAX + 1
    assert text_panel("", 40).lines == [""]


async def test_a_point_of_a_history_that_is_not_there_is_refused(shop_file: Path) -> None:
    async with browser(shop_file, "order/a@3") as pilot:
        for text, why in (
            ("order/zzz", "order/zzz has no commits"),
            ("nobody/x", "agent type nobody is in no journal"),
            ("order/a@77", "has no revision 77"),
            ("[red]x", "no commit of"),
            ("[red] x", "is no point"),
        ):
            await press(pilot, "g")
            assert "order/a@3" in await typed(pilot, text)
            assert why in said(pilot)


def test_nor_does_it_begin_there(shop_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(start, "has_terminal", lambda: True)
    refused = invoke("tui", "order/zzz", "--bundle", str(shop_file), "--module", MODULE)
    assert refused.code == 2 and "order/zzz has no commits" in refused.err


def test_only_what_is_open_is_a_line_and_no_more_than_a_limit() -> None:
    many = {"few": {"a": 1}, "many": {f"k{n}": n for n in range(OPEN_TO + 1)}}
    assert [each.text.strip() for each in state_lines(many, [], set())] == [
        "state", "few", "a: 1", f"many {{{OPEN_TO + 1:,}}}",
    ]  # fmt: skip
    changed = changes({**many, "many": {}}, many)[:1]
    assert len(state_lines(many, changed, set())) > OPEN_TO, "what changed is open"
    everything = [[0] * 400] * 400
    assert len(state_lines(everything, [], set())) == LINES_MAX + 1


def test_no_text_is_obeyed_by_the_terminal_wherever_it_stands() -> None:
    """Keys, values, names and reasons; what is shown has no character that does anything."""
    odd = "[red]\n\x1b[2J\u202e\x9b"
    lines = [each.text for each in state_lines({odd: [odd], "a": odd}, [], set())]
    lines += [label(odd).plain, printable(odd), label(f"{odd} is not there").plain]
    assert all(line.isprintable() for line in lines), lines
    assert all("[red]" in line for line in lines[1:]), "and it can be read"


def test_without_a_terminal_it_says_what_to_do(shop_file: Path) -> None:
    refused = invoke("tui", "--bundle", str(shop_file))
    assert refused.code == 2 and "tui needs a terminal" in refused.err


def test_without_the_package_it_says_how_to_have_it(
    shop_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(start, "has_terminal", lambda: True)
    monkeypatch.delitem(sys.modules, "moonlet.console.tui.browser")
    for module in ("textual", "textual.app"):
        monkeypatch.setitem(sys.modules, module, None)
    refused = invoke("tui", "--bundle", str(shop_file))
    assert refused.code == 2 and "pip install 'moonlet[tui]'" in refused.err


def test_the_command_runs_on_a_real_terminal_and_leaves_it_as_it_was(shop_file: Path) -> None:
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [*COMMAND, "tui", "--bundle", str(shop_file), "--module", MODULE],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={**ENVIRONMENT, "TERM": "xterm-256color", "COLUMNS": "100", "LINES": "24"},
    )
    os.close(theirs)
    try:
        shown, deadline = b"", time.monotonic() + 30
        while b"stock/tea" not in shown and time.monotonic() < deadline:
            shown += os.read(ours, 65_536)
        assert b"stock/tea" in shown
        os.write(ours, b"q")
        while True:
            try:
                more = os.read(ours, 65_536)
            except OSError:  # Linux's way to say that the other side has closed
                break
            if not more:
                break
            shown += more
        assert process.wait(10) == 0
        assert shown.rindex(b"\x1b[?1049l") > shown.index(b"\x1b[?1049h"), "the screen is back"
    finally:
        process.kill()
        process.wait()
        os.close(ours)


async def test_more_lines_and_hits_than_are_kept_are_seen_all_the_same(
    shop_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("moonlet.console.tui.history_screen.LINES_KEPT", 2)
    monkeypatch.setattr("moonlet.console.tui.search_screen.HITS_MAX", 1)
    async with browser(shop_file, "stock/tea@6") as pilot:
        for key in ("home", "end"):
            screen = await press(pilot, key)
            assert "Refill" in screen and "before the first commit" in screen
            assert "…\n" not in screen
        await press(pilot, "f")
        assert "1 and more commits with Reserve" in await typed(pilot, "Reserve")
