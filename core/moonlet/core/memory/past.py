"""What an agent counted and no longer has in its windows and ids: never forgotten, but looked up.

What leaves memory is fresh at first, then in a run, and runs are stored beside the snapshots
(`Pasts` of `moonlet.streams`). A sender or an id that no run may have is new, at no cost; only one
that may be there is looked up before its command is decided.

No clock tells new from old here: with one that is wrong a command would be applied twice.
"""

from collections.abc import Iterable
from typing import Final

from moonlet.core.memory.runs import (
    Fact,
    Key,
    SortedRun,
    Upto,
    fact_of,
    find,
    id_key,
    joined,
    make_run,
    window_key,
    window_of,
)
from moonlet.core.memory.windows import Window, Windows, joined_windows, sent_by_agent

SPILL: Final = 1_024
"""Facts that left memory from which they become a run."""

RECALLED_MAX: Final = 1_024
"""Answers of the stored runs that are kept until they are asked for."""

PRINTS_MAX: Final = 2_097_152
"""Facts whose prints are in memory, three bytes each; of larger runs any key may be in them."""


class Past:
    """The past of one fold. `any` is False while nothing ever left memory: then nothing is asked.

    `keeps` is False for a fold that decides nothing, and then nothing is kept.
    """

    __slots__ = ("any", "fresh", "keeps", "place", "recalled", "runs", "stored", "whole")

    def __init__(self) -> None:
        self.any = False
        self.keeps = True
        self.fresh: dict[Key, Fact] = {}
        self.runs: list[SortedRun] = []
        self.recalled: dict[Key, Fact | None] = {}
        self.whole: set[tuple[str, str]] = set()
        """Clients whose window in memory says all that the past says of them."""
        self.stored = Upto()
        self.place = -1
        """The sequence of the stored list of runs; 0 if there is none, -1 if that isn't known."""

    # leaving memory

    def add_window(self, name: tuple[str, str], window: Window) -> None:
        """A window that left memory."""
        self.whole.discard(name)
        self._add(window_key(*name), fact_of(window))

    def add_id(self, id: str, sequence: int, body: str) -> None:
        """An id that left memory, its commit's sequence and its body's digest."""
        self._add(id_key(id), (sequence, body.encode()))

    def _add(self, key: Key, fact: Fact) -> None:
        if self.keeps:
            assert self is not NOTHING_LEFT
            self.any = True
            before = self.fresh.pop(key, None)
            self.fresh[key] = fact if before is None else joined(before, fact) or fact

    @property
    def is_full(self) -> bool:
        """Whether enough is fresh to be a run."""
        return len(self.fresh) >= SPILL

    def settle(self, upto: Upto) -> None:
        """Make a run of what is fresh: all that commits up to `upto` pushed out."""
        self.runs.append(make_run(iter(sorted(self.fresh.items())), upto))
        self.fresh = {}

    # asking

    def find(self, key: Key) -> tuple[bool, Fact | None]:
        """Whether all is known of the key without looking it up, and what is known."""
        known, found = True, self.fresh.get(key)
        recalled = key in self.recalled
        for run in self.runs:
            page = run.page_of(key)
            if page < 0:
                continue
            if run.pages is not None:
                found = joined(found, find(run.pages[page], key))
            elif not recalled:
                known = False
        if recalled:
            found = joined(found, self.recalled[key])
        return known, found

    def window(self, name: tuple[str, str], window: Window | None) -> tuple[bool, Window | None]:
        """Whether all is known of a sender, and that; `window` is what is in memory."""
        known, fact = self.find(window_key(*name))
        if fact is None:
            return known, window
        old = window_of(fact)
        known = known or sent_by_agent(name[0])  # its highest number stands where it was heard last
        return known, old if window is None else joined_windows(window, old)

    def bring_back(self, windows: Windows, name: tuple[str, str]) -> None:
        """The sender is heard again: have in memory what is known of it."""
        window = windows.of.get(name)
        by_agent = sent_by_agent(name[0])
        if name in self.whole or (by_agent and window is not None):
            return
        known, joint = self.window(name, window)
        if joint is not None and self.keeps:
            windows.of[name] = joint
        key = window_key(*name)
        self.fresh.pop(key, None)
        self.recalled.pop(key, None)
        if known and not by_agent:
            self.whole.add(name)

    # what is stored

    def recall(self, key: Key, fact: Fact | None) -> None:
        """What the stored runs say of a key; None if nothing."""
        self.recalled.pop(key, None)
        self.recalled[key] = fact
        if len(self.recalled) > RECALLED_MAX:
            del self.recalled[next(iter(self.recalled))]

    @property
    def held(self) -> list[SortedRun]:
        """The runs that are in memory alone, in order."""
        return [run for run in self.runs if run.pages is not None]

    def adopt(self, runs: Iterable[SortedRun], stored: Upto, place: int) -> None:
        """These are the stored runs now, and hold all up to `stored`."""
        later = [run for run in self.held if run.upto.revision > stored.revision]
        self.runs = [*runs, *later]
        self.stored, self.place = stored, place
        self.any = self.any or bool(self.runs)
        self.recalled.clear()
        self._drop_prints()

    def _drop_prints(self) -> None:
        """If that is too much, of the largest runs only where pages begin stays in memory."""
        left = PRINTS_MAX
        for run in sorted(self.runs, key=lambda run: run.count):
            left -= run.count
            if left < 0 and run.pages is None:
                run.prints = None


NOTHING_LEFT: Final = Past()
"""The past of all folds whose memory nothing has left: they share it, since it is never changed."""

NOTHING_KEPT: Final = Past()
"""That of all folds on which nothing is decided."""
NOTHING_KEPT.keeps = False
