"""Commits by their revisions, nothing folded: any of a long history in a few looks."""

from collections.abc import AsyncGenerator
from random import Random

import msgspec
import pytest

from moonlet.core.errors import Corrupt, Invalid, Undecodable
from moonlet.core.ids import AgentId
from moonlet.replay import BundleSource, CommitPages, ScanLookup, resolve
from moonlet.simulations.bundle import Bundle
from moonlet.streams import StoredMessage
from tests.replay.histories import history


class Counted:
    """A source whose batches are small, and counted."""

    def __init__(self, inner: BundleSource, batch: int) -> None:
        self.inner, self.batch, self.looks = inner, batch, 0

    def __getattr__(self, name: str) -> object:
        return getattr(self.inner, name)

    async def messages(
        self, stream: str, subject: str = ">", *, start: int = 1
    ) -> AsyncGenerator[list[StoredMessage], None]:
        self.looks += 1
        async for batch in self.inner.messages(stream, subject, start=start):
            for at in range(0, len(batch), self.batch):
                yield batch[at : at + self.batch]


def broken(source: BundleSource, agent: str, *places: int, whole: bool = True) -> BundleSource:
    """The source with records of an agent that make no sense, by their places from 0 on."""
    bundle: Bundle = source._bundle
    streams = []
    for held in bundle.streams:
        messages, own = [], 0
        for message in held.messages:
            if message.subject.endswith(agent):
                if own in places:
                    message = msgspec.structs.replace(message, data=b"no sense")
                own += 1
            messages.append(message)
        streams.append(msgspec.structs.replace(held, messages=messages))
    return BundleSource(msgspec.structs.replace(bundle, streams=streams), "broken")


@pytest.mark.parametrize("batch", [1, 7, 256])
async def test_any_commit_is_found_in_a_few_looks(batch: int) -> None:
    source = Counted(history(3, 2_000), batch)
    pages = await CommitPages.open(source, AgentId("account", "s1"))  # type: ignore[arg-type]
    assert pages.last == 2_000
    for revision in (1, 2_000, *Random(1).sample(range(1, 2_001), 30), 2):
        source.looks = 0
        assert (await pages.commit(revision)).revision == revision
        assert source.looks <= 12, (revision, source.looks)
    for revision in (0, 2_001, -1):
        with pytest.raises(Invalid, match="has no revision"):
            await pages.commit(revision)
    nobody = await CommitPages.open(source, AgentId("account", "nobody"))  # type: ignore[arg-type]
    assert nobody.last == 0


async def test_an_uneven_journal_is_no_matter() -> None:
    """One agent wrote all of its commits at one end of the journal, then another did."""
    early, late = history(1, 1_500), history(2, 1_500)
    streams = []
    for held, behind in zip(early._bundle.streams, late._bundle.streams, strict=True):
        own = [m for m in behind.messages if m.subject.endswith("s1")]
        moved = [
            msgspec.structs.replace(m, sequence=100_000 + n, time=100_000 + n)
            for n, m in enumerate(own)
        ]
        last = moved[-1].sequence if moved else held.last
        streams.append(msgspec.structs.replace(held, messages=[*held.messages, *moved], last=last))
    source = BundleSource(msgspec.structs.replace(early._bundle, streams=streams), "uneven")
    for key in ("s0", "s1"):
        pages = await CommitPages.open(source, AgentId("account", key))
        for revision in (1_500, 1, 750, 1_499):
            assert (await pages.commit(revision)).revision == revision


@pytest.mark.parametrize("batch", [1, 5, 256])
@pytest.mark.parametrize("places", [(4,), (0,), (19,), (0, 1, 2), (17, 18, 19), tuple(range(20))])
async def test_what_makes_no_sense_is_told_at_its_place_and_the_rest_is_read(
    batch: int, places: tuple[int, ...]
) -> None:
    source = Counted(broken(history(2, 20), "account.s0", *places), batch)
    pages = await CommitPages.open(source, AgentId("account", "s0"))  # type: ignore[arg-type]
    assert pages.last == 20
    for revision in Random(2).sample(range(1, 21), 20):
        if revision - 1 in places:
            with pytest.raises((Undecodable, Corrupt)):
                await pages.commit(revision)
        else:
            assert (await pages.commit(revision)).revision == revision


async def test_points_and_causes_of_what_stands_before_such_a_record_are_found() -> None:
    source = broken(history(2, 20), "account.s0", 19)
    assert (await resolve(source, "account/s0@7")).revision == 7
    assert (await resolve(source, "account/s0")).revision == 20
    lookup = ScanLookup(source)
    found = await lookup.commit("account/s0", 19)
    assert found is not None and found.revision == 19
    for agent, revision in (("account/s0", 20), ("account/s0", 21), ("no agent", 1)):
        assert await lookup.commit(agent, revision) is None
