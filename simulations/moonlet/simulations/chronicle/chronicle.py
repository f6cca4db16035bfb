"""What is durable in a world, seen as it is stored: the judge of what hosts and clients claim.

It looks at the server's streams after each packet, so it knows the moment of everything: which
command was acknowledged, which commit landed, which effect stood in a stream.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

import msgspec

from moonlet.agents import AgentType
from moonlet.agents.deciding import fold_state
from moonlet.core.codec import ENCODING_HEADER, Encoding
from moonlet.core.commit import Commit
from moonlet.core.errors import MoonletError
from moonlet.core.fold import Fold, call_id
from moonlet.core.ids import AgentId
from moonlet.simulations.chronicle.records import AcceptedCommand, History
from moonlet.simulations.jetstream import MessageStore, Model, StreamMessage
from moonlet.simulations.loop import SimLoop
from moonlet.streams import StoredMessage, Topology, decode_commit, decode_envelope, decode_snapshot
from moonlet.streams.reading import BLOB_HEADER
from moonlet.streams.subjects import Subjects

AHEAD: Final = 2.5
"""Seconds that a commit may be ahead of the server: one that is let pass, and what clocks drift."""


class Chronicle:
    """All that was stored. `histories` by agent id, `commands` by (agent id, command id).

    `landed` is called with each commit, once it is taken in.
    """

    def __init__(
        self,
        loop: SimLoop,
        model: Model,
        topology: Topology,
        agents: Sequence[AgentType[Any]],
        landed: Callable[[Commit[Any]], None],
    ) -> None:
        self._loop = loop
        self._model = model
        self._topology = topology
        self._landed = landed
        self._types: dict[str, AgentType[Any]] = {t.name: t for t in agents}
        self._subjects = Subjects(topology.prefix)
        self._journals = topology.journal_streams
        self._mailboxes = topology.stream("mailboxes")
        self._internal = topology.stream("internal")
        self._parked = topology.stream("parked")
        self._timers = topology.stream("timers")
        self._seen: dict[str, int] = {
            name: 0
            for name in (
                *self._journals, self._mailboxes, self._internal, self._parked, self._timers
            )
        }  # fmt: skip
        self.foreign: set[bytes] = set()
        """What somebody wrote into journals that is no commit; hosts never write that."""
        self.histories: dict[str, History] = {}
        self.commands: dict[tuple[str, str], AcceptedCommand] = {}
        self.by_place: dict[tuple[str, int], tuple[str, str]] = {}
        self.parked: set[str] = set()
        self.parked_commands: set[tuple[str, str]] = set()
        self.to_note: dict[tuple[str, str], None] = {}  # parked, and not in the parked stream yet
        self.calls: set[str] = set()
        self.schedules: set[str] = set()
        self.undone: dict[tuple[str, str], AcceptedCommand] = {}
        self.sends: dict[str, str] = {}  # open: call id -> the receiver
        self.commits = 0
        self._stored = -1  # by the server, at the last look

    def look(self) -> None:
        """Take in what was stored since the last look."""
        model = self._model
        if model.stored == self._stored:
            return
        self._stored, streams = model.stored, model.streams
        for name, seen in self._seen.items():
            stream = streams.get(name)
            if stream is not None and stream.store.last > seen:
                self._seen[name] = stream.store.last
                self._read(name, stream.store, seen + 1)

    def rewind(self) -> None:
        """The streams lost their ends: what comes now takes their sequences again."""
        streams = self._model.streams
        for name, seen in self._seen.items():
            stream = streams.get(name)
            if stream is not None:
                self._seen[name] = min(seen, stream.store.last)

    def restored(self, name: str) -> None:
        """A stream stands as it stood before, or once stood: only what follows is new."""
        self._seen[name] = self._model.streams[name].store.last

    def _read(self, name: str, store: MessageStore, start: int) -> None:
        for sequence in range(start, store.last + 1):
            message = store.messages.get(sequence)
            if message is None:
                continue
            if name in self._journals:
                self._committed(name, message)
            elif name == self._parked:
                self._take_parked(message)
            elif name == self._timers:
                self.schedules.add(message.subject)
            elif ".call." in message.subject:
                self.calls.add((message.headers or {}).get("Nats-Msg-Id", ""))
            else:
                self._acknowledged(name, message)

    # commands

    def _acknowledged(self, stream: str, message: StreamMessage) -> None:
        try:
            envelope, _ = decode_envelope(
                message.data, (message.headers or {}).get(ENCODING_HEADER)
            )
        except MoonletError:
            agent = message.subject.split(".")
            key = f"{agent[2]}/{agent[-1]}", f"foreign:{stream}:{message.sequence}"
            command = AcceptedCommand(*key, "", "", 0, stream, message.sequence, self._loop.now_ns)
        else:
            key = envelope.agent, envelope.id
            command = AcceptedCommand(
                *key,
                envelope.sender,
                envelope.lane,
                envelope.number,
                stream,
                message.sequence,
                self._loop.now_ns,
            )
        self.by_place[stream, message.sequence] = key
        known = self.commands.get(key)
        if known is not None:
            known.copies += 1
            return
        self.commands[key] = command
        if not self.is_committed(*key):
            self.undone[key] = command

    def is_committed(self, agent: str, id: str) -> bool:
        """Whether the command has a commit."""
        history = self.histories.get(agent)
        return history is not None and id in history.by_id

    def is_stopped(self, agent: str) -> bool:
        """Whether an operator stopped the agent: what is for it may wait."""
        name = self._topology.bucket("registry")
        stream = self._model.streams.get(name)
        mark = f"$KV.{name.removeprefix('KV_')}.stopped.{agent.replace('/', '.')}"
        return stream is not None and mark in stream.store.by_subject

    def is_out(self, agent: str, id: str) -> bool:
        """Whether what an effect caused was stored, or parked."""
        return (agent, id) in self.commands or id in self.parked

    # commits

    def _committed(self, stream: str, message: StreamMessage) -> None:
        agent = self._subjects.journal_agent(message.subject)
        if agent is None:
            return
        history = self.histories.get(str(agent))
        agent_type = self._types.get(agent.type)
        if history is None:
            initial = agent_type.behavior.initial() if agent_type is not None else None
            history = self.histories[str(agent)] = History(str(agent), Fold(initial))
        if message.data in self.foreign:
            history.foreign.add(message.sequence)
            return
        commit, encoding = self._decode(stream, message)
        self._loop.note(
            "commit", "nats", str(agent), commit.revision, commit.outcome,
            commit.command.id, commit.digest,
        )  # fmt: skip
        self.commits += 1
        if not history.broken:
            try:
                state = history.fold.state
                if agent_type is not None:
                    state = fold_state(agent_type, stream, state, commit, encoding)
                history.fold.advance(commit, state)
            except MoonletError as error:
                history.broken = str(error)
        history.commits.append(commit)
        seconds = commit.time.micros / 1e6 - message.time / 1e9
        if seconds > AHEAD and message.time >= self._loop.epoch_ns:
            history.ahead.append(f"r{commit.revision} is {seconds:.1f} s ahead")
        id = commit.command.id
        if id in history.by_id:
            history.twice.append(id)
        history.by_id.setdefault(id, commit.revision)
        self.undone.pop((str(agent), id), None)
        if commit.outcome == "parked" and (str(agent), id) not in self.parked_commands:
            self.to_note[str(agent), id] = None
        if self.sends.get(id) == str(agent):
            del self.sends[id]
        for index, effect in enumerate(commit.effects):
            if effect.kind == "send":
                caused = call_id(commit.agent, commit.revision, index)
                if not self.is_committed(effect.target, caused):
                    self.sends[caused] = effect.target
        self._landed(commit)

    def _decode(self, stream: str, message: StreamMessage) -> tuple[Commit[Any], Encoding]:
        headers = dict(message.headers or {})
        data = message.data
        if BLOB_HEADER in headers:
            data = self._apart(data.decode(), int(headers.pop(BLOB_HEADER)))
        stored = StoredMessage(message.subject, message.sequence, message.time, headers, data)
        return decode_commit(stream, stored)

    def _apart(self, digest: str, chunks: int) -> bytes:
        name = self._topology.stream("outcomes")
        store = self._model.streams[name].store
        found = (store.by_subject[self._subjects.blob(digest, n)][-1] for n in range(chunks))
        return b"".join(store.messages[sequence].data for sequence in found)

    def _take_parked(self, message: StreamMessage) -> None:
        parked = msgspec.json.decode(message.data)
        if "effect" in parked:
            self.parked.add(parked["id"])
            self.sends.pop(parked["id"], None)
        else:
            self.parked_commands.add((parked["agent"], parked["id"]))
            self.to_note.pop((parked["agent"], parked["id"]), None)

    def forgive_parked(self) -> None:
        """Notes were removed from the parked stream: take what is missing there for noted."""
        self.parked_commands.update(self.to_note)
        self.to_note.clear()
        for id, target in list(self.sends.items()):
            sender, _, place = id.rpartition(":")
            history = self.histories.get(sender)
            out = history is not None and int(place.partition(".")[0]) <= history.fold.dispatched
            if out and (target, id) not in self.commands:
                self.parked.add(id)
                del self.sends[id]

    # questions

    def wrong_snapshots(self) -> Iterator[str]:
        """Stored snapshots, of a commit that is in its journal, that hold another state than it."""
        store = self._model.streams[self._topology.stream("snapshots")].store
        for sequences in store.by_subject.values():
            snapshot = decode_snapshot(store.messages[sequences[-1]].data)
            if snapshot is None:
                continue
            agent = AgentId.parse(snapshot.agent)
            agent_type = self._types.get(agent.type)
            if agent_type is None or snapshot.code != agent_type.state_code():
                continue
            state, digest = self._fold(agent, agent_type, snapshot.revision)
            unlike = agent_type.states.unlike(state, snapshot.state)
            if digest == snapshot.digest and unlike is not None:
                yield (
                    f"the snapshot of {agent} r{snapshot.revision} holds {unlike.comes_back} at"
                    f" {unlike.path}, its commits add up to {unlike.was}"
                )

    def _fold(self, agent: AgentId, agent_type: AgentType[Any], upto: int) -> tuple[Any, str]:
        """The state at a revision, from the first commit on, and the digest of that commit."""
        stream = self._topology.journal_of(agent.type)
        store = self._model.streams[stream].store
        state, digest = agent_type.behavior.initial(), ""
        foreign = self.histories[str(agent)].foreign
        stored = store.by_subject.get(self._subjects.journal(agent), ())
        for sequence in [each for each in stored if each not in foreign][:upto]:
            commit, encoding = self._decode(stream, store.messages[sequence])
            state = fold_state(agent_type, stream, state, commit, encoding)
            digest = commit.digest
        return state, digest

    def states(self) -> dict[str, Any]:
        """The durable state of every agent, by id."""
        return {agent: history.fold.state for agent, history in self.histories.items()}

    def state(self, agent: str) -> Any:
        """The durable state of one agent, initial if nothing was committed."""
        history = self.histories.get(agent)
        if history is not None:
            return history.fold.state
        return self._types[AgentId.parse(agent).type].behavior.initial()
