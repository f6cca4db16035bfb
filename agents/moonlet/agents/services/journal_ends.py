"""How far each journal went, and which stream of its name it is: a journal that went back shows."""

from moonlet.core.errors import Corrupt
from moonlet.streams import Bus, Journal, facts_up_to


class JournalEnds:
    """What one host knows of its journals."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._journals: dict[str, Journal] = {}
        self._incarnations: dict[str, str] = {}
        self._ends: dict[str, tuple[str, int]] = {}
        self._doubted: set[str] = set()
        self.reconnects = 0
        """How often the server was away since this host began."""

    def journal(self, stream: str) -> Journal:
        """The reader of a journal stream."""
        journal = self._journals.get(stream)
        if journal is None:
            journal = self._journals[stream] = Journal(self._bus, stream)
        return journal

    async def incarnation(self, stream: str) -> str:
        """The journal's incarnation, read once a connection."""
        known = self._incarnations.get(stream)
        if known is None:
            known = self._incarnations[stream] = await self.journal(stream).incarnation()
        return known

    def known_incarnation(self, stream: str) -> str | None:
        """The same without asking the server."""
        return self._incarnations.get(stream)

    def note(self, stream: str, sequence: int) -> None:
        """Remember how far a journal went, so that one that went back is noticed."""
        known = self._ends.get(stream)
        if known is None or sequence > known[1]:
            self._ends[stream] = self._incarnations.get(stream, ""), sequence

    def reconnected(self) -> None:
        """The server may hold other streams now, or an older state of the same ones."""
        self.reconnects += 1
        self._incarnations.clear()
        self._doubted.update(self._ends)

    async def check(self, stream: str) -> None:
        """After a reconnect, once: raise `Corrupt` if the journal ends before what was known.

        An operator who means it raises `moonlet.epoch` in the stream's metadata.
        """
        if stream not in self._doubted:
            return
        incarnation, end = self._ends[stream]
        facts = await facts_up_to(self._bus, stream, end)
        now = await self.incarnation(stream)
        if facts is not None and now == incarnation and facts.last < end:
            raise Corrupt(
                f"stream {stream} ends at {facts.last}, but {end} was acknowledged:"
                " it was restored from an older state; to accept the loss, raise `moonlet.epoch`"
                " in the stream's metadata and restart the hosts",
                stream=stream,
                sequence=end,
            )
        # Others ask beside us, and may have noted a newer end meanwhile.
        if now != incarnation and self._ends.get(stream) == (incarnation, end):
            del self._ends[stream]
        self._doubted.discard(stream)
